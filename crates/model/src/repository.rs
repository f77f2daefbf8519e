//! Repositories and what lists show about them.

use crate::account::Author;
use crate::id::RepositoryId;
use crate::pause::Pause;
use crate::policy::RunCode;
use crate::version::Version;
use jiff::Timestamp;
use longshore_oci::{Digest, Namespace, RepositoryName, Tag};
use longshore_policy::Patterns;
use serde::{Deserialize, Serialize};

/// Who may pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everyone, signed in or not.
    Public,
    /// Users who may act in the namespace.
    #[default]
    Private,
}

impl Visibility {
    /// The word used in REST and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// Who may push and delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RepositoryState {
    /// Users who may act in the namespace.
    #[default]
    Normal,
    /// Nobody.
    ReadOnly,
    /// Only the repository's own pull mirrors.
    Mirror,
}

impl RepositoryState {
    /// The word used in REST and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ReadOnly => "read_only",
            Self::Mirror => "mirror",
        }
    }
}

/// The tags of a repository that cannot be moved to another digest or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", content = "patterns", rename_all = "snake_case")]
pub enum ImmutableTags {
    /// No tags.
    #[default]
    Off,
    /// All tags but digest tags.
    All,
    /// The tags that a list of names and globs matches.
    Matching(Patterns),
}

impl ImmutableTags {
    /// Whether a tag is immutable. Digest tags never are, because signatures are added to them.
    #[must_use]
    pub fn covers(&self, tag: &Tag) -> bool {
        match self {
            Self::Off => false,
            Self::All => !tag.is_digest_tag(),
            Self::Matching(patterns) => patterns.matches(tag),
        }
    }

    /// Whether any tag may be immutable.
    #[must_use]
    pub fn is_on(&self) -> bool {
        *self != Self::Off
    }

    /// The patterns of [`Self::Matching`].
    #[must_use]
    pub fn patterns(&self) -> Option<String> {
        match self {
            Self::Off | Self::All => None,
            Self::Matching(patterns) => Some(patterns.to_string()),
        }
    }
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    pub id: RepositoryId,
    /// `namespace/name`.
    pub name: RepositoryName,
    pub visibility: Visibility,
    pub state: RepositoryState,
    /// One line of text.
    pub short_description: String,
    pub long_description: String,
    pub immutable_tags: ImmutableTags,
    /// Grows with each change of its settings (semantics 33).
    pub version: Version,
    pub created_at: Timestamp,
}

/// The settings of a new repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewRepository {
    /// As typed.
    pub namespace: String,
    /// The name after the namespace, as typed.
    pub name: String,
    pub visibility: Visibility,
    /// One line of text.
    pub short_description: String,
    pub long_description: String,
    pub immutable_tags: ImmutableTags,
}

/// A change of a repository; `None` leaves a setting unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepositoryChange {
    pub visibility: Option<Visibility>,
    pub state: Option<RepositoryState>,
    pub short_description: Option<String>,
    pub long_description: Option<String>,
    pub immutable_tags: Option<ImmutableTags>,
    /// The version that the change is based on; `None` applies it to any version (semantics 33).
    pub based_on: Option<Version>,
}

/// The number of policies or mirrors of one kind that a repository has, and how they last ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flow {
    /// The number of enabled ones.
    pub count: u32,
    /// The worst of their last results.
    pub last: Option<RunCode>,
}

/// A repository as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositorySummary {
    pub repository: Repository,
    /// The number of tags, without digest tags.
    pub tags: u64,
    /// The size of all its blobs, each counted once.
    pub size_bytes: u64,
    /// The part of that size that no other repository shares; `None` in lists, and if there are more blobs and
    /// manifests than [`Storage::MOST_LOOKED_UP`].
    pub unique_bytes: Option<u64>,
    /// When a tag last changed.
    pub last_push: Option<Timestamp>,
    /// Promotion policies that have it as source.
    pub promotions_out: Flow,
    /// Promotion policies that have it as target.
    pub promotions_in: Flow,
    pub push_mirrors: Flow,
    pub pull_mirrors: Flow,
    /// Whether the caller may write to it.
    pub may_write: bool,
    /// Whether the caller administers it.
    pub may_administer: bool,
    /// The pause that holds its policies and mirrors: of the system or of its namespace, the wider of the two.
    pub held_by: Option<Pause>,
}

/// Filters a list of repositories.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepositoryFilter {
    /// A part of the name.
    pub search: Option<String>,
    pub namespace: Option<Namespace>,
    pub state: Option<RepositoryState>,
    /// Only repositories that the caller may write to, for the choice of a target.
    pub writable: bool,
}

/// The size of a repository or namespace. Each blob is counted once, and in a namespace each manifest too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Storage {
    pub total: u64,
    /// The part that nothing else shares, which deleting everything would free. `None` if there are more blobs and
    /// manifests than [`Storage::MOST_LOOKED_UP`].
    pub unique: Option<u64>,
}

impl Storage {
    /// Finding out what is shared takes a lookup for each blob and manifest, and is not done for more than this
    /// number.
    pub const MOST_LOOKED_UP: u64 = 5_000;

    /// The part that others share, if it is known.
    #[must_use]
    pub fn shared(self) -> Option<u64> {
        self.unique.map(|unique| self.total.saturating_sub(unique))
    }
}

/// The size of a namespace, and its quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceStorage {
    pub namespace: Namespace,
    /// The size of its repositories together, including deleted ones that can be restored.
    pub storage: Storage,
    /// The part that only deleted repositories hold, which counts until they are purged. `None` if these hold more
    /// blobs and manifests than [`Storage::MOST_LOOKED_UP`].
    pub deleted: Option<u64>,
    /// The maximum size; `None` means unlimited.
    pub quota: Option<u64>,
}

/// A deleted repository that can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedRepository {
    /// The repository before it was deleted.
    pub repository: Repository,
    pub deleted_at: Timestamp,
    pub deleted_by: Author,
    /// When it is removed permanently.
    pub until: Timestamp,
    /// The number of tags it had, without digest tags.
    pub tags: u64,
    /// The size of the blobs it holds.
    pub size_bytes: u64,
}

/// What purging a deleted repository would do, and where else its images are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgePlan {
    pub deleted: DeletedRepository,
    /// The bytes that would be freed, because nothing else holds them. `None` if there are more blobs and manifests
    /// than [`Storage::MOST_LOOKED_UP`].
    pub frees: Option<u64>,
    /// Repositories of this server and of other registries that also have some of its images.
    pub elsewhere: Vec<Elsewhere>,
    /// The number of further images at other places that are not named.
    pub more: u64,
}

/// A place that has images of a deleted repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// A repository of this server, or `host/repository` of another registry that they were copied to.
    pub place: String,
    /// Whether it is another registry, which may have removed them since.
    pub remote: bool,
    /// The images that it also has.
    pub digests: Vec<Digest>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn digest_tags_are_never_immutable() {
        let digest_tag: Tag = format!("sha256-{}.sig", "0".repeat(64)).parse().unwrap();
        let (release, latest): (Tag, Tag) = ("v1.0".parse().unwrap(), "latest".parse().unwrap());
        let matching = ImmutableTags::Matching(Patterns::parse("v*, 3.?").unwrap());
        assert!(matching.covers(&release) && !matching.covers(&latest));
        assert!(ImmutableTags::All.covers(&latest) && !ImmutableTags::Off.covers(&latest));
        for immutable in [ImmutableTags::All, ImmutableTags::Matching(Patterns::parse("*").unwrap())] {
            assert!(!immutable.covers(&digest_tag));
        }
    }
}
