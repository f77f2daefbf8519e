//! Who did what to which repository, for the Activity pages.

use crate::account::Author;
use crate::id::{JobId, PolicyId};
use jiff::Timestamp;
use longshore_oci::{Digest, Namespace, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// A tag was pushed.
    TagPushed,
    /// A tag was promoted into the repository.
    TagPromoted,
    /// A tag was brought in by a pull mirror.
    TagMirrored,
    /// A tag was sent to another registry.
    TagSent,
    /// A tag was deleted.
    TagDeleted,
    /// A deleted or overwritten tag was brought back.
    TagRestored,
    /// A tag that was brought back was left to its mirror again.
    TagReleased,
    /// A repository was made.
    RepositoryCreated,
    /// A repository's settings changed.
    RepositoryChanged,
    /// A repository was deleted.
    RepositoryDeleted,
    /// A deleted repository was brought back.
    RepositoryRestored,
    /// A deleted repository was removed for good.
    RepositoryPurged,
    /// A policy or mirror was made.
    PolicyCreated,
    /// A policy or mirror was changed.
    PolicyChanged,
    /// A policy or mirror was deleted.
    PolicyDeleted,
    /// A policy stopped itself.
    #[serde(rename = "policy_paused")]
    PolicyStopped,
    /// All policies and mirrors of the system, a namespace or a remote were paused.
    Paused,
    /// They were resumed.
    Resumed,
    /// A remote was made, changed or deleted.
    RemoteChanged,
    /// An account was made.
    AccountCreated,
    /// How much a namespace may hold was changed.
    QuotaChanged,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity<Text = String> {
    /// Grows with time.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: Author,
    /// What.
    pub kind: ActivityKind,
    /// In which repository, where it was in one.
    pub repository: Option<RepositoryName>,
    /// Which tag.
    pub tag: Option<Tag>,
    /// Which manifest.
    pub digest: Option<Digest>,
    /// Which policy or mirror.
    pub policy: Option<PolicyId>,
    /// Which job.
    pub job: Option<JobId>,
    /// One more sentence.
    pub detail: Text,
}

/// Which activity a list holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActivityFilter {
    /// One repository alone.
    pub repository: Option<RepositoryName>,
    /// One namespace alone.
    pub namespace: Option<Namespace>,
}
