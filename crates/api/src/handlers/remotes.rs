//! Saved connections to other registries.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use longshore_model::{Code, RemoteId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Merge};
use crate::Api;
use crate::dto::remote::{Remote, RemoteQuery, RemoteRegistryCheck, SaveRemote};
use crate::error::Errors;
use crate::extract::{Body, IdPath, Query, Who};
use crate::paging::Paging;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_remotes, create_remote))
        .routes(routes!(get_remote, update_remote, delete_remote))
        .routes(routes!(test_remote))
}

impl IdPath {
    pub(super) fn remote(&self) -> Answer<RemoteId> {
        Ok(self.id(Code::NoSuchRemote)?)
    }
}

/// List remotes
///
/// Those of the namespaces in which the caller may act.
#[utoipa::path(
    get, path = "/remotes", tag = "remotes",
    params(Paging, RemoteQuery),
    responses((status = 200, body = [Remote]))
)]
async fn list_remotes(
    State(api): State<Api>,
    Who(actor): Who,
    paging: Paging,
    Query(query): Query<RemoteQuery>,
) -> Answer<Response> {
    let search = query.search.filter(|search| !search.is_empty());
    let page = api.admin.remotes(&actor, search.as_deref(), paging.request()).await?;
    Ok(paging.answer(page, |remotes| remotes.into_iter().map(Remote::from).collect::<Vec<_>>()))
}

/// Save a remote
#[utoipa::path(
    post, path = "/remotes", tag = "remotes",
    request_body = SaveRemote,
    responses(
        (status = 201, body = Remote),
        (status = 400, description = "INVALID_REQUEST, INVALID_REMOTE", body = Errors),
        (status = 409, description = "LIMIT_REACHED", body = Errors),
    )
)]
async fn create_remote(
    State(api): State<Api>,
    Who(actor): Who,
    Body(remote): Body<SaveRemote>,
) -> Answer<(StatusCode, Json<Remote>)> {
    let remote = api.admin.create_remote(&actor, remote.over(None)).await?;
    Ok((StatusCode::CREATED, Json(remote.into())))
}

/// Get a remote
#[utoipa::path(
    get, path = "/remotes/{id}", tag = "remotes",
    params(IdPath),
    responses((status = 200, body = Remote), (status = 404, description = "NO_SUCH_REMOTE", body = Errors))
)]
async fn get_remote(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
) -> Answer<Json<Remote>> {
    let remote = api.admin.remote(&actor, path.remote()?).await?;
    Ok(Json(remote.into()))
}

/// Change a remote
///
/// Omitted fields are unchanged. The change applies to all mirrors that use the remote. The password must be sent again
/// if the URL, the proxy, the certificate authority or the verification changes.
#[utoipa::path(
    put, path = "/remotes/{id}", tag = "remotes",
    params(IdPath),
    request_body = SaveRemote,
    responses(
        (status = 200, body = Remote),
        (status = 400, description = "INVALID_REQUEST, INVALID_REMOTE, SECRET_NEEDED", body = Errors),
        (status = 404, description = "NO_SUCH_REMOTE", body = Errors),
        (status = 409, description = "REMOTE_CHANGED: the version in the body is outdated", body = Errors),
    )
)]
async fn update_remote(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
    Body(change): Body<SaveRemote>,
) -> Answer<Json<Remote>> {
    let id = path.remote()?;
    let mut merge = Merge::over(change.version);
    let remote = loop {
        let now = api.admin.remote(&actor, id).await?;
        let (based_on, draft) = (merge.based_on(now.version), change.clone().over(Some(&now)));
        let changed = api.admin.change_remote(&actor, id, based_on, draft).await;
        if !merge.again(&changed) {
            break changed?;
        }
    };
    Ok(Json(remote.into()))
}

/// Delete a remote
#[utoipa::path(
    delete, path = "/remotes/{id}", tag = "remotes",
    params(IdPath),
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_REMOTE", body = Errors),
        (status = 409, description = "REMOTE_IN_USE", body = Errors),
    )
)]
async fn delete_remote(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
) -> Answer<StatusCode> {
    api.admin.delete_remote(&actor, path.remote()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a remote with its stored settings
#[utoipa::path(
    post, path = "/remotes/{id}/test", tag = "remotes",
    params(IdPath),
    responses(
        (status = 200, body = RemoteRegistryCheck),
        (status = 404, description = "NO_SUCH_REMOTE", body = Errors),
    )
)]
async fn test_remote(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
) -> Answer<Json<RemoteRegistryCheck>> {
    let report = api.admin.test_remote(&actor, path.remote()?).await?;
    Ok(Json(report.into()))
}
