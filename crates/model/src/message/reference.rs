//! References in messages. A reference stores the name beside the identifier, for things that are deleted before the
//! message is read. The name is private and is shown only if [`Eyes`] permit it.

use super::eyes::Eyes;
use crate::id::{RemoteId, RepositoryId};
use crate::repository::Repository;
use longshore_oci::{Digest, RemoteName, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// Replaces a repository that the reader may not see.
pub(crate) const HIDDEN_REPOSITORY: &str = "another repository";
/// Replaces a remote that the reader may not see.
pub(crate) const HIDDEN_REMOTE: &str = "another registry";

/// A repository of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRef {
    /// `None` if only the name is known; then only readers who see everything are shown it.
    id: Option<RepositoryId>,
    name: RepositoryName,
}

impl RepositoryRef {
    /// A reference to the repository that is currently called `name`.
    #[must_use]
    pub fn new(id: impl Into<Option<RepositoryId>>, name: RepositoryName) -> Self {
        Self { id: id.into(), name }
    }

    fn is_seen(&self, eyes: &dyn Eyes) -> bool {
        self.id.map_or_else(|| eyes.everything(), |id| eyes.repository(id))
    }

    /// Its name, or "another repository".
    pub(crate) fn shown(&self, eyes: &dyn Eyes) -> String {
        if self.is_seen(eyes) { self.name.to_string() } else { HIDDEN_REPOSITORY.to_owned() }
    }

    /// The given words, which may name the repository or its namespace; `None` if the reader may not see it.
    pub(crate) fn words<'a>(&self, words: &'a str, eyes: &dyn Eyes) -> Option<&'a str> {
        self.is_seen(eyes).then_some(words)
    }
}

impl From<&Repository> for RepositoryRef {
    fn from(repository: &Repository) -> Self {
        Self::new(repository.id, repository.name.clone())
    }
}

/// A tag of a repository of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRef {
    repository: RepositoryRef,
    tag: Tag,
}

impl TagRef {
    /// A reference to a tag of `repository`.
    #[must_use]
    pub fn new(repository: impl Into<RepositoryRef>, tag: Tag) -> Self {
        Self { repository: repository.into(), tag }
    }

    /// `dev/website:1.0`, or "another repository".
    pub(crate) fn shown(&self, eyes: &dyn Eyes) -> String {
        match self.repository.is_seen(eyes) {
            true => format!("{}:{}", self.repository.name, self.tag),
            false => HIDDEN_REPOSITORY.to_owned(),
        }
    }

    /// The tag without its repository, for a sentence that already names the repository.
    pub(crate) fn tag(&self, eyes: &dyn Eyes) -> String {
        match self.repository.is_seen(eyes) {
            true => format!("the tag {}", self.tag),
            false => "a tag of another repository".to_owned(),
        }
    }

    /// The error for an immutable tag, in the words of DTR.
    pub(crate) fn immutable(&self, eyes: &dyn Eyes) -> String {
        match self.repository.is_seen(eyes) {
            true => format!(
                "tag={} cannot be overwritten because {} is an immutable repository",
                self.tag, self.repository.name
            ),
            false => "the tag cannot be overwritten because another repository is immutable".to_owned(),
        }
    }
}

/// A remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRef {
    /// `None` if only the host is known; then only readers who see everything are shown it.
    id: Option<RemoteId>,
    host: String,
}

impl RemoteRef {
    /// A reference to the remote whose registry is currently at `host`.
    #[must_use]
    pub fn new(id: impl Into<Option<RemoteId>>, host: impl Into<String>) -> Self {
        Self { id: id.into(), host: host.into() }
    }

    fn is_seen(&self, eyes: &dyn Eyes) -> bool {
        self.id.map_or_else(|| eyes.everything(), |id| eyes.remote(id))
    }

    /// Its host, or "another registry".
    pub(crate) fn shown(&self, eyes: &dyn Eyes) -> String {
        if self.is_seen(eyes) { self.host.clone() } else { HIDDEN_REMOTE.to_owned() }
    }

    /// The given words about the remote or from its registry; `None` if the reader may not see it.
    pub(crate) fn words<'a>(&self, words: &'a str, eyes: &dyn Eyes) -> Option<&'a str> {
        self.is_seen(eyes).then_some(words)
    }
}

/// A repository of another registry, or a tag or manifest in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRef {
    remote: RemoteRef,
    repository: RemoteName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

impl PlaceRef {
    /// The whole repository.
    #[must_use]
    pub fn new(remote: RemoteRef, repository: RemoteName) -> Self {
        Self { remote, repository, tag: None, digest: None }
    }

    /// A tag in it.
    #[must_use]
    pub fn tagged(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// A manifest in it.
    #[must_use]
    pub fn at(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    #[must_use]
    pub fn remote(&self) -> &RemoteRef {
        &self.remote
    }

    /// `registry.example/qa/website:1.0`, or "another registry".
    pub(crate) fn shown(&self, eyes: &dyn Eyes) -> String {
        if !self.remote.is_seen(eyes) {
            return HIDDEN_REMOTE.to_owned();
        }
        let (host, repository) = (&self.remote.host, &self.repository);
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{host}/{repository}:{tag}"),
            (None, Some(digest)) => format!("{host}/{repository}@{}", digest.short()),
            (None, None) => format!("{host}/{repository}"),
        }
    }
}
