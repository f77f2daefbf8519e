//! Repositories: what they are, and how lists of them show what flows in and out.

use crate::account::Author;
use crate::id::RepositoryId;
use crate::pause::Pause;
use crate::policy::RunCode;
use crate::version::Version;
use jiff::Timestamp;
use longshore_oci::{Digest, Namespace, RepositoryName, Tag};
use longshore_policy::Patterns;
use serde::{Deserialize, Serialize};

/// Who may pull without being named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// Who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// Which tags of a repository stay at the digest they were first set to, and cannot be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", content = "patterns", rename_all = "snake_case")]
pub enum ImmutableTags {
    /// None.
    #[default]
    Off,
    /// All.
    All,
    /// Those that a list of names and globs matches.
    Matching(Patterns),
}

impl ImmutableTags {
    /// Whether a tag is immutable. Digest tags never are: signatures are added to them.
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

    /// The patterns, where they decide.
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
    /// Which tags cannot be moved to another digest once set.
    pub immutable_tags: ImmutableTags,
    /// Grows with each change of its settings (semantics 33).
    pub version: Version,
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
    /// Which tags are immutable.
    pub immutable_tags: ImmutableTags,
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
    /// Which tags are immutable.
    pub immutable_tags: Option<ImmutableTags>,
    /// The version that the change is based on; `None`: whichever there is (semantics 33).
    pub based_on: Option<Version>,
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
    /// Bytes of all blobs it holds, each counted once.
    pub size_bytes: u64,
    /// How much of that no other repository holds; none in lists, and of more blobs and manifests than
    /// [`Storage::MOST_LOOKED_UP`].
    pub unique_bytes: Option<u64>,
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
    /// The pause of everything or of its namespace that its policies and mirrors wait for; the wider of two.
    pub held_by: Option<Pause>,
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

/// The bytes of what a repository or namespace holds, each blob counted once, and in a namespace each manifest too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Storage {
    /// All of it.
    pub total: u64,
    /// How much of it nobody else holds: what deleting everything would free. None where there are more blobs and
    /// manifests than [`Storage::MOST_LOOKED_UP`].
    pub unique: Option<u64>,
}

impl Storage {
    /// Who else holds something has to be looked up for each blob and manifest. Of more than these that is not done.
    pub const MOST_LOOKED_UP: u64 = 5_000;

    /// How much of it others hold as well, where that is known.
    #[must_use]
    pub fn shared(self) -> Option<u64> {
        self.unique.map(|unique| self.total.saturating_sub(unique))
    }
}

/// What a namespace holds, and how much it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceStorage {
    /// The namespace.
    pub namespace: Namespace,
    /// What its repositories hold together, deleted ones included while they can be brought back.
    pub storage: Storage,
    /// How much of that only deleted repositories hold; it counts until they are purged. None where these hold more
    /// blobs and manifests than [`Storage::MOST_LOOKED_UP`].
    pub deleted: Option<u64>,
    /// The most that it may hold; none: there is no limit.
    pub quota: Option<u64>,
}

/// A repository that was deleted and can be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedRepository {
    /// As it was.
    pub repository: Repository,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// By whom.
    pub deleted_by: Author,
    /// When it is removed for good.
    pub until: Timestamp,
    /// How many tags it had, digest tags left out.
    pub tags: u64,
    /// Bytes of the blobs it holds.
    pub size_bytes: u64,
}

/// What purging a deleted repository would mean, and where its images are still to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgePlan {
    /// The repository.
    pub deleted: DeletedRepository,
    /// Bytes that would be freed: nobody else holds them. None of more blobs and manifests than
    /// [`Storage::MOST_LOOKED_UP`].
    pub frees: Option<u64>,
    /// Where some of its images are as well: repositories here, and places of other registries.
    pub elsewhere: Vec<Elsewhere>,
    /// How many more images there are at other places, which are not named.
    pub more: u64,
}

/// A place that has images of a deleted repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// A repository of this server, or `host/repository` of another registry that they were sent to.
    pub place: String,
    /// Whether it is another registry, which may have removed them since.
    pub remote: bool,
    /// The images that it has too.
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
