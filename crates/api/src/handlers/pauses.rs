//! Pausing and resuming the system, a namespace or a remote.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use longshore_model::{Actor, Code, PauseScope, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::pause::{PausePlan, PauseState, QueuedJob, ResumeQuery, Resumed};
use crate::error::Errors;
use crate::extract::{IdPath, NamespacePath, Query, Who};
use crate::paging::Paging;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_pauses))
        .routes(routes!(pause_system, resume_system))
        .routes(routes!(system_queue))
        .routes(routes!(system_plan))
        .routes(routes!(pause_namespace, resume_namespace))
        .routes(routes!(namespace_queue))
        .routes(routes!(namespace_plan))
        .routes(routes!(pause_remote, resume_remote))
        .routes(routes!(remote_queue))
        .routes(routes!(remote_plan))
}

/// 201 for a new pause, 200 for an existing one.
async fn pause(api: &Api, actor: &Actor, scope: &PauseScope) -> Answer<(StatusCode, Json<PauseState>)> {
    let (pause, begun) = api.admin.pause(actor, scope).await?;
    let status = if begun { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(pause.into())))
}

async fn resume(api: &Api, actor: &Actor, scope: &PauseScope, query: &ResumeQuery) -> Answer<Json<Resumed>> {
    Ok(Json(api.admin.resume(actor, scope, query.queued()?).await?.into()))
}

async fn queue(api: &Api, actor: &Actor, scope: &PauseScope, paging: &Paging) -> Answer<Response> {
    let queue = api.admin.pause_queue(actor, scope, paging.request()).await?;
    let queue = queue.ok_or_else(not_paused)?;
    Ok(paging.answer(queue.jobs, |jobs| jobs.into_iter().map(QueuedJob::from).collect::<Vec<_>>()))
}

async fn plan(api: &Api, actor: &Actor, scope: &PauseScope) -> Answer<Json<PausePlan>> {
    let plan = api.admin.pause_plan(actor, scope).await?;
    Ok(Json(plan.ok_or_else(not_paused)?.into()))
}

fn not_paused() -> Problem {
    Problem::new(Code::NoSuchPause, "It is not paused, so no jobs are held.")
}

/// List pauses
///
/// The pause of the system, and those of namespaces and remotes that the caller administers, with the number of held
/// jobs.
#[utoipa::path(
    get, path = "/pauses", tag = "pauses",
    responses((status = 200, body = [PauseState])),
    security((), ("basic" = []), ("session" = []))
)]
async fn list_pauses(State(api): State<Api>, Who(actor): Who) -> Answer<Json<Vec<PauseState>>> {
    let pauses = api.admin.pauses(&actor).await?;
    Ok(Json(pauses.into_iter().map(PauseState::from).collect()))
}

/// Pause the system
///
/// Stops all policies and mirrors immediately, even during a transfer; their jobs are held. Pushes, pulls and
/// promotions by hand still work. An existing pause is kept. Only for administrators.
#[utoipa::path(
    put, path = "/pauses/system", tag = "pauses",
    responses(
        (status = 201, description = "The pause is new.", body = PauseState),
        (status = 200, description = "It was already paused.", body = PauseState),
    )
)]
async fn pause_system(State(api): State<Api>, Who(actor): Who) -> Answer<(StatusCode, Json<PauseState>)> {
    pause(&api, &actor, &PauseScope::System).await
}

/// Resume the system
///
/// Jobs that a pause of a namespace or a remote holds stay held. Only for administrators.
#[utoipa::path(
    delete, path = "/pauses/system", tag = "pauses",
    params(ResumeQuery),
    responses((status = 200, body = Resumed), (status = 404, description = "NO_SUCH_PAUSE", body = Errors))
)]
async fn resume_system(
    State(api): State<Api>,
    Who(actor): Who,
    Query(query): Query<ResumeQuery>,
) -> Answer<Json<Resumed>> {
    resume(&api, &actor, &PauseScope::System, &query).await
}

/// List the jobs that the pause of the system holds
///
/// Oldest first, without jobs that a pause of a namespace or a remote holds.
#[utoipa::path(
    get, path = "/pauses/system/queue", tag = "pauses",
    params(Paging),
    responses((status = 200, body = [QueuedJob]), (status = 404, description = "NO_SUCH_PAUSE", body = Errors))
)]
async fn system_queue(State(api): State<Api>, Who(actor): Who, paging: Paging) -> Answer<Response> {
    queue(&api, &actor, &PauseScope::System, &paging).await
}

/// Get the plan of resuming the system
///
/// What each policy and mirror would do if all held jobs ran now.
#[utoipa::path(
    get, path = "/pauses/system/plan", tag = "pauses",
    responses((status = 200, body = PausePlan), (status = 404, description = "NO_SUCH_PAUSE", body = Errors))
)]
async fn system_plan(State(api): State<Api>, Who(actor): Who) -> Answer<Json<PausePlan>> {
    plan(&api, &actor, &PauseScope::System).await
}

fn namespace(path: &NamespacePath) -> Answer<PauseScope> {
    Ok(PauseScope::Namespace(path.namespace()?))
}

/// Pause a namespace
///
/// Stops the policies and mirrors of its repositories; promotions into them from other namespaces still work. For users
/// who administer the namespace.
#[utoipa::path(
    put, path = "/pauses/namespaces/{namespace}", tag = "pauses",
    params(NamespacePath),
    responses(
        (status = 201, description = "The pause is new.", body = PauseState),
        (status = 200, description = "It was already paused.", body = PauseState),
        (status = 404, description = "NO_SUCH_ACCOUNT", body = Errors),
    )
)]
async fn pause_namespace(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
) -> Answer<(StatusCode, Json<PauseState>)> {
    pause(&api, &actor, &namespace(&path)?).await
}

/// Resume a namespace
#[utoipa::path(
    delete, path = "/pauses/namespaces/{namespace}", tag = "pauses",
    params(NamespacePath, ResumeQuery),
    responses(
        (status = 200, body = Resumed),
        (status = 404, description = "NO_SUCH_ACCOUNT, NO_SUCH_PAUSE", body = Errors),
    )
)]
async fn resume_namespace(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
    Query(query): Query<ResumeQuery>,
) -> Answer<Json<Resumed>> {
    resume(&api, &actor, &namespace(&path)?, &query).await
}

/// List the jobs that the pause of a namespace holds
///
/// Oldest first.
#[utoipa::path(
    get, path = "/pauses/namespaces/{namespace}/queue", tag = "pauses",
    params(NamespacePath, Paging),
    responses(
        (status = 200, body = [QueuedJob]),
        (status = 404, description = "NO_SUCH_ACCOUNT, NO_SUCH_PAUSE", body = Errors),
    )
)]
async fn namespace_queue(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
    paging: Paging,
) -> Answer<Response> {
    queue(&api, &actor, &namespace(&path)?, &paging).await
}

/// Get the plan of resuming a namespace
#[utoipa::path(
    get, path = "/pauses/namespaces/{namespace}/plan", tag = "pauses",
    params(NamespacePath),
    responses(
        (status = 200, body = PausePlan),
        (status = 404, description = "NO_SUCH_ACCOUNT, NO_SUCH_PAUSE", body = Errors),
    )
)]
async fn namespace_plan(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<NamespacePath>,
) -> Answer<Json<PausePlan>> {
    plan(&api, &actor, &namespace(&path)?).await
}

fn remote(path: &IdPath) -> Answer<PauseScope> {
    Ok(PauseScope::Remote(path.remote()?))
}

/// Pause a remote
///
/// Stops the mirrors that use it, and holds pushes to it by hand. For users who administer its owner.
#[utoipa::path(
    put, path = "/pauses/remotes/{id}", tag = "pauses",
    params(IdPath),
    responses(
        (status = 201, description = "The pause is new.", body = PauseState),
        (status = 200, description = "It was already paused.", body = PauseState),
        (status = 404, description = "NO_SUCH_REMOTE", body = Errors),
    )
)]
async fn pause_remote(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
) -> Answer<(StatusCode, Json<PauseState>)> {
    pause(&api, &actor, &remote(&path)?).await
}

/// Resume a remote
#[utoipa::path(
    delete, path = "/pauses/remotes/{id}", tag = "pauses",
    params(IdPath, ResumeQuery),
    responses(
        (status = 200, body = Resumed),
        (status = 404, description = "NO_SUCH_REMOTE, NO_SUCH_PAUSE", body = Errors),
    )
)]
async fn resume_remote(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
    Query(query): Query<ResumeQuery>,
) -> Answer<Json<Resumed>> {
    resume(&api, &actor, &remote(&path)?, &query).await
}

/// List the jobs that the pause of a remote holds
///
/// Oldest first.
#[utoipa::path(
    get, path = "/pauses/remotes/{id}/queue", tag = "pauses",
    params(IdPath, Paging),
    responses(
        (status = 200, body = [QueuedJob]),
        (status = 404, description = "NO_SUCH_REMOTE, NO_SUCH_PAUSE", body = Errors),
    )
)]
async fn remote_queue(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
    paging: Paging,
) -> Answer<Response> {
    queue(&api, &actor, &remote(&path)?, &paging).await
}

/// Get the plan of resuming a remote
#[utoipa::path(
    get, path = "/pauses/remotes/{id}/plan", tag = "pauses",
    params(IdPath),
    responses(
        (status = 200, body = PausePlan),
        (status = 404, description = "NO_SUCH_REMOTE, NO_SUCH_PAUSE", body = Errors),
    )
)]
async fn remote_plan(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
) -> Answer<Json<PausePlan>> {
    plan(&api, &actor, &remote(&path)?).await
}
