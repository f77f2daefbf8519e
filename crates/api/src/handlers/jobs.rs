//! Listing, starting, cancelling and retrying jobs, and their logs.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use longshore_model::job::{JobFilter, LogLine as ModelLine};
use longshore_model::{Actor, Code, JobId, Page, PolicyId, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use crate::Api;
use crate::dto::job::{CreateJob, Job, Jobs, LogLine, LogQuery, RetriedJobs};
use crate::dto::job_query::{JobQuery, Wanted};
use crate::error::Errors;
use crate::extract::{Body, IdPath, Query, Who};
use crate::paging::{Paging, json_array};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs, create_job))
        .routes(routes!(get_job))
        .routes(routes!(get_job_logs))
        .routes(routes!(cancel_job))
        .routes(routes!(retry_job))
        .routes(routes!(retry_failed_jobs))
}

impl IdPath {
    fn job(&self) -> Answer<JobId> {
        Ok(self.id(Code::NoSuchJob)?)
    }
}

/// The filter of a query; `None` if no job can match it.
fn job_filter(query: &JobQuery) -> Answer<Option<JobFilter>> {
    let (action, status) = (query.wanted_action()?, query.wanted_status()?);
    let repository = query.repository.as_deref().filter(|name| !name.is_empty()).map(|name| {
        name.parse().map_err(|error| {
            Problem::field(
                Code::InvalidRequest,
                "repository",
                format!("“{name}” is not a valid repository name: {error}."),
            )
        })
    });
    if matches!(action, Wanted::Nothing) || matches!(status, Wanted::Nothing) {
        return Ok(None);
    }
    Ok(Some(JobFilter {
        action: action.one(),
        status: status.one(),
        repository: repository.transpose()?,
        policy: query.policy_id.map(PolicyId),
        parent: query.parent_id.map(JobId),
        without_evaluations: false,
    }))
}

/// List jobs
///
/// The jobs about repositories that the caller administers, newest first. Tags that were pushed before the request are
/// evaluated first, so that the list contains the copies that they caused; the request waits at most a second for that.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs",
    params(Paging, JobQuery),
    responses((status = 200, body = Jobs))
)]
async fn list_jobs(
    State(api): State<Api>,
    Who(actor): Who,
    paging: Paging,
    Query(query): Query<JobQuery>,
) -> Answer<Response> {
    let filter = job_filter(&query)?;
    api.admin.after_evaluations(&actor).await?;
    let page = match filter {
        None => Page::empty(),
        Some(filter) => api.admin.jobs(&actor, &filter, paging.request()).await?,
    };
    Ok(paging.answer(page, |jobs| Jobs { jobs: jobs.into_iter().map(Job::from).collect() }))
}

/// Start a job
///
/// `poll_mirror` polls every enabled pull mirror that the caller administers; the result is a parent job with one child
/// per poll, which includes polls that are already queued or running. `garbage_collect` removes unreferenced data, or
/// with `dryRun` reports what would be removed. `scrub` verifies all stored data. The report is the outcome of the job.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs",
    request_body = CreateJob,
    responses(
        (status = 202, body = Job),
        (status = 400, description = "INVALID_REQUEST, INVALID_JOB", body = Errors),
        (status = 409, description = "LIMIT_REACHED", body = Errors),
    )
)]
async fn create_job(
    State(api): State<Api>,
    Who(actor): Who,
    Body(job): Body<CreateJob>,
) -> Answer<(StatusCode, Json<Job>)> {
    if job.scheduled_at.is_some_and(|at| !at.is_empty()) {
        let message = "Jobs start immediately; use the interval of a pull mirror for later polls.";
        return Err(Problem::field(Code::InvalidJob, "scheduledAt", message).into());
    }
    let started = match job.action.as_str() {
        "poll_mirror" if job.dry_run => {
            let message = "poll_mirror does not support dryRun; garbage_collect does.";
            return Err(Problem::field(Code::InvalidJob, "dryRun", message).into());
        }
        "poll_mirror" => api.admin.poll_all(&actor).await?,
        "scrub" if job.dry_run => {
            let message = "scrub does not support dryRun, because it removes nothing that is in use.";
            return Err(Problem::field(Code::InvalidJob, "dryRun", message).into());
        }
        "scrub" => api.admin.scrub(&actor).await?,
        "garbage_collect" => api.admin.collect_garbage(&actor, job.dry_run).await?,
        other => {
            let message = format!(
                "A job “{other}” cannot be started by hand; only poll_mirror, garbage_collect and scrub can."
            );
            return Err(Problem::field(Code::InvalidJob, "action", message).into());
        }
    };
    Ok((StatusCode::ACCEPTED, Json(started.into())))
}

/// Get a job
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs",
    params(IdPath),
    responses((status = 200, body = Job), (status = 404, description = "NO_SUCH_JOB", body = Errors))
)]
async fn get_job(State(api): State<Api>, Who(actor): Who, Path(path): Path<IdPath>) -> Answer<Json<Job>> {
    let job = api.admin.job(&actor, path.job()?).await?;
    Ok(Json(job.into()))
}

/// The log of a job after line `after`, at most `limit` lines, in parts.
fn log_parts(
    api: Api,
    actor: Actor,
    id: JobId,
    after: i64,
    limit: usize,
) -> impl Stream<Item = Result<Vec<ModelLine>, Problem>> + Send + 'static {
    stream::try_unfold((after, limit), move |(after, left)| {
        let (api, actor) = (api.clone(), actor.clone());
        async move {
            if left == 0 {
                return Ok(None);
            }
            let wanted = i64::try_from(left).unwrap_or(i64::MAX);
            let lines = api.admin.job_logs(&actor, id, after, wanted).await?;
            let Some(last) = lines.last() else { return Ok(None) };
            let next = (last.line, left.saturating_sub(lines.len()));
            Ok(Some((lines, next)))
        }
    })
}

/// Get the log of a job
#[utoipa::path(
    get, path = "/jobs/{id}/logs", tag = "jobs",
    params(IdPath, LogQuery),
    responses((status = 200, body = [LogLine]), (status = 404, description = "NO_SUCH_JOB", body = Errors))
)]
async fn get_job_logs(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
    Query(query): Query<LogQuery>,
) -> Answer<Response> {
    if query.stream.unwrap_or(false) {
        let message = "Logs are not streamed here; use /events?job=… to follow a job.";
        return Err(Problem::field(Code::InvalidRequest, "stream", message).into());
    }
    let limit = match query.limit.unwrap_or(0) {
        0 => usize::MAX,
        limit => limit as usize,
    };
    let after = i64::from(query.offset.unwrap_or(0));
    let mut parts = Box::pin(log_parts(api, actor, path.job()?, after, limit));
    // Checked before the response starts, so that a missing job is a 404.
    let first = parts.try_next().await?.unwrap_or_default();
    let all = stream::once(async { Ok(first) }).chain(parts);
    Ok(json_array(all.map_ok(|lines| lines.into_iter().map(LogLine::from).collect::<Vec<_>>())))
}

/// Cancel a job
///
/// A queued job never runs; a running one stops within a second.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", tag = "jobs",
    params(IdPath),
    responses(
        (status = 204),
        (status = 404, description = "NO_SUCH_JOB", body = Errors),
        (status = 409, description = "JOB_ENDED", body = Errors),
    )
)]
async fn cancel_job(State(api): State<Api>, Who(actor): Who, Path(path): Path<IdPath>) -> Answer<StatusCode> {
    api.admin.cancel_job(&actor, path.job()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Retry a job
///
/// Creates a new job for one that failed or was canceled. If a retry is already queued or running, that one is
/// returned.
#[utoipa::path(
    post, path = "/jobs/{id}/retry", tag = "jobs",
    params(IdPath),
    responses(
        (status = 202, body = Job),
        (status = 400, description = "INVALID_JOB", body = Errors),
        (status = 404, description = "NO_SUCH_JOB", body = Errors),
        (status = 409, description = "LIMIT_REACHED", body = Errors),
    )
)]
async fn retry_job(
    State(api): State<Api>,
    Who(actor): Who,
    Path(path): Path<IdPath>,
) -> Answer<(StatusCode, Json<Job>)> {
    let job = api.admin.retry_job(&actor, path.job()?).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// Retry all failed jobs
///
/// Retries at most 100 failed jobs that match the filter and have not been retried yet, newest first, each like
/// `/jobs/{id}/retry`. `left` is the number of jobs that cannot be retried; `more` means that older jobs were not
/// examined. Of the failed polls of a pull mirror only the last one is retried. A status in the filter is ignored.
#[utoipa::path(
    post, path = "/jobs/retry", tag = "jobs",
    params(JobQuery),
    responses((status = 202, body = RetriedJobs))
)]
async fn retry_failed_jobs(
    State(api): State<Api>,
    Who(actor): Who,
    Query(query): Query<JobQuery>,
) -> Answer<(StatusCode, Json<RetriedJobs>)> {
    let retried = match job_filter(&JobQuery { status: None, running: None, ..query })? {
        None => Default::default(),
        Some(filter) => api.admin.retry_failed(&actor, filter).await?,
    };
    Ok((StatusCode::ACCEPTED, Json(retried.into())))
}
