//! Jobs: units of background work that survive a restart. `sort` knows each sort of work, `orders` makes the jobs.

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

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = JobStatus))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Until a worker takes it, or until its time comes.
    Waiting,
    /// A worker has it.
    Running,
    /// Ended well.
    Done,
    /// A later change took its place (semantics 1).
    Superseded,
    /// Failed for good, or out of retries.
    Errored,
    /// Somebody stopped it.
    Canceled,
}

impl Status {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Running, Self::Done, Self::Superseded, Self::Errored, Self::Canceled];

    /// The word on the wire and in the database.
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

    /// Whether nothing will happen to it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// Why a job exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A tag changed.
    TagChanged {
        /// By whom.
        author: Author,
    },
    /// Its time had come.
    Schedule,
    /// Somebody asked for it.
    Asked {
        /// Who.
        author: Author,
    },
    /// A policy let a tag through.
    Policy {
        /// Which.
        id: PolicyId,
        /// Its kind.
        policy: PolicyKind,
    },
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Tags done.
    pub tags_done: u64,
    /// Tags to do; zero while unknown.
    pub tags_total: u64,
    /// Bytes moved or found in place.
    pub bytes_done: u64,
    /// Bytes to move; zero while unknown.
    pub bytes_total: u64,
}

/// One unit of background work. Its texts are of type `Text`: messages where it is stored
/// ([`crate::stored::Job`]), sentences where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job<Text = String> {
    /// Its identifier.
    pub id: JobId,
    /// What it does.
    pub action: JobAction,
    /// Where it stands.
    pub status: Status,
    /// Why it exists.
    pub cause: Cause,
    /// What about.
    pub parameters: Parameters,
    /// The policy behind it.
    pub policy: Option<PolicyId>,
    /// The local repository it is about, for filters and permissions.
    pub repository: Option<RepositoryId>,
    /// Its name.
    pub repository_name: Option<RepositoryName>,
    /// The job that it is a part of.
    pub parent: Option<JobId>,
    /// The job whose work a person asked to be tried again.
    pub retry_of: Option<JobId>,
    /// How often a worker has begun it.
    pub attempt: u32,
    /// How often it may still be begun again after an error that may pass.
    pub retries_left: u32,
    /// How far it is.
    pub progress: Progress,
    /// Why it failed, or why it waits for another try; one sentence.
    pub error: Option<Text>,
    /// What it achieved; one sentence, when it has ended well.
    pub outcome: Option<Text>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it may start.
    pub scheduled_at: Timestamp,
    /// When a worker first took it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When anything about it last changed.
    pub updated_at: Timestamp,
    /// The server that has or had it.
    pub worker: Option<String>,
    /// The pause that holds it, while it waits for that to end.
    pub held_by: Option<Pause>,
    /// Why its remote is left alone, while it waits for that to end (semantics 39).
    pub back_off: Option<BackOff>,
}

impl<Text> Job<Text> {
    /// What it does, as a sentence without an end: "Bring tags of qa-example.com/qa/website into dev/website".
    #[must_use]
    pub fn sentence(&self) -> String {
        let here = self.parameters.concerns().transfer.map(|transfer| transfer.here);
        let here = here.or(self.repository_name.as_ref()).and_then(|name| named(name.as_ref()));
        self.parameters.sentence(here.unwrap_or("another repository"))
    }

    /// The host of the registry that it waits for, and why that is left alone.
    #[must_use]
    pub fn waits_for(&self) -> Option<(String, BackOff)> {
        self.parameters.remote_host().map(str::to_owned).zip(self.back_off.clone())
    }
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What happens.
    Info,
    /// What a person should look at.
    Warn,
    /// What failed.
    Error,
}

/// One line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine<Text = String> {
    /// Counts from 1.
    pub line: i64,
    /// When.
    pub at: Timestamp,
    /// How loud.
    pub level: Level,
    /// A sentence that can be read alone.
    pub message: Text,
}

/// A part of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    /// Its lines.
    pub lines: Vec<LogLine>,
    /// How many lines were behind these when they were read.
    pub more: u64,
}

/// Which jobs a list holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobFilter {
    /// One action alone.
    pub action: Option<JobAction>,
    /// One status alone.
    pub status: Option<Status>,
    /// One repository alone.
    pub repository: Option<RepositoryName>,
    /// One policy alone.
    pub policy: Option<PolicyId>,
    /// Children of one job alone.
    pub parent: Option<JobId>,
    /// Leave out evaluations, which are many and short.
    pub without_evaluations: bool,
}

impl JobFilter {
    /// Whether a job belongs into the list.
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

/// What became of a request to retry failed jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetriedJobs {
    /// How many are retried.
    pub retried: u32,
    /// How many cannot be, because their policy, repository or remote is gone, disabled or read-only.
    pub left: u32,
    /// Whether older failed jobs were not looked at: ask again, or narrow the filter.
    pub more: bool,
}

/// What a page that follows jobs is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A job is new or changed.
    Job {
        /// As it stands now.
        job: Box<Job>,
    },
    /// A job wrote to its log.
    Log {
        /// Which job.
        job: JobId,
        /// The lines.
        lines: Vec<LogLine>,
    },
    /// Tags of a repository changed.
    Tags {
        /// Which repository.
        repository: RepositoryName,
    },
    /// Something was paused or resumed.
    Pauses,
    /// A repository, policy, mirror, remote or account was made, changed or deleted; what and whose is not told.
    Settings,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Lineage, RemoteId, Revision, view::ANOTHER_REPOSITORY};

    /// A job that waits, about `dev/website`.
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
    fn a_job_says_what_it_moves_and_where() {
        assert_eq!(
            push("1.0", "1.0-2026").sentence(),
            "Send 1.0 of dev/website to qa-example.com/qa/website as 1.0-2026"
        );
        assert_eq!(push("1.0", "1.0").sentence(), "Send 1.0 of dev/website to qa-example.com/qa/website");
        let poll = job(Parameters::Poll {
            remote: None,
            policy: PolicyId::new(),
            repository_name: "vendor/copy".parse().unwrap(),
            remote_host: "127.0.0.1:5000".to_owned(),
            remote_repository: "up/stream".parse().unwrap(),
        });
        assert_eq!(poll.sentence(), "Bring tags of 127.0.0.1:5000/up/stream into vendor/copy");
        assert_eq!(job(Parameters::PollAll).sentence(), "Poll all pull mirrors");
    }

    #[test]
    fn semantics_17_a_job_about_a_hidden_repository_does_not_name_its_stand_in() {
        let mut hidden = job(Parameters::FollowSubject {
            repository: RepositoryId::new(),
            referrer: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            subject: format!("sha256:{}", "1".repeat(64)).parse().unwrap(),
            tag: None,
        });
        hidden.repository_name = Some(ANOTHER_REPOSITORY.parse().unwrap());
        assert_eq!(hidden.sentence(), "Send a new referrer of another repository wherever its image went");
        hidden.repository_name = None;
        assert!(hidden.sentence().contains("another repository"));
    }
}
