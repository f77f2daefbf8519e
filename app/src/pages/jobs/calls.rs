//! Jobs and their logs: what the list and the page of one ask of the server.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    JobId, Page, PageRequest,
    job::{self, JobFilter, LogPart},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::asked;

/// The jobs that the reader may see, newest first.
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

/// The parts of a job.
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

/// How many lines of a log a page comes with; the rest follows by the stream of events.
#[cfg(feature = "ssr")]
const LOG_LINES: i64 = 1000;

/// Stops a job.
#[server(input = Json)]
pub(super) async fn cancel_job(id: JobId) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.cancel_job(&actor, id).await?)
}

/// Does the work of all failed jobs of a filter again.
#[server(input = Json)]
pub(super) async fn retry_failed(filter: JobFilter) -> Answer<job::RetriedJobs> {
    let (admin, actor) = asked()?;
    Ok(admin.retry_failed(&actor, filter).await?)
}

/// Does the work of a failed job again, as a new job.
#[server(input = Json)]
pub(super) async fn retry_job(id: JobId) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.retry_job(&actor, id).await?)
}
