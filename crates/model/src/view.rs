//! Answers of use cases that are no thing of their own: what a page or script asks for at once.

use jiff::Timestamp;
use longshore_oci::{RemoteName, RepositoryName, Tag};
use longshore_policy::{Facts, Moment};
use serde::{Deserialize, Serialize};

/// Stands in views for the name of a repository that the reader may not see (semantics 17). The
/// namespace is reserved, so that no real repository is ever called so.
pub const ANOTHER_REPOSITORY: &str = "another/repository";
/// Stands in views for the host of a remote that the reader may not see.
pub const ANOTHER_REGISTRY: &str = "another registry";

/// [`ANOTHER_REPOSITORY`] as the name that it is.
#[must_use]
pub fn another_repository() -> RepositoryName {
    ANOTHER_REPOSITORY.parse().expect("the stand-in is a name")
}

/// The same, as the name of a repository at another registry.
#[must_use]
pub fn another_remote_repository() -> RemoteName {
    another_repository().into()
}

/// A repository's name in a view, where it is one: what an address or a field of a form may be made of.
#[must_use]
pub fn named(name: &str) -> Option<&str> {
    Some(name).filter(|name| *name != ANOTHER_REPOSITORY)
}

/// Which end of a promotion policy a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Tags leave it.
    #[default]
    Source,
    /// Tags arrive in it.
    Target,
}

/// What the preview of a policy is computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewFacts {
    /// What rules may ask about the newest tags, newest first, at most [`PreviewFacts::MAX`].
    pub tags: Vec<Facts>,
    /// How many tags there are.
    pub total: u64,
    /// The server's time and zone, for templates.
    pub moment: Moment,
}

impl PreviewFacts {
    /// A preview shows no more tags than this.
    pub const MAX: usize = 500;
}

/// The tags of a repository at another registry, for the preview of a pull mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTags {
    /// In the registry's order, digest tags left out.
    pub tags: Vec<Tag>,
    /// Whether these are all.
    pub complete: bool,
}

/// What there is to know about the server, for administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// Longshore's version.
    pub version: String,
    /// When this server started.
    pub started_at: Timestamp,
    /// `SQLite` or `PostgreSQL`.
    pub database: String,
    /// How many repositories there are.
    pub repositories: u64,
    /// How many tags, digest tags left out.
    pub tags: u64,
    /// Bytes of all blobs.
    pub blobs_bytes: u64,
    /// Jobs that wait for a worker or their time.
    pub jobs_waiting: u64,
    /// Jobs that run.
    pub jobs_running: u64,
    /// The zone that tag templates use.
    pub zone: String,
    /// When what nothing needs is removed.
    pub garbage: GarbageRules,
}

/// When what nothing needs is removed. All in hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbageRules {
    /// After it lost its last tag; none: never.
    pub untagged: Option<u64>,
    /// How long what was deleted can be brought back.
    pub undo: u64,
    /// How often somebody looks; none: only when asked.
    pub every: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_is_nobodys_name() {
        assert!(another_repository().to_namespace().is_reserved());
    }
}
