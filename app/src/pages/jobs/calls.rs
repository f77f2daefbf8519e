//! Server functions for jobs and their logs.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    JobId, Page, PageRequest,
    job::{self, JobFilter, LogPart},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::asked;

/// The jobs that the user may see, newest first.
#[server(input = Json)]
pub(super) async fn jobs(filter: JobFilter, page: PageRequest) -> Answer<Page<job::Job>> {
    let (admin, actor) = asked()?;
    Ok(admin.jobs(&actor, &filter, &page).await?)
}

/// One job.
#[server(input = Json)]
pub(super) async fn job(id: JobId) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.job(&actor, id).await?)
}

/// The child jobs of a job.
#[server(input = Json)]
pub(super) async fn job_children(id: JobId) -> Answer<Vec<job::Job>> {
    let (admin, actor) = asked()?;
    Ok(admin.job_children(&actor, id).await?)
}

/// The beginning of a job's log.
#[server(input = Json)]
pub(super) async fn job_log(id: JobId) -> Answer<LogPart> {
    let (admin, actor) = asked()?;
    Ok(admin.job_log_part(&actor, id, 0, LOG_LINES).await?)
}

/// The number of log lines in a page; the event stream delivers the rest.
#[cfg(feature = "ssr")]
const LOG_LINES: i64 = 1000;

/// Cancels a job.
#[server(input = Json)]
pub(super) async fn cancel_job(id: JobId) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.cancel_job(&actor, id).await?)
}

/// Retries all failed jobs that match a filter.
#[server(input = Json)]
pub(super) async fn retry_failed(filter: JobFilter) -> Answer<job::RetriedJobs> {
    let (admin, actor) = asked()?;
    Ok(admin.retry_failed(&actor, filter).await?)
}

/// Retries a failed job as a new job.
#[server(input = Json)]
pub(super) async fn retry_job(id: JobId) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.retry_job(&actor, id).await?)
}
