//! Entries of the Activity pages: who did what in which repository.

use crate::account::Author;
use crate::id::{JobId, PolicyId};
use jiff::Timestamp;
use longshore_oci::{Digest, Namespace, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// The kind of an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    TagPushed,
    /// A tag was promoted into the repository.
    TagPromoted,
    /// A pull mirror set a tag.
    TagMirrored,
    /// A tag was copied to another registry.
    TagSent,
    TagDeleted,
    /// A deleted or overwritten tag was restored.
    TagRestored,
    /// A pinned tag was released to its mirror.
    TagReleased,
    RepositoryCreated,
    /// The settings of a repository were changed.
    RepositoryChanged,
    RepositoryDeleted,
    RepositoryRestored,
    /// A deleted repository was removed permanently.
    RepositoryPurged,
    /// A policy or mirror was created.
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
    /// The policies and mirrors of a paused scope were resumed.
    Resumed,
    /// A remote was created, changed or deleted.
    RemoteChanged,
    AccountCreated,
    /// The quota of a namespace was changed.
    QuotaChanged,
}

/// An entry of the activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity<Text = String> {
    /// Increases over time.
    pub id: i64,
    pub at: Timestamp,
    pub author: Author,
    pub kind: ActivityKind,
    /// `None` if it does not concern a repository.
    pub repository: Option<RepositoryName>,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
    pub policy: Option<PolicyId>,
    pub job: Option<JobId>,
    /// An additional sentence.
    pub detail: Text,
}

/// Filters a list of activities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActivityFilter {
    pub repository: Option<RepositoryName>,
    pub namespace: Option<Namespace>,
}
