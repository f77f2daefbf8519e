//! Results of use cases that belong to no other module: what a page or script requests at once.

use jiff::Timestamp;
use longshore_oci::{RemoteName, RepositoryName, Tag};
use longshore_policy::{Facts, Moment};
use serde::{Deserialize, Serialize};

/// Replaces the name of a repository that the reader may not see (semantics 17). The namespace is reserved, so no
/// real repository has this name.
pub const ANOTHER_REPOSITORY: &str = "another/repository";
/// Replaces the host of a remote that the reader may not see.
pub const ANOTHER_REGISTRY: &str = "another registry";

/// [`ANOTHER_REPOSITORY`] as a repository name.
#[must_use]
pub fn another_repository() -> RepositoryName {
    ANOTHER_REPOSITORY.parse().expect("the stand-in is a name")
}

/// [`ANOTHER_REPOSITORY`] as the name of a repository at another registry.
#[must_use]
pub fn another_remote_repository() -> RemoteName {
    another_repository().into()
}

/// The name unless it is the stand-in: a name that may be used in URLs and form fields.
#[must_use]
pub fn named(name: &str) -> Option<&str> {
    Some(name).filter(|name| *name != ANOTHER_REPOSITORY)
}

/// The end of a promotion policy that a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Tags leave it.
    #[default]
    Source,
    /// Tags arrive in it.
    Target,
}

/// The data that the preview of a policy is computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewFacts {
    /// The facts of the newest tags, newest first; at most [`PreviewFacts::MAX`].
    pub tags: Vec<Facts>,
    pub total: u64,
    /// The server's time and time zone, for templates.
    pub moment: Moment,
}

impl PreviewFacts {
    /// The maximum number of tags in a preview.
    pub const MAX: usize = 500;
}

/// The tags of a repository at another registry, for the preview of a pull mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTags {
    /// In the order of the registry, without digest tags.
    pub tags: Vec<Tag>,
    /// Whether the list is complete.
    pub complete: bool,
}

/// Information about the server, for administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    pub version: String,
    pub started_at: Timestamp,
    /// `SQLite` or `PostgreSQL`.
    pub database: String,
    pub repositories: u64,
    /// Without digest tags.
    pub tags: u64,
    /// The size of all blobs.
    pub blobs_bytes: u64,
    /// Jobs that wait for a worker or for their scheduled time.
    pub jobs_waiting: u64,
    pub jobs_running: u64,
    /// The time zone of tag templates.
    pub zone: String,
    pub garbage: GarbageRules,
}

/// When content that is no longer needed is removed, in hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbageRules {
    /// The time since the last tag was removed; `None` keeps untagged manifests forever.
    pub untagged: Option<u64>,
    /// How long deleted content can be restored.
    pub undo: u64,
    /// The interval of garbage collection; `None` runs it only on request.
    pub every: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_the_stand_in_is_reserved() {
        assert!(another_repository().to_namespace().is_reserved());
    }
}
