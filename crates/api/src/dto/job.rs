//! Jobs: DTR's fields, and Longshore's own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_model::job::{Cause, Job as Model, JobAction, LogLine as ModelLine, Progress, Status};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::pause::Pause;
use super::remote::RemoteWait;
use super::tag::word;
use crate::extract::Wire;

/// One unit of background work.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    /// The identifier.
    id: Uuid,
    /// The job that this one retries.
    #[serde(rename = "retryFromID")]
    retry_from_id: Option<Uuid>,
    /// The server that runs or ran the job.
    #[serde(rename = "workerID")]
    worker_id: String,
    /// The status.
    status: Status,
    /// The earliest time at which the job may start.
    scheduled_at: Timestamp,
    /// The time of the last change of the job.
    last_updated: Timestamp,
    /// The kind of work.
    action: JobAction,
    /// For compatibility with DTR. Longshore does not count retries: it retries for as long as `--retry-hours` allows,
    /// so a job may be started again although this is 0.
    retries_left: u32,
    /// For compatibility with DTR: the remaining retries and those made.
    retries_total: u32,
    /// Capacity limits per worker; always empty.
    capacity_map: BTreeMap<String, i64>,
    /// What the job is about.
    #[schema(example = json!({"repository": "dev/website", "tag": "1.0-stable"}))]
    parameters: BTreeMap<&'static str, String>,
    /// For compatibility with DTR; always empty, because jobs have no deadline.
    deadline: String,
    /// For compatibility with DTR; always empty.
    stop_timeout: String,
    /// The local repository.
    repository: Option<String>,
    /// The policy or mirror that the job belongs to.
    #[serde(rename = "policyID")]
    policy_id: Option<Uuid>,
    /// The parent job.
    #[serde(rename = "parentID")]
    parent_id: Option<Uuid>,
    /// Why the job was created: `tag changed by …`, `schedule`, `started by …`, `push mirror`.
    cause: String,
    /// The number of times that a worker has started the job.
    attempt: u32,
    /// The progress.
    progress: JobProgress,
    /// Why the job failed, or why it will be retried.
    error: Option<String>,
    /// The outcome.
    outcome: Option<String>,
    /// The time of creation.
    created_at: Timestamp,
    /// The time at which a worker first started the job.
    started_at: Option<Timestamp>,
    /// The time at which the job ended.
    finished_at: Option<Timestamp>,
    /// The pause that holds the job.
    held_by: Option<Pause>,
    /// Why and until when work for the remote waits, if the job is held back by that.
    waits: Option<RemoteWait>,
}

/// The progress of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JobProgress {
    /// The number of completed tags.
    tags_done: u64,
    /// The number of tags; zero while unknown.
    tags_total: u64,
    /// The number of bytes that were copied or already existed.
    bytes_done: u64,
    /// The total number of bytes; zero while unknown.
    bytes_total: u64,
}

impl From<Progress> for JobProgress {
    fn from(progress: Progress) -> Self {
        Self {
            tags_done: progress.tags_done,
            tags_total: progress.tags_total,
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
        }
    }
}

impl From<Model> for Job {
    fn from(job: Model) -> Self {
        let repository = job.repository_name.as_ref().map(ToString::to_string);
        let here = repository.iter().map(|name| ("repository", name.clone()));
        Self {
            id: job.id.0,
            retry_from_id: job.retry_of.map(|of| of.0),
            worker_id: job.worker.unwrap_or_default(),
            status: job.status,
            scheduled_at: job.scheduled_at,
            last_updated: job.updated_at,
            action: job.action,
            retries_left: job.retries_left,
            retries_total: job.retries_left + job.attempt.saturating_sub(1),
            capacity_map: BTreeMap::new(),
            parameters: here.chain(job.parameters.texts()).collect(),
            deadline: String::new(),
            stop_timeout: String::new(),
            repository,
            policy_id: job.policy.map(|policy| policy.0),
            parent_id: job.parent.map(|parent| parent.0),
            cause: cause(&job.cause),
            attempt: job.attempt,
            progress: job.progress.into(),
            error: job.error,
            outcome: job.outcome,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            held_by: job.held_by.map(Pause::from),
            waits: job.back_off.map(RemoteWait::from),
        }
    }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::TagChanged { author } => format!("tag changed by {author}"),
        Cause::Schedule => "schedule".to_owned(),
        Cause::Asked { author } => format!("started by {author}"),
        Cause::Policy { policy, .. } => policy.noun().to_owned(),
    }
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// The jobs.
    pub(crate) jobs: Vec<Job>,
}

/// The result of a request to retry failed jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetriedJobs {
    /// The number of jobs that are retried.
    retried: u32,
    /// The number of jobs that cannot be retried, because their policy, repository or remote was deleted, is disabled
    /// or is read-only.
    left: u32,
    /// Whether there are more failed jobs that were not examined: repeat the request, or narrow the filter.
    more: bool,
}

impl From<longshore_model::job::RetriedJobs> for RetriedJobs {
    fn from(jobs: longshore_model::job::RetriedJobs) -> Self {
        Self { retried: jobs.retried, left: jobs.left, more: jobs.more }
    }
}

/// A job to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateJob {
    /// `poll_mirror` polls every enabled pull mirror that the caller administers. `garbage_collect` removes unreferenced
    /// data; only for administrators. `scrub` reads and verifies all stored data, and fetches damaged blobs again if a
    /// mirror can supply them; only for administrators.
    #[serde(default)]
    #[schema(example = "poll_mirror")]
    pub(crate) action: String,
    /// With `garbage_collect`: only report what would be removed.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// Must be empty or absent: jobs start immediately.
    pub(crate) scheduled_at: Option<String>,
}

impl Wire for CreateJob {}

/// The part of a log to return.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Must be `false`; use `/events?job=…` to follow a job.
    #[param(default = false)]
    pub(crate) stream: Option<bool>,
    /// The number of lines to skip.
    #[param(default = 0)]
    pub(crate) offset: Option<u32>,
    /// The maximum number of lines; 0 means all.
    #[param(default = 0)]
    pub(crate) limit: Option<u32>,
}

/// A line of a job's log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogLine {
    /// The number of the line, starting at 1.
    line_num: i64,
    /// The line as a JSON document with `time`, `level` (`info`, `warn` or `error`) and `msg`.
    #[schema(
        example = "{\"time\":\"2026-11-20T10:00:00Z\",\"level\":\"info\",\"msg\":\"1.0-stable copied\"}"
    )]
    data: String,
}

impl From<ModelLine> for LogLine {
    fn from(line: ModelLine) -> Self {
        let data = serde_json::json!({ "time": line.at, "level": word(line.level), "msg": line.message });
        Self { line_num: line.line, data: data.to_string() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_json_encoded_in_json_as_in_dtr() {
        let line = ModelLine {
            line: 3,
            at: Timestamp::UNIX_EPOCH,
            level: longshore_model::job::Level::Warn,
            message: "a \"quoted\" word".to_owned(),
        };
        let line = LogLine::from(line);
        let data: serde_json::Value = serde_json::from_str(&line.data).unwrap();
        assert_eq!(
            (line.line_num, &data["level"], &data["msg"]),
            (3, &"warn".into(), &"a \"quoted\" word".into())
        );
    }
}
