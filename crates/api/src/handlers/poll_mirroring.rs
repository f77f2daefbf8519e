//! Pull mirrors ("poll" in DTR's words).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use longshore_model::policy::{Baseline, Mirror, Save};
use longshore_model::{Actor, Code, PolicyId, PullMirror};
use longshore_oci::RepositoryName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::mirroring::{Remotes, mirror, other_direction};
use super::{Answer, Merge};
use crate::Api;
use crate::dto::InitialEvaluation;
use crate::dto::job::Job;
use crate::dto::mirror::{CreatePollMirroringPolicy, PollMirroringPolicy, UpdatePollMirroringPolicy};
use crate::dto::pause::PollPlan;
use crate::error::Errors;
use crate::extract::{Body, PolicyPath, Query, RepositoryPath, Who};

const MISSING: Code = Code::NoSuchPollMirroringPolicy;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_poll_mirroring_policies, create_poll_mirroring_policy))
        .routes(routes!(
            get_poll_mirroring_policy,
            update_poll_mirroring_policy,
            delete_poll_mirroring_policy
        ))
        .routes(routes!(sync_poll_mirroring_policy))
        .routes(routes!(plan_poll_mirroring_policy))
}

async fn find(api: &Api, actor: &Actor, repository: &RepositoryName, id: PolicyId) -> Answer<PullMirror> {
    match mirror(api, actor, repository, id, MISSING).await? {
        Mirror::Pull { mirror } => Ok(mirror),
        Mirror::Push { .. } => Err(other_direction(id, MISSING)),
    }
}

async fn present(api: &Api, actor: &Actor, mirror: PullMirror) -> Answer<PollMirroringPolicy> {
    let mut remotes = Remotes::new(api, actor);
    let remote = remotes.get(mirror.remote).await?;
    Ok(PollMirroringPolicy::new(mirror, remote))
}

/// List pull mirrors
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/pollMirroringPolicies", tag = "mirrors",
    params(RepositoryPath),
    responses((status = 200, body = [PollMirroringPolicy])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_poll_mirroring_policies(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
) -> Answer<Json<Vec<PollMirroringPolicy>>> {
    let mut remotes = Remotes::new(&api, &actor);
    let mut shown = Vec::new();
    for mirror in api.admin.mirrors(&actor, &path.repository()?).await? {
        if let Mirror::Pull { mirror } = mirror {
            let remote = remotes.get(mirror.remote).await?;
            shown.push(PollMirroringPolicy::new(mirror, remote));
        }
    }
    Ok(Json(shown))
}

/// Create a pull mirror
///
/// The connection is tested first. With `initialEvaluation=false`, existing remote tags are ignored until they change.
#[utoipa::path(
    post, path = "/repositories/{namespace}/{reponame}/pollMirroringPolicies", tag = "mirrors",
    params(RepositoryPath, InitialEvaluation),
    request_body = CreatePollMirroringPolicy,
    responses(
        (status = 201, body = PollMirroringPolicy),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, INVALID_POLL_MIRRORING_POLICY, \
                REMOTE_REGISTRY_INVALID_PERMISSIONS, SECRET_NEEDED, CONFLICTING_PARAMETERS",
        ),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_REMOTE", body = Errors),
        (status = 409, description = "LIMIT_REACHED", body = Errors),
    )
)]
async fn create_poll_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<RepositoryPath>,
    Query(initial): Query<InitialEvaluation>,
    Body(policy): Body<CreatePollMirroringPolicy>,
) -> Answer<(StatusCode, Json<PollMirroringPolicy>)> {
    let save = initial.with_body(policy.initial_evaluation)?;
    let mirror = api.admin.create_pull_mirror(&actor, &path.repository()?, policy.draft()?, save).await?;
    Ok((StatusCode::CREATED, Json(present(&api, &actor, mirror).await?)))
}

/// Get a pull mirror
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}", tag = "mirrors",
    params(PolicyPath),
    responses(
        (status = 200, body = PollMirroringPolicy),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_POLL_MIRRORING_POLICY", body = Errors),
    ),
    security((), ("basic" = []), ("session" = []))
)]
async fn get_poll_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<Json<PollMirroringPolicy>> {
    let mirror = find(&api, &actor, &path.repository()?, path.id(MISSING)?).await?;
    Ok(Json(present(&api, &actor, mirror).await?))
}

/// Change a pull mirror
///
/// Omitted fields keep their current values, including concurrent changes; empty or omitted credentials keep the stored
/// ones. The connection is tested first, unless only `enabled` changes.
#[utoipa::path(
    put, path = "/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}", tag = "mirrors",
    params(PolicyPath),
    request_body = UpdatePollMirroringPolicy,
    responses(
        (status = 200, body = PollMirroringPolicy),
        (
            status = 400, body = Errors,
            description = "INVALID_REQUEST, INVALID_POLL_MIRRORING_POLICY, \
                REMOTE_REGISTRY_INVALID_PERMISSIONS, SECRET_NEEDED, CONFLICTING_PARAMETERS",
        ),
        (
            status = 404, body = Errors,
            description = "NO_SUCH_REPOSITORY, NO_SUCH_POLL_MIRRORING_POLICY, NO_SUCH_REMOTE",
        ),
        (
            status = 409, body = Errors,
            description = "POLICY_CHANGED: the version in the body is outdated; REMOTE_CHANGED: its remote \
                was changed while it was tested",
        ),
    )
)]
async fn update_poll_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
    Body(change): Body<UpdatePollMirroringPolicy>,
) -> Answer<Json<PollMirroringPolicy>> {
    let (repository, id) = (path.repository()?, path.id(MISSING)?);
    let mut merge = Merge::over(change.version);
    match change.only_enabled() {
        // A mirror can be disabled while its registry is down.
        Some(enabled) => {
            find(&api, &actor, &repository, id).await?;
            api.admin.enable_mirror(&actor, &repository, id, merge.named(), enabled).await?;
        }
        None => loop {
            let now = find(&api, &actor, &repository, id).await?;
            let based_on = merge.based_on(now.common.version);
            let mut remotes = Remotes::new(&api, &actor);
            let draft = change.clone().over(&now, remotes.get(now.remote).await?)?;
            // DTR's PUT has no `initialEvaluation`: keep the mirror's own setting.
            let save = match now.baseline {
                Baseline::None => Save::Apply,
                Baseline::Pending | Baseline::Complete => Save::Future,
            };
            let changed = api.admin.change_pull_mirror(&actor, &repository, id, based_on, draft, save).await;
            if !merge.again(&changed) {
                changed?;
                break;
            }
        },
    }
    let mirror = find(&api, &actor, &repository, id).await?;
    Ok(Json(present(&api, &actor, mirror).await?))
}

/// Delete a pull mirror
///
/// Mirrored tags are kept.
#[utoipa::path(
    delete, path = "/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}", tag = "mirrors",
    params(PolicyPath),
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_POLL_MIRRORING_POLICY", body = Errors),
    )
)]
async fn delete_poll_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<StatusCode> {
    let (repository, id) = (path.repository()?, path.id(MISSING)?);
    find(&api, &actor, &repository, id).await?;
    api.admin.delete_mirror(&actor, &repository, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Poll a pull mirror now
///
/// Returns the job. If one is already queued or running, that one is returned.
#[utoipa::path(
    post, path = "/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}/sync", tag = "mirrors",
    params(PolicyPath),
    responses(
        (status = 202, body = Job),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_POLL_MIRRORING_POLICY", body = Errors),
    )
)]
async fn sync_poll_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<(StatusCode, Json<Job>)> {
    let (repository, id) = (path.repository()?, path.id(MISSING)?);
    find(&api, &actor, &repository, id).await?;
    let job = api.admin.sync_now(&actor, &repository, id).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// Get the plan of the next poll of a pull mirror
///
/// Contacts the other registry, and changes nothing.
#[utoipa::path(
    get, path = "/repositories/{namespace}/{reponame}/pollMirroringPolicies/{id}/plan", tag = "mirrors",
    params(PolicyPath),
    responses(
        (status = 200, body = PollPlan),
        (status = 400, description = "REMOTE_REGISTRY_INVALID_PERMISSIONS", body = Errors),
        (status = 404, description = "NO_SUCH_REPOSITORY, NO_SUCH_POLL_MIRRORING_POLICY", body = Errors),
    )
)]
async fn plan_poll_mirroring_policy(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<PolicyPath>,
) -> Answer<Json<PollPlan>> {
    let (repository, id) = (path.repository()?, path.id(MISSING)?);
    find(&api, &actor, &repository, id).await?;
    Ok(Json(api.admin.plan_poll(&actor, &repository, id).await?.into()))
}
