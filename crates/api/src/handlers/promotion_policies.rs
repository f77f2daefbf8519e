//! Promotion policies.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use longshore_model::policy::Save;
use longshore_model::view::Side;
use longshore_model::{Code, PolicyId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Merge};
use crate::Api;
use crate::dto::InitialEvaluation;
use crate::dto::promotion::{CreatePromotionPolicy, PromotionPolicy, SideQuery, UpdatePromotionPolicy};
use crate::error::Errors;
use crate::extract::{Body, PolicyPath, Query, RepositoryPath, Who};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_promotion_policies, create_promotion_policy)).routes(routes!(
        get_promotion_policy,
        update_promotion_policy,
        delete_promotion_policy
    ))
}

impl PolicyPath {
    fn promotion(&self) -> Answer<PolicyId> {
        Ok(self.id(Code::NoSuchPromotionPolicy)?)
    }
}

/// List promotion policies
///
/// Those whose source or target is the repository.
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/promotionPolicies", tag = "promotion policies",
    params(RepositoryPath, SideQuery),
    responses((status = 200, body = [PromotionPolicy])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_promotion_policies(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    Query(query): Query<SideQuery>,
) -> Answer<Json<Vec<PromotionPolicy>>> {
    let side = if query.source.unwrap_or(true) { Side::Source } else { Side::Target };
    let policies = api.admin.promotions(&actor, &path.repository()?, side).await?;
    Ok(Json(policies.into_iter().map(PromotionPolicy::from).collect()))
}

/// Create a promotion policy
///
/// Requires permission on source and target.
#[utoipa::path(
    post, path = "/repositories/{namespace}/{reponame}/promotionPolicies", tag = "promotion policies",
    params(RepositoryPath, InitialEvaluation),
    request_body = CreatePromotionPolicy,
    responses(
        (status = 201, body = PromotionPolicy),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, INVALID_PROMOTION_POLICY, CONFLICTING_PARAMETERS",
        ),
        (status = 409, description = "LIMIT_REACHED", body = Errors),
    )
)]
async fn create_promotion_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    Query(initial): Query<InitialEvaluation>,
    Body(policy): Body<CreatePromotionPolicy>,
) -> Answer<(StatusCode, Json<PromotionPolicy>)> {
    let save = initial.with_body(policy.initial_evaluation)?;
    let policy = api.admin.create_promotion(&actor, &path.repository()?, policy.into(), save).await?;
    Ok((StatusCode::CREATED, Json(policy.into())))
}

/// Get a promotion policy
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/promotionPolicies/{id}", tag = "promotion policies",
    params(PolicyPath),
    responses(
        (status = 200, body = PromotionPolicy),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_PROMOTION_POLICY", body = Errors),
    ),
    security((), ("basic" = []), ("session" = []))
)]
async fn get_promotion_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<Json<PromotionPolicy>> {
    let policy = api.admin.promotion(&actor, &path.repository()?, path.promotion()?).await?;
    Ok(Json(policy.into()))
}

/// Change a promotion policy
///
/// Omitted fields keep their current values, including concurrent changes. Requires permission on source and target.
#[utoipa::path(
    put, path = "/repositories/{namespace}/{reponame}/promotionPolicies/{id}", tag = "promotion policies",
    params(PolicyPath, InitialEvaluation),
    request_body = UpdatePromotionPolicy,
    responses(
        (status = 200, body = PromotionPolicy),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, INVALID_PROMOTION_POLICY, CONFLICTING_PARAMETERS",
        ),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_PROMOTION_POLICY", body = Errors),
        (
            status = 409, body = Errors,
            description = "POLICY_CHANGED: the version in the body is outdated",
        ),
    )
)]
async fn update_promotion_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
    Query(initial): Query<InitialEvaluation>,
    Body(change): Body<UpdatePromotionPolicy>,
) -> Answer<Json<PromotionPolicy>> {
    let (repository, id) = (path.repository()?, path.promotion()?);
    let save = initial.with_body(change.initial_evaluation)?;
    let mut merge = Merge::over(change.version);
    let policy = match (change.only_enabled(), save) {
        // Also works for a policy whose rules cannot be read.
        (Some(enabled), save) if !enabled || save == Save::Future => {
            api.admin.enable_promotion(&actor, &repository, id, merge.named(), enabled).await?
        }
        _ => loop {
            let now = api.admin.promotion(&actor, &repository, id).await?;
            let (based_on, draft) = (merge.based_on(now.common.version), change.clone().over(&now)?);
            let changed = api.admin.change_promotion(&actor, &repository, id, based_on, draft, save).await;
            if !merge.again(&changed) {
                break changed?;
            }
        },
    };
    Ok(Json(policy.into()))
}

/// Delete a promotion policy
///
/// Requires permission on source or target.
#[utoipa::path(
    delete, path = "/repositories/{namespace}/{reponame}/promotionPolicies/{id}", tag = "promotion policies",
    params(PolicyPath),
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_PROMOTION_POLICY", body = Errors),
    )
)]
async fn delete_promotion_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<StatusCode> {
    api.admin.delete_promotion(&actor, &path.repository()?, path.promotion()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
