//! Push mirrors.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use longshore_model::policy::{Mirror, Save};
use longshore_model::{Actor, Code, PolicyId, PushMirror};
use longshore_oci::RepositoryName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::mirroring::{Remotes, mirror, other_direction};
use super::{Answer, Merge};
use crate::Api;
use crate::dto::InitialEvaluation;
use crate::dto::mirror::{CreatePushMirroringPolicy, PushMirroringPolicy, UpdatePushMirroringPolicy};
use crate::error::Errors;
use crate::extract::{Body, PolicyPath, Query, RepositoryPath, Who};

const MISSING: Code = Code::NoSuchPushMirroringPolicy;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_push_mirroring_policies, create_push_mirroring_policy)).routes(
        routes!(get_push_mirroring_policy, update_push_mirroring_policy, delete_push_mirroring_policy),
    )
}

async fn find(api: &Api, actor: &Actor, repository: &RepositoryName, id: PolicyId) -> Answer<PushMirror> {
    match mirror(api, actor, repository, id, MISSING).await? {
        Mirror::Push { mirror } => Ok(mirror),
        Mirror::Pull { .. } => Err(other_direction(id, MISSING)),
    }
}

async fn present(api: &Api, actor: &Actor, mirror: PushMirror) -> Answer<PushMirroringPolicy> {
    let mut remotes = Remotes::new(api, actor);
    let remote = remotes.get(mirror.remote).await?;
    Ok(PushMirroringPolicy::new(mirror, remote))
}

/// List push mirrors
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/pushMirroringPolicies", tag = "mirrors",
    params(RepositoryPath),
    responses((status = 200, body = [PushMirroringPolicy])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_push_mirroring_policies(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
) -> Answer<Json<Vec<PushMirroringPolicy>>> {
    let mut remotes = Remotes::new(&api, &actor);
    let mut shown = Vec::new();
    for mirror in api.admin.mirrors(&actor, &path.repository()?).await? {
        if let Mirror::Push { mirror } = mirror {
            let remote = remotes.get(mirror.remote).await?;
            shown.push(PushMirroringPolicy::new(mirror, remote));
        }
    }
    Ok(Json(shown))
}

/// Create a push mirror
///
/// The connection is tested first; the credentials must permit pushing.
#[utoipa::path(
    post, path = "/repositories/{namespace}/{reponame}/pushMirroringPolicies", tag = "mirrors",
    params(RepositoryPath, InitialEvaluation),
    request_body = CreatePushMirroringPolicy,
    responses(
        (status = 201, body = PushMirroringPolicy),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, INVALID_PUSH_MIRRORING_POLICY, \
                REMOTE_REGISTRY_INVALID_PERMISSIONS, SECRET_NEEDED, CONFLICTING_PARAMETERS",
        ),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_REMOTE", body = Errors),
        (status = 409, description = "LIMIT_REACHED", body = Errors),
    )
)]
async fn create_push_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    Query(initial): Query<InitialEvaluation>,
    Body(policy): Body<CreatePushMirroringPolicy>,
) -> Answer<(StatusCode, Json<PushMirroringPolicy>)> {
    let save = initial.with_body(policy.initial_evaluation)?;
    let mirror = api.admin.create_push_mirror(&actor, &path.repository()?, policy.draft()?, save).await?;
    Ok((StatusCode::CREATED, Json(present(&api, &actor, mirror).await?)))
}

/// Get a push mirror
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/pushMirroringPolicies/{id}", tag = "mirrors",
    params(PolicyPath),
    responses(
        (status = 200, body = PushMirroringPolicy),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_PUSH_MIRRORING_POLICY", body = Errors),
    ),
    security((), ("basic" = []), ("session" = []))
)]
async fn get_push_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<Json<PushMirroringPolicy>> {
    let mirror = find(&api, &actor, &path.repository()?, path.id(MISSING)?).await?;
    Ok(Json(present(&api, &actor, mirror).await?))
}

/// Change a push mirror
///
/// Omitted fields keep their current values, including concurrent changes; empty or omitted credentials keep the stored
/// ones. The connection is tested first, unless only `enabled` changes.
#[utoipa::path(
    put, path = "/repositories/{namespace}/{reponame}/pushMirroringPolicies/{id}", tag = "mirrors",
    params(PolicyPath, InitialEvaluation),
    request_body = UpdatePushMirroringPolicy,
    responses(
        (status = 200, body = PushMirroringPolicy),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, INVALID_PUSH_MIRRORING_POLICY, \
                REMOTE_REGISTRY_INVALID_PERMISSIONS, SECRET_NEEDED, CONFLICTING_PARAMETERS",
        ),
        (
            status = 404, body = Errors,
            description = "NO_SUCH_REPOSITORY, NO_SUCH_PUSH_MIRRORING_POLICY, NO_SUCH_REMOTE",
        ),
        (
            status = 409, body = Errors,
            description = "POLICY_CHANGED: the version in the body is outdated; REMOTE_CHANGED: its remote \
                was changed while it was tested",
        ),
    )
)]
async fn update_push_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
    Query(initial): Query<InitialEvaluation>,
    Body(change): Body<UpdatePushMirroringPolicy>,
) -> Answer<Json<PushMirroringPolicy>> {
    let (repository, id) = (path.repository()?, path.id(MISSING)?);
    let save = initial.with_body(change.initial_evaluation)?;
    let mut merge = Merge::over(change.version);
    match (change.only_enabled(), save) {
        // A mirror can be disabled while its registry is down.
        (Some(enabled), save) if !enabled || save == Save::Future => {
            find(&api, &actor, &repository, id).await?;
            api.admin.enable_mirror(&actor, &repository, id, merge.named(), enabled).await?;
        }
        _ => loop {
            let now = find(&api, &actor, &repository, id).await?;
            let based_on = merge.based_on(now.common.version);
            let mut remotes = Remotes::new(&api, &actor);
            let draft = change.clone().over(&now, remotes.get(now.remote).await?)?;
            let changed = api.admin.change_push_mirror(&actor, &repository, id, based_on, draft, save).await;
            if !merge.again(&changed) {
                changed?;
                break;
            }
        },
    }
    let mirror = find(&api, &actor, &repository, id).await?;
    Ok(Json(present(&api, &actor, mirror).await?))
}

/// Delete a push mirror
#[utoipa::path(
    delete, path = "/repositories/{namespace}/{reponame}/pushMirroringPolicies/{id}", tag = "mirrors",
    params(PolicyPath),
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_PUSH_MIRRORING_POLICY", body = Errors),
    )
)]
async fn delete_push_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<StatusCode> {
    let (repository, id) = (path.repository()?, path.id(MISSING)?);
    find(&api, &actor, &repository, id).await?;
    api.admin.delete_mirror(&actor, &repository, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
