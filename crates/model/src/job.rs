//! Jobs: units of background work that survive a restart.

use crate::account::Author;
use crate::id::{JobId, PolicyId, RemoteId, RepositoryId};
use crate::pause::Pause;
use crate::policy::PolicyKind;
use crate::remote::BackOff;
use crate::tag::{Lineage, Revision};
use jiff::Timestamp;
use longshore_oci::{Digest, RemoteName, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// What a job does; the words are those of the REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Ask the policies of a repository about a tag, and do what they say.
    Evaluate,
    /// Copy one tag to another registry.
    PushMirrorTag,
    /// Bring the tags of another registry in; as a parent, of all pull mirrors.
    PollMirror,
    /// Remove what nothing needs any more.
    GarbageCollect,
    /// Look whether what is stored is still what it was.
    Scrub,
}

impl Action {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Evaluate, Self::PushMirrorTag, Self::PollMirror, Self::GarbageCollect, Self::Scrub];

    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::PushMirrorTag => "push_mirror_tag",
            Self::PollMirror => "poll_mirror",
            Self::GarbageCollect => "garbage_collect",
            Self::Scrub => "scrub",
        }
    }

    /// Whether it is the work of policies and mirrors, which a pause stops.
    #[must_use]
    pub fn is_pausable(self) -> bool {
        match self {
            Self::Evaluate | Self::PushMirrorTag | Self::PollMirror => true,
            Self::GarbageCollect | Self::Scrub => false,
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What exactly a job is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Parameters {
    /// A tag has a new revision, or was pushed again.
    EvaluateTag {
        /// Its repository.
        repository: RepositoryId,
        /// Its name.
        tag: Tag,
        /// What it pointed to.
        digest: Digest,
        /// The change.
        revision: Revision,
    },
    /// *Save & Apply*: ask one policy about all present tags, oldest first.
    ApplyPolicy {
        /// Which.
        policy: PolicyId,
        /// Its kind.
        kind: PolicyKind,
        /// The last revision that was looked at, so that a restart goes on behind it.
        after: Revision,
    },
    /// A referrer or digest tag arrived: send it wherever its subject went (semantics 7).
    FollowSubject {
        /// The repository it arrived in.
        repository: RepositoryId,
        /// The referrer's manifest.
        referrer: Digest,
        /// What it refers to.
        subject: Digest,
        /// Its digest tag, where it came as one.
        tag: Option<Tag>,
    },
    /// Copy one tag (or one referrer) to another registry.
    PushTag {
        /// The push mirror; none when a person asked for this one copy.
        policy: Option<PolicyId>,
        /// The version of its rules by which the copy was decided on; the job ends when they change
        /// (semantics 34). None for jobs of before there was one.
        #[serde(default)]
        rules_version: Option<i64>,
        /// The local repository.
        repository: RepositoryId,
        /// Its name, for showing.
        repository_name: RepositoryName,
        /// The tag here; a referrer without a tag has none.
        tag: Option<Tag>,
        /// The manifest that is copied, fixed when the verdict was given (semantics 4).
        digest: Digest,
        /// The change of the tag here.
        revision: Revision,
        /// The connection.
        remote: RemoteId,
        /// Its host, for showing.
        remote_host: String,
        /// The repository there.
        remote_repository: RemoteName,
        /// The name there, rendered once (semantics 2); none for a referrer, which goes by digest.
        target_tag: Option<Tag>,
        /// Policies passed, this one included; a Longshore at the other end is told.
        lineage: Lineage,
        /// Whether a foreign tag may be moved.
        overwrite: bool,
        /// Whether referrers go along.
        referrers: bool,
    },
    /// Poll one pull mirror.
    Poll {
        /// Which.
        policy: PolicyId,
        /// The connection; unknown for what an earlier version put into the queue.
        #[serde(default)]
        remote: Option<RemoteId>,
        /// The local repository's name, for showing.
        repository_name: RepositoryName,
        /// The registry's host, for showing.
        remote_host: String,
        /// The repository there.
        remote_repository: RemoteName,
    },
    /// Poll several pull mirrors: ends when its children have.
    PollAll,
    /// Remove what nothing needs any more (semantics 23).
    CollectGarbage {
        /// Only tell what would be removed.
        dry_run: bool,
    },
    /// Read and verify everything that is stored.
    Scrub,
}

impl Parameters {
    /// The remote that the job speaks to, where it is known to speak to one.
    #[must_use]
    pub fn remote(&self) -> Option<RemoteId> {
        match self {
            Self::PushTag { remote, .. } => Some(*remote),
            Self::Poll { remote, .. } => *remote,
            Self::EvaluateTag { .. }
            | Self::ApplyPolicy { .. }
            | Self::FollowSubject { .. }
            | Self::PollAll
            | Self::CollectGarbage { .. }
            | Self::Scrub => None,
        }
    }
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
    pub action: Action,
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
    pub action: Option<Action>,
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
