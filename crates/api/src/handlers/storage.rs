//! Storage used by namespaces, and their quotas.

use axum::Json;
use axum::extract::{Path, State};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::storage::{Quota, Storage};
use crate::error::Errors;
use crate::extract::{Body, NamespacePath, Who};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_storage)).routes(routes!(set_quota))
}

/// Get the storage used by a namespace
#[utoipa::path(
    get, path = "/accounts/{namespace}/storage", tag = "accounts",
    params(NamespacePath),
    responses((status = 200, body = Storage), (status = 404, description = "NO_SUCH_ACCOUNT", body = Errors))
)]
async fn get_storage(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
) -> Answer<Json<Storage>> {
    Ok(Json(api.admin.namespace_storage(&actor, &path.namespace()?).await?.into()))
}

/// Set the quota of a namespace
///
/// Pushes, promotions and mirrors that would exceed it are rejected; existing data is kept. Only for administrators.
#[utoipa::path(
    put, path = "/accounts/{namespace}/quota", tag = "accounts",
    params(NamespacePath),
    request_body = Quota,
    responses((status = 200, body = Storage), (status = 404, description = "NO_SUCH_ACCOUNT", body = Errors))
)]
async fn set_quota(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
    Body(quota): Body<Quota>,
) -> Answer<Json<Storage>> {
    Ok(Json(api.admin.set_quota(&actor, &path.namespace()?, quota.quota_bytes).await?.into()))
}
