//! Jobs, in DTR's shape with ours beside it, and the spellings of statuses and actions that DTR's
//! scripts use in filters.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_model::job::{Action, Cause, Job as Model, LogLine as ModelLine, Parameters, Progress, Status};
use longshore_model::{Code, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::pause::Pause;
use super::remote::RemoteWait;
use super::tag::word;
use crate::extract::Wire;

/// What a job does.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum JobAction {
    /// Ask the policies of a repository about a tag, and do what they say.
    Evaluate,
    /// Copy one tag to another registry.
    PushMirrorTag,
    /// Bring the tags of another registry in; as a parent, of several pull mirrors.
    PollMirror,
    /// Remove what nothing needs any more.
    GarbageCollect,
    /// Read and verify everything that is stored.
    Scrub,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum JobStatus {
    /// Until a worker takes it, or until its time comes.
    Waiting,
    /// A worker has it.
    Running,
    /// Ended well.
    Done,
    /// A later change took its place.
    Superseded,
    /// Failed for good, or out of retries.
    Errored,
    /// Somebody stopped it.
    Canceled,
}

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
    status: JobStatus,
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
        Self {
            id: job.id.0,
            retry_from_id: job.retry_of.map(|of| of.0),
            worker_id: job.worker.unwrap_or_default(),
            status: job.status.into(),
            scheduled_at: job.scheduled_at,
            last_updated: job.updated_at,
            action: job.action.into(),
            retries_left: job.retries_left,
            retries_total: job.retries_left + job.attempt.saturating_sub(1),
            capacity_map: BTreeMap::new(),
            parameters: parameters(&job.parameters, repository.as_deref()),
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

impl From<Action> for JobAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Evaluate => Self::Evaluate,
            Action::PushMirrorTag => Self::PushMirrorTag,
            Action::PollMirror => Self::PollMirror,
            Action::GarbageCollect => Self::GarbageCollect,
            Action::Scrub => Self::Scrub,
        }
    }
}

impl From<Status> for JobStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Waiting => Self::Waiting,
            Status::Running => Self::Running,
            Status::Done => Self::Done,
            Status::Superseded => Self::Superseded,
            Status::Errored => Self::Errored,
            Status::Canceled => Self::Canceled,
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

/// DTR's jobs have a flat map of texts.
fn parameters(parameters: &Parameters, repository: Option<&str>) -> BTreeMap<&'static str, String> {
    let mut map = BTreeMap::new();
    if let Some(repository) = repository {
        map.insert("repository", repository.to_owned());
    }
    let mut put = |key, value: Option<String>| {
        if let Some(value) = value {
            map.insert(key, value);
        }
    };
    match parameters {
        Parameters::EvaluateTag { tag, digest, revision, .. } => {
            put("tag", Some(tag.to_string()));
            put("digest", Some(digest.to_string()));
            put("revision", Some(revision.0.to_string()));
        }
        Parameters::ApplyPolicy { policy, kind, .. } => {
            put("policyID", Some(policy.to_string()));
            put("kind", Some(kind.as_str().to_owned()));
        }
        Parameters::FollowSubject { referrer, subject, tag, .. } => {
            put("referrer", Some(referrer.to_string()));
            put("subject", Some(subject.to_string()));
            put("tag", tag.as_ref().map(ToString::to_string));
        }
        Parameters::PushTag { tag, digest, remote_host, remote_repository, target_tag, .. } => {
            put("tag", tag.as_ref().map(ToString::to_string));
            put("digest", Some(digest.to_string()));
            put("remoteHost", Some(remote_host.clone()));
            put("remoteRepository", Some(remote_repository.to_string()));
            put("remoteTag", target_tag.as_ref().map(ToString::to_string));
        }
        Parameters::Poll { policy, remote_host, remote_repository, .. } => {
            put("policyID", Some(policy.to_string()));
            put("remoteHost", Some(remote_host.clone()));
            put("remoteRepository", Some(remote_repository.to_string()));
        }
        Parameters::PollAll | Parameters::Scrub => {}
        Parameters::CollectGarbage { dry_run } => put("dryRun", Some(dry_run.to_string())),
    }
    map
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// The jobs.
    pub(crate) jobs: Vec<Job>,
}

/// Which jobs a list holds.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// One action alone, such as `poll_mirror`; `any`.
    #[param(default = "any")]
    pub(crate) action: Option<String>,
    /// One status alone; DTR's other spellings are understood; `any`.
    #[param(default = "any")]
    pub(crate) status: Option<String>,
    /// `any`, or `true` for running jobs alone.
    #[param(default = "any")]
    pub(crate) running: Option<String>,
    /// `any`; there is no choice of a worker.
    #[param(default = "any")]
    pub(crate) worker: Option<String>,
    /// `namespace/name`: jobs of one repository alone.
    pub(crate) repository: Option<String>,
    /// Jobs of one policy or mirror alone.
    #[serde(rename = "policyID", alias = "policyId")]
    pub(crate) policy_id: Option<Uuid>,
    /// Parts of one job alone.
    #[serde(rename = "parentID", alias = "parentId")]
    pub(crate) parent_id: Option<Uuid>,
}

/// What became of the wish to try failed jobs again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetriedJobs {
    /// So many are tried again.
    retried: u32,
    /// So many cannot be.
    left: u32,
    /// Whether there are more than are tried again at a time.
    more: bool,
}

impl From<longshore_model::job::RetriedJobs> for RetriedJobs {
    fn from(jobs: longshore_model::job::RetriedJobs) -> Self {
        Self { retried: jobs.retried, left: jobs.left, more: jobs.more }
    }
}

/// What a filter asks for: one of ours, none of which can exist here, or no matter which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<T> {
    /// No matter which.
    Any,
    /// This.
    One(T),
    /// Something that DTR had and Longshore has not: matches nothing.
    Nothing,
}

impl<T> Wanted<T> {
    /// The one, where it is one.
    pub(crate) fn one(self) -> Option<T> {
        match self {
            Self::One(one) => Some(one),
            Self::Any | Self::Nothing => None,
        }
    }
}

/// Actions of DTR for which there are no jobs here.
const OTHER_ACTIONS: [&str; 16] = [
    "onlinegc_metadata",
    "onlinegc_joblogs",
    "onlinegc_events",
    "metadatastoremigration",
    "tagmigration",
    "license_update",
    "scan_check",
    "scan_check_single",
    "scan_check_all",
    "update_vuln_db",
    "webhook",
    "ro_registry",
    "tag_prune",
    "tag_pruning",
    "sleep",
    "false",
];

impl JobQuery {
    pub(crate) fn wanted_action(&self) -> Result<Wanted<Action>, Problem> {
        match self.action.as_deref().unwrap_or("any") {
            "any" | "" => Ok(Wanted::Any),
            other if OTHER_ACTIONS.contains(&other) => Ok(Wanted::Nothing),
            // DTR's words for it.
            "gc" | "onlinegc" => Ok(Wanted::One(Action::GarbageCollect)),
            word => match Action::ALL.into_iter().find(|action| action.as_str() == word) {
                Some(action) => Ok(Wanted::One(action)),
                None => Err(unknown(
                    "action",
                    word,
                    "evaluate, push_mirror_tag, poll_mirror, garbage_collect and scrub",
                )),
            },
        }
    }

    pub(crate) fn wanted_status(&self) -> Result<Wanted<Status>, Problem> {
        let by_status = match self.status.as_deref().unwrap_or("any") {
            "any" | "" => Wanted::Any,
            "error" => Wanted::One(Status::Errored),
            "cancel" | "cancel_request" => Wanted::One(Status::Canceled),
            // The job of a dead or stopping server waits for another one.
            "worker_dead" | "worker_shutdown" | "worker_resurrection" => Wanted::One(Status::Waiting),
            "deleted" => Wanted::Nothing,
            word => match Status::ALL.into_iter().find(|status| status.as_str() == word) {
                Some(status) => Wanted::One(status),
                None => {
                    let known = Status::ALL.map(Status::as_str).join(", ");
                    return Err(unknown("status", word, &known));
                }
            },
        };
        match self.worker.as_deref().unwrap_or("any") {
            "any" | "" => {}
            other => return Err(unknown("worker", other, "any")),
        }
        match (self.running.as_deref().unwrap_or("any"), by_status) {
            ("any" | "", by_status) => Ok(by_status),
            ("true", Wanted::Any | Wanted::One(Status::Running)) => Ok(Wanted::One(Status::Running)),
            ("true", _) => Ok(Wanted::Nothing),
            (other, _) => Err(unknown("running", other, "any and true")),
        }
    }
}

fn unknown(field: &str, given: &str, known: &str) -> Problem {
    Problem::field(Code::InvalidRequest, field, format!("“{given}” is not known here; known: any, {known}."))
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

    fn query(action: &str, status: &str, running: &str) -> JobQuery {
        let text = |text: &str| Some(text.to_owned());
        JobQuery {
            action: text(action),
            status: text(status),
            running: text(running),
            worker: text("any"),
            repository: None,
            policy_id: None,
            parent_id: None,
        }
    }

    #[test]
    fn dtrs_other_spellings_of_a_status_are_understood() {
        let status = |status: &str| query("any", status, "any").wanted_status();
        assert_eq!(status("error"), Ok(Wanted::One(Status::Errored)));
        assert_eq!(status("errored"), Ok(Wanted::One(Status::Errored)));
        assert_eq!(status("cancel_request"), Ok(Wanted::One(Status::Canceled)));
        assert_eq!(status("worker_dead"), Ok(Wanted::One(Status::Waiting)));
        assert_eq!(status("deleted"), Ok(Wanted::Nothing));
        assert!(status("rnning").unwrap_err().message.contains("waiting, running"));
    }

    #[test]
    fn running_jobs_alone_are_those_with_that_status() {
        assert_eq!(query("any", "any", "true").wanted_status(), Ok(Wanted::One(Status::Running)));
        assert_eq!(query("any", "done", "true").wanted_status(), Ok(Wanted::Nothing));
        assert!(query("any", "any", "perhaps").wanted_status().is_err());
    }

    #[test]
    fn an_action_of_dtr_that_does_not_exist_here_matches_nothing() {
        assert_eq!(query("poll_mirror", "any", "any").wanted_action(), Ok(Wanted::One(Action::PollMirror)));
        assert_eq!(query("gc", "any", "any").wanted_action(), Ok(Wanted::One(Action::GarbageCollect)));
        assert_eq!(query("tag_prune", "any", "any").wanted_action(), Ok(Wanted::Nothing));
        assert!(query("dance", "any", "any").wanted_action().is_err());
    }

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
