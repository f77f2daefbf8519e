//! What the operations on content answer when they cannot do what was asked. Each sentence is fit
//! for the person at the other end.

use crate::store::StoreError;
use longshore_metadata::storage::QuotaExceeded;
use longshore_model::{RepositoryState, Revision, UploadId, size};
use longshore_oci::{Digest, ManifestError, Namespace, Reference, RepositoryName, Tag};
use std::io;

/// Why an operation on content failed. Unless a variant says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository holds no such blob; whether another one does is not told.
    #[error("{repository} has no blob {digest}")]
    BlobUnknown {
        /// The repository that was asked.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The repository holds no such manifest or tag.
    #[error("{repository} has no manifest {reference}")]
    ManifestUnknown {
        /// The repository that was asked.
        repository: RepositoryName,
        /// Tag or digest.
        reference: Reference,
    },
    /// A manifest names parts that are not stored in its repository.
    #[error(
        "the manifest names {} that {repository} does not have: {}; push {} first",
        if .digests.len() == 1 { "a blob or manifest" } else { "blobs or manifests" },
        .digests.iter().map(Digest::as_str).collect::<Vec<_>>().join(", "),
        if .digests.len() == 1 { "it" } else { "them" },
    )]
    ManifestBlobUnknown {
        /// The repository the manifest was pushed to.
        repository: RepositoryName,
        /// Each part that is missing.
        digests: Vec<Digest>,
    },
    /// The bytes are not those of the digest. Nothing of them is kept.
    #[error("the content was to have the digest {expected}, but it has {actual}; push it again")]
    DigestMismatch {
        /// What was promised.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// More or fewer bytes than announced. Nothing of them is kept.
    #[error("the content was to have {expected} bytes, but it has {actual}; push it again")]
    SizeMismatch {
        /// What was promised.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// No such upload in this repository: it ended, was cancelled, or never was.
    #[error("there is no upload {upload} in {repository}; start a new one")]
    UploadUnknown {
        /// The repository that was asked.
        repository: RepositoryName,
        /// The upload.
        upload: UploadId,
    },
    /// There is room in the quota, but other uploads that are not finished have taken it.
    #[error(
        "the namespace {namespace} may hold {}, and what it holds and its unfinished uploads would come to more; \
         finish or cancel others, or ask an administrator for a larger quota", size(*.quota)
    )]
    UploadsExceedQuota {
        /// Where they go.
        namespace: Namespace,
        /// The most that it may hold, in bytes.
        quota: u64,
    },
    /// A repository has more unfinished uploads than it may.
    #[error(
        "{repository} has too many unfinished uploads; finish or cancel some of them, or try again later"
    )]
    TooManyUploads {
        /// Where they go.
        repository: RepositoryName,
    },
    /// Another request is sending a part of the upload.
    #[error(
        "another request is sending a part of this upload, which has {offset} bytes so far; wait until it has ended, \
         and ask where to go on"
    )]
    UploadBusy {
        /// How many bytes are durable.
        offset: u64,
    },
    /// A part of an upload does not begin where the upload ends.
    #[error("the upload goes on at byte {offset}; send the part that begins there")]
    RangeNotSatisfiable {
        /// Where the next part must begin.
        offset: u64,
    },
    /// The sender went away. What came until then is kept where the upload can be resumed.
    #[error("the upload broke off: {0}")]
    BrokenOff(#[source] io::Error),
    /// Not a manifest that is taken.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The tag is immutable: it is neither moved nor deleted.
    #[error(
        "the tag {tag} of {repository} is immutable and stays at {existing}; use another tag, or change \
         which tags are immutable in the settings of {repository}"
    )]
    TagImmutable {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it points to.
        existing: Digest,
    },
    /// The repository's state does not let this writer write (semantics 18).
    #[error("{repository} {}", not_writable(.state))]
    NotWritable {
        /// The repository.
        repository: RepositoryName,
        /// Its state.
        state: RepositoryState,
    },
    /// Something in the repository needs what was to be deleted.
    #[error("{digest} is a part of the manifest {by} in {repository}; delete that one first")]
    InUse {
        /// The repository.
        repository: RepositoryName,
        /// What was to be deleted.
        digest: Digest,
        /// A manifest that names it.
        by: Digest,
    },
    /// What a tag pointed to is not to be had any more.
    #[error(
        "change {} of {repository}:{tag} cannot be brought back: it never was, its time is over, or its image \
         has been deleted for good", .revision.0
    )]
    NotRestorable {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// The change that was to be brought back.
        revision: Revision,
    },
    /// The namespace would hold more than its quota allows.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// The repository was deleted in the meantime.
    #[error("there is no repository {0} any more")]
    RepositoryGone(RepositoryName),
    /// The store failed. An upload stays at the offset it had.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] longshore_metadata::Error),
}

impl Error {
    /// For what was written to a repository that went away meanwhile.
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
            "is a mirror, only its own pull mirrors write to it; push to the repository that it mirrors"
        }
    }
}
