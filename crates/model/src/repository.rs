//! Repositories: what they are, and how lists of them show what flows in and out.

use crate::id::RepositoryId;
use crate::policy::RunCode;
use jiff::Timestamp;
use longshore_oci::{Namespace, RepositoryName};
use serde::{Deserialize, Serialize};

/// Who may pull without being named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody, signed in or not.
    Public,
    /// Those who may act in the namespace.
    #[default]
    Private,
}

impl Visibility {
    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// Who may write to a repository (semantics 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepositoryState {
    /// Whoever may act in the namespace.
    #[default]
    Normal,
    /// Nobody.
    ReadOnly,
    /// Only the repository's own pull mirrors.
    Mirror,
}

impl RepositoryState {
    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ReadOnly => "read_only",
            Self::Mirror => "mirror",
        }
    }
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its identifier.
    pub id: RepositoryId,
    /// `namespace/name`.
    pub name: RepositoryName,
    /// Who may pull.
    pub visibility: Visibility,
    /// Who may write.
    pub state: RepositoryState,
    /// One line about it.
    pub short_description: String,
    /// As much text as its owner likes.
    pub long_description: String,
    /// Tags cannot be moved to another digest once set.
    pub immutable_tags: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a person may decide about a new repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewRepository {
    /// The namespace, as typed.
    pub namespace: String,
    /// The name behind the namespace, as typed.
    pub name: String,
    /// Who may pull.
    pub visibility: Visibility,
    /// One line about it.
    pub short_description: String,
    /// More about it.
    pub long_description: String,
    /// Whether tags are immutable.
    pub immutable_tags: bool,
}

/// A change of a repository; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepositoryChange {
    /// Who may pull.
    pub visibility: Option<Visibility>,
    /// Who may write.
    pub state: Option<RepositoryState>,
    /// One line about it.
    pub short_description: Option<String>,
    /// More about it.
    pub long_description: Option<String>,
    /// Whether tags are immutable.
    pub immutable_tags: Option<bool>,
}

/// How many flows of one sort a repository has, and how the last run of any of them went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flow {
    /// How many are enabled.
    pub count: u32,
    /// The worst last result among them.
    pub last: Option<RunCode>,
}

/// A repository with what a list shows beside its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositorySummary {
    /// The repository.
    pub repository: Repository,
    /// How many tags it has, digest tags left out.
    pub tags: u64,
    /// Bytes of all blobs and manifests it holds, each counted once.
    pub size_bytes: u64,
    /// When a tag last changed.
    pub last_push: Option<Timestamp>,
    /// Promotion policies that have it as source.
    pub promotions_out: Flow,
    /// Promotion policies that have it as target.
    pub promotions_in: Flow,
    /// Push mirrors.
    pub push_mirrors: Flow,
    /// Pull mirrors.
    pub pull_mirrors: Flow,
    /// Whether the actor who asked may write to it.
    pub may_write: bool,
    /// Whether the actor who asked administers it.
    pub may_administer: bool,
}

/// Which repositories a list holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepositoryFilter {
    /// Part of the name.
    pub search: Option<String>,
    /// One namespace alone.
    pub namespace: Option<Namespace>,
    /// One state alone.
    pub state: Option<RepositoryState>,
    /// Only those the actor may write to (for pickers of a target).
    pub writable: bool,
}
