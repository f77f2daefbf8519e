//! Jobs: units of background work that survive a restart. `sort` defines the sorts of work, `orders` creates the
//! jobs.

pub mod orders;
mod sort;

pub use orders::NewJob;
pub use sort::{Concerns, JobAction, Parameters, Queue, RemoteOf, Transfer};

use crate::account::Author;
use crate::id::{JobId, PolicyId, RepositoryId};
use crate::pause::Pause;
use crate::policy::PolicyKind;
use crate::remote::BackOff;
use crate::view::named;
use jiff::Timestamp;
use longshore_oci::RepositoryName;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = JobStatus))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting for a worker or for the scheduled time.
    Waiting,
    /// A worker is working on it.
    Running,
    /// Finished successfully.
    Done,
    /// Replaced by a later change (semantics 1).
    Superseded,
    /// Failed permanently, or out of retries.
    Errored,
    /// Canceled by a person.
    Canceled,
}

impl Status {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word used in REST and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Superseded => "superseded",
            Self::Errored => "errored",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the status can no longer change.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// Why a job was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A tag changed.
    TagChanged { author: Author },
    /// It was scheduled.
    Schedule,
    /// A person requested it.
    Asked { author: Author },
    /// A policy matched a tag.
    Policy { id: PolicyId, policy: PolicyKind },
}

/// The progress of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    pub tags_done: u64,
    /// Zero while unknown.
    pub tags_total: u64,
    /// Transferred or already present.
    pub bytes_done: u64,
    /// Zero while unknown.
    pub bytes_total: u64,
}

/// A job. Its texts have the type `Text`: messages as stored ([`crate::stored::Job`]), sentences as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job<Text = String> {
    pub id: JobId,
    pub action: JobAction,
    pub status: Status,
    pub cause: Cause,
    pub parameters: Parameters,
    /// The policy or mirror whose work it is.
    pub policy: Option<PolicyId>,
    /// The local repository that it concerns, for filters and permissions.
    pub repository: Option<RepositoryId>,
    pub repository_name: Option<RepositoryName>,
    /// The job that it is part of.
    pub parent: Option<JobId>,
    /// The job that a person retried with this one.
    pub retry_of: Option<JobId>,
    /// How often a worker has started it.
    pub attempt: u32,
    /// The remaining retries after errors that may be temporary.
    pub retries_left: u32,
    pub progress: Progress,
    /// Why it failed or is retried; one sentence.
    pub error: Option<Text>,
    /// The result of a successful job; one sentence.
    pub outcome: Option<Text>,
    pub created_at: Timestamp,
    /// The earliest start.
    pub scheduled_at: Timestamp,
    /// When a worker first started it.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// The server that runs or last ran it.
    pub worker: Option<String>,
    /// The pause that it waits for.
    pub held_by: Option<Pause>,
    /// Why it waits for its remote (semantics 39).
    pub back_off: Option<BackOff>,
}

impl<Text> Job<Text> {
    /// The job as a sentence without a full stop: "Pull qa-example.com/qa/website into dev/website".
    #[must_use]
    pub fn sentence(&self) -> String {
        let here = self.parameters.concerns().transfer.map(|transfer| transfer.here);
        let here = here.or(self.repository_name.as_ref()).and_then(|name| named(name.as_ref()));
        self.parameters.sentence(here.unwrap_or("another repository"))
    }

    /// The host of the registry that it waits for, and why.
    #[must_use]
    pub fn waits_for(&self) -> Option<(String, BackOff)> {
        self.parameters.remote_host().map(str::to_owned).zip(self.back_off.clone())
    }
}

/// The level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    /// A person should look at it.
    Warn,
    Error,
}

/// One line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine<Text = String> {
    /// Counts from 1.
    pub line: i64,
    pub at: Timestamp,
    pub level: Level,
    /// A sentence that makes sense on its own.
    pub message: Text,
}

/// A part of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    pub lines: Vec<LogLine>,
    /// The number of lines after these when they were read.
    pub more: u64,
}

/// Filters a list of jobs; `None` does not filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobFilter {
    pub action: Option<JobAction>,
    pub status: Option<Status>,
    pub repository: Option<RepositoryName>,
    pub policy: Option<PolicyId>,
    /// Only the children of this job.
    pub parent: Option<JobId>,
    /// Leaves out evaluations, which are numerous and short.
    pub without_evaluations: bool,
}

impl JobFilter {
    /// Whether a job belongs in the list.
    #[must_use]
    pub fn passes(&self, job: &Job) -> bool {
        self.action.is_none_or(|action| action == job.action)
            && self.status.is_none_or(|status| status == job.status)
            && self.policy.is_none_or(|policy| Some(policy) == job.policy)
            && self.parent.is_none_or(|parent| Some(parent) == job.parent)
            && self.repository.as_ref().is_none_or(|name| Some(name) == job.repository_name.as_ref())
            && !(self.without_evaluations && job.action.is_evaluation())
    }
}

/// The result of a request to retry failed jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetriedJobs {
    pub retried: u32,
    /// The number that cannot be retried because their policy, repository or remote is deleted, disabled or
    /// read-only.
    pub left: u32,
    /// Whether older failed jobs were not considered: repeat the request, or narrow the filter.
    pub more: bool,
}

/// An event for pages that follow jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A job was created or changed.
    Job { job: Box<Job> },
    /// A job wrote to its log.
    Log { job: JobId, lines: Vec<LogLine> },
    /// Tags of a repository changed.
    Tags { repository: RepositoryName },
    /// Something was paused or resumed.
    Pauses,
    /// A repository, policy, mirror, remote or account was created, changed or deleted. The event does not say which.
    Settings,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Lineage, RemoteId, Revision, view::ANOTHER_REPOSITORY};

    fn job(parameters: Parameters) -> Job {
        Job {
            id: JobId::new(),
            action: parameters.action(),
            status: Status::Waiting,
            cause: Cause::Schedule,
            parameters,
            policy: None,
            repository: None,
            repository_name: Some("dev/website".parse().unwrap()),
            parent: None,
            retry_of: None,
            attempt: 0,
            retries_left: 0,
            progress: Progress::default(),
            error: None,
            outcome: None,
            created_at: Timestamp::UNIX_EPOCH,
            scheduled_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
            updated_at: Timestamp::UNIX_EPOCH,
            worker: None,
            held_by: None,
            back_off: None,
        }
    }

    fn push(tag: &str, target_tag: &str) -> Job {
        job(Parameters::PushTag {
            policy: None,
            rules_version: None,
            repository: RepositoryId::new(),
            repository_name: "dev/website".parse().unwrap(),
            tag: Some(tag.parse().unwrap()),
            digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            revision: Revision(1),
            remote: RemoteId::new(),
            remote_host: "qa-example.com".to_owned(),
            remote_repository: "qa/website".parse().unwrap(),
            target_tag: Some(target_tag.parse().unwrap()),
            lineage: Lineage::default(),
            overwrite: true,
            referrers: true,
        })
    }

    #[test]
    fn the_sentence_of_a_job_names_its_tag_and_both_ends() {
        assert_eq!(
            push("1.0", "1.0-2026").sentence(),
            "Push 1.0 of dev/website to qa-example.com/qa/website as 1.0-2026"
        );
        assert_eq!(push("1.0", "1.0").sentence(), "Push 1.0 of dev/website to qa-example.com/qa/website");
        let poll = job(Parameters::Poll {
            remote: None,
            policy: PolicyId::new(),
            repository_name: "vendor/copy".parse().unwrap(),
            remote_host: "127.0.0.1:5000".to_owned(),
            remote_repository: "up/stream".parse().unwrap(),
        });
        assert_eq!(poll.sentence(), "Pull 127.0.0.1:5000/up/stream into vendor/copy");
        assert_eq!(job(Parameters::PollAll).sentence(), "Poll all pull mirrors");
    }

    #[test]
    fn semantics_17_the_sentence_of_a_job_never_shows_the_stand_in_for_a_hidden_repository() {
        let mut hidden = job(Parameters::FollowSubject {
            repository: RepositoryId::new(),
            referrer: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            subject: format!("sha256:{}", "1".repeat(64)).parse().unwrap(),
            tag: None,
        });
        hidden.repository_name = Some(ANOTHER_REPOSITORY.parse().unwrap());
        assert_eq!(
            hidden.sentence(),
            "Copy a new referrer of another repository to where its image was copied"
        );
        hidden.repository_name = None;
        assert!(hidden.sentence().contains("another repository"));
    }
}
