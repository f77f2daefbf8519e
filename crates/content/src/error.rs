//! The errors of operations on content. Each message is fit for the client's user.

use crate::store::StoreError;
use longshore_metadata::storage::QuotaExceeded;
use longshore_model::{RepositoryState, Revision, UploadId, size};
use longshore_oci::{Digest, ManifestError, Namespace, Reference, RepositoryName, Tag};
use std::io;

/// Why an operation on content failed. Unless a variant says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository has no such blob. Does not reveal whether another one does.
    #[error("{repository} has no blob {digest}")]
    BlobUnknown { repository: RepositoryName, digest: Digest },
    /// The repository has no such manifest or tag.
    #[error("{repository} has no manifest {reference}")]
    ManifestUnknown { repository: RepositoryName, reference: Reference },
    /// A manifest names parts that are not stored in its repository.
    #[error(
        "the manifest names {} that {repository} does not have: {}; push {} first",
        if .digests.len() == 1 { "a blob or manifest" } else { "blobs or manifests" },
        .digests.iter().map(Digest::as_str).collect::<Vec<_>>().join(", "),
        if .digests.len() == 1 { "it" } else { "them" },
    )]
    ManifestBlobUnknown {
        repository: RepositoryName,
        /// All missing parts.
        digests: Vec<Digest>,
    },
    /// The bytes do not match the digest. None of them are kept.
    #[error("expected content with the digest {expected}, but received {actual}; push it again")]
    DigestMismatch { expected: Digest, actual: Digest },
    /// The body is longer or shorter than announced. None of it is kept.
    #[error("expected {expected} bytes, but received {actual}; push it again")]
    SizeMismatch { expected: u64, actual: u64 },
    /// The repository has no such upload: it ended, was cancelled, or never existed.
    #[error("there is no upload {upload} in {repository}; start a new one")]
    UploadUnknown { repository: RepositoryName, upload: UploadId },
    /// The quota itself has room, but unfinished uploads have reserved it.
    #[error(
        "the namespace {namespace} may hold {}, and its content and unfinished uploads would exceed that; \
         finish or cancel others, or ask an administrator for a larger quota", size(*.quota)
    )]
    UploadsExceedQuota {
        namespace: Namespace,
        /// In bytes.
        quota: u64,
    },
    /// The repository has the maximum number of unfinished uploads.
    #[error(
        "{repository} has too many unfinished uploads; finish or cancel some of them, or try again later"
    )]
    TooManyUploads { repository: RepositoryName },
    /// Another request is sending a part of the upload.
    #[error(
        "another request is sending a part of this upload, which has {offset} bytes so far; wait until it ends, \
         then ask for the offset"
    )]
    UploadBusy {
        /// The number of durable bytes.
        offset: u64,
    },
    /// A part of an upload does not begin at the upload's offset.
    #[error("the upload continues at byte {offset}; send the part that begins there")]
    RangeNotSatisfiable {
        /// Where the next part must begin.
        offset: u64,
    },
    /// The client disconnected. What it sent is kept if the upload can be resumed.
    #[error("the upload broke off: {0}")]
    BrokenOff(#[source] io::Error),
    /// The manifest is invalid.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The tag is immutable: it can neither be moved nor deleted.
    #[error(
        "the tag {tag} of {repository} is immutable and stays at {existing}; use another tag, or change \
         which tags are immutable in the settings of {repository}"
    )]
    TagImmutable {
        repository: RepositoryName,
        tag: Tag,
        /// The digest that it points to.
        existing: Digest,
    },
    /// The repository's state does not permit this write (semantics 18).
    #[error("{repository} {}", not_writable(.state))]
    NotWritable { repository: RepositoryName, state: RepositoryState },
    /// A manifest of the repository needs what was to be deleted.
    #[error("{digest} is a part of the manifest {by} in {repository}; delete that one first")]
    InUse {
        repository: RepositoryName,
        digest: Digest,
        /// The manifest that names it.
        by: Digest,
    },
    /// The image that a tag pointed to cannot be restored.
    #[error(
        "revision {} of {repository}:{tag} cannot be restored: it does not exist, it is too old, or its image \
         has been removed permanently", .revision.0
    )]
    NotRestorable { repository: RepositoryName, tag: Tag, revision: Revision },
    /// The namespace would exceed its quota.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// The repository was deleted in the meantime.
    #[error("the repository {0} no longer exists")]
    RepositoryGone(RepositoryName),
    /// The store failed. The upload keeps its offset.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] longshore_metadata::Error),
}

impl Error {
    /// Turns the error of a write into [`Error::RepositoryGone`] if the repository was deleted in the meantime.
    pub(crate) fn at(self, repository: &RepositoryName) -> Self {
        match self {
            Self::Metadata(error) if error.is_dangling() => Self::RepositoryGone(repository.clone()),
            other => other,
        }
    }
}

fn not_writable(state: &RepositoryState) -> &'static str {
    match state {
        RepositoryState::Normal => "can be written to",
        RepositoryState::ReadOnly => "is read-only; change its state before you write to it",
        RepositoryState::Mirror => {
            "is a mirror: only its own pull mirrors write to it; push to the repository that it mirrors"
        }
    }
}
