//! Jobs, in DTR's shape with ours beside it.

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
    /// Its identifier.
    id: Uuid,
    /// The job whose work a person asked to be tried again.
    #[serde(rename = "retryFromID")]
    retry_from_id: Option<Uuid>,
    /// The server that has or had it.
    #[serde(rename = "workerID")]
    worker_id: String,
    /// Where it stands.
    status: Status,
    /// When it may start.
    scheduled_at: Timestamp,
    /// When anything about it last changed.
    last_updated: Timestamp,
    /// What it does.
    action: JobAction,
    /// DTR's field. Longshore does not count retries: it tries again for as long as `--retry-hours` says, so a job
    /// may be begun again while this is 0.
    retries_left: u32,
    /// DTR's field: the retries that were left, and those that were made.
    retries_total: u32,
    /// Limits per worker; none.
    capacity_map: BTreeMap<String, i64>,
    /// What exactly it is about.
    #[schema(example = json!({"repository": "dev/website", "tag": "1.0-stable"}))]
    parameters: BTreeMap<&'static str, String>,
    /// When it would be stopped; never.
    deadline: String,
    /// How long it would get to stop; empty.
    stop_timeout: String,
    /// The repository here.
    repository: Option<String>,
    /// The policy behind it.
    #[serde(rename = "policyID")]
    policy_id: Option<Uuid>,
    /// The job that it is a part of.
    #[serde(rename = "parentID")]
    parent_id: Option<Uuid>,
    /// Why it exists: `tag changed by …`, `schedule`, `asked by …`, `push mirror`.
    cause: String,
    /// How often a worker has begun it.
    attempt: u32,
    /// How far it is.
    progress: JobProgress,
    /// Why it failed, or why it waits for another try.
    error: Option<String>,
    /// What it achieved.
    outcome: Option<String>,
    /// When it was asked for.
    created_at: Timestamp,
    /// When a worker first took it.
    started_at: Option<Timestamp>,
    /// When it ended.
    finished_at: Option<Timestamp>,
    /// The pause that it waits for to end.
    held_by: Option<Pause>,
    /// Why its remote is left alone, where it waits for that to end.
    waits: Option<RemoteWait>,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JobProgress {
    /// Tags done.
    tags_done: u64,
    /// Tags to do; zero while unknown.
    tags_total: u64,
    /// Bytes moved or found in place.
    bytes_done: u64,
    /// Bytes to move; zero while unknown.
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
        Cause::Asked { author } => format!("asked by {author}"),
        Cause::Policy { policy, .. } => policy.noun().to_owned(),
    }
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// The jobs.
    pub(crate) jobs: Vec<Job>,
}

/// What became of a request to retry failed jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetriedJobs {
    /// How many are retried.
    retried: u32,
    /// How many cannot be, because their policy, repository or remote is gone, disabled or read-only.
    left: u32,
    /// Whether older failed jobs were not looked at: ask again, or narrow the filter.
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
    /// `poll_mirror`: polls each enabled pull mirror that the actor administers. `garbage_collect`:
    /// removes what nothing needs any more; for administrators. `scrub`: reads and verifies everything
    /// that is stored, and fetches damaged blobs again where a mirror can supply them; for administrators.
    #[serde(default)]
    #[schema(example = "poll_mirror")]
    pub(crate) action: String,
    /// With `garbage_collect`: only tell what would be removed.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// Empty: at once. Nothing else is supported.
    pub(crate) scheduled_at: Option<String>,
}

impl Wire for CreateJob {}

/// Which lines of a log are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Whether to go on sending lines; only `false`: `/events?job=…` follows a job.
    #[param(default = false)]
    pub(crate) stream: Option<bool>,
    /// How many lines to leave out from the beginning.
    #[param(default = 0)]
    pub(crate) offset: Option<u32>,
    /// How many lines; 0: all of them.
    #[param(default = 0)]
    pub(crate) limit: Option<u32>,
}

/// One line of a job's log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogLine {
    /// Counts from 1.
    line_num: i64,
    /// The line, itself JSON: `time`, `level` (`info`, `warn`, `error`) and `msg`.
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
    fn a_log_line_is_json_in_json_as_in_dtr() {
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
