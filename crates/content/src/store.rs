//! The interface to a store of bytes, implemented for local disk ([`crate::DiskStore`]) and object storage
//! ([`crate::S3Store`]). A store knows uploads and stored blobs by name. It knows nothing of repositories or
//! permissions, and does not verify digests.

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use longshore_model::{Timestamp, UploadId};
use longshore_oci::{Digest, Span};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// Bytes that are being received or sent. After an error, the bytes so far are incomplete.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A store of uploads and blobs.
///
/// An upload is begun, appended to and saved, perhaps resumed after a restart, and finally committed or aborted.
/// Uploads are not served, and a committed blob never changes.
pub trait Store: Send + Sync + 'static {
    /// A short text that is stored beside the blobs; `None` if it does not exist.
    fn note(&self, note: Note) -> BoxFuture<'_, Result<Option<String>, StoreError>>;

    /// Stores a text beside the blobs, durably, and replaces the previous one.
    fn set_note(&self, note: Note, text: String) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether other servers may write here as well. If so, the caller must make sure that no other server writes to an
    /// upload at the same time.
    fn is_shared(&self) -> bool;

    /// Starts an upload. Leftovers under the same name are removed.
    fn begin(&self, upload: UploadId) -> BoxFuture<'_, Result<Box<dyn Writer>, StoreError>>;

    /// Continues an upload after its first `offset` bytes, which were saved earlier with this [`Writer::bookmark`]; any
    /// bytes after them are discarded. Fails with [`StoreError::UploadLost`] if those bytes are not stored.
    fn resume<'s>(
        &'s self,
        upload: UploadId,
        offset: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<Box<dyn Writer>, StoreError>>;

    /// Reads the first `length` bytes of an upload, to compute a digest by another algorithm than the one it was begun
    /// with. The bookmark is that of the last save, unless the upload is being written here.
    fn read_back<'s>(
        &'s self,
        upload: UploadId,
        length: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<ByteStream, StoreError>>;

    /// Turns an upload, all of which is saved, into the stored blob `digest`, durably. Returns its location for
    /// [`Store::read`]. An existing blob is replaced by its equal. The writer that saved the upload still exists.
    fn commit(&self, upload: UploadId, digest: &Digest) -> BoxFuture<'_, Result<String, StoreError>>;

    /// Removes an upload. It is no error if it does not exist. The bookmark is that of the last save, if any.
    fn abort<'s>(
        &'s self,
        upload: UploadId,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<(), StoreError>>;

    /// The uploads that have stored bytes.
    fn uploads(&self) -> BoxFuture<'_, Result<Vec<UploadId>, StoreError>>;

    /// Reads a part of a stored blob. The stream fails if the blob is shorter.
    fn read(&self, location: &str, span: Span) -> BoxFuture<'_, Result<ByteStream, StoreError>>;

    /// The stored blobs, in any order. Uploads may be among them if the store cannot tell the two apart.
    fn blobs(&self) -> BoxStream<'static, Result<Kept, StoreError>>;

    /// Removes a stored blob. It is no error if it does not exist.
    fn remove(&self, location: &str) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A URL at which anyone can read a stored blob until `ttl` has passed; `None` if the store has no such URLs and
    /// bytes always pass through the registry.
    fn presigned(&self, location: &str, ttl: Duration) -> BoxFuture<'_, Result<Option<Url>, StoreError>> {
        let _ = (location, ttl);
        Box::pin(async { Ok(None) })
    }
}

/// A text that is stored beside the blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The label of the registry that the store belongs to, so that no other one uses it.
    Label,
    /// A copy of the epoch of the registry's database.
    Epoch,
}

impl Note {
    /// The name of its file or object.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Label => "registry",
            Self::Epoch => "epoch",
        }
    }
}

/// A stored blob, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub location: String,
    /// In bytes.
    pub size: u64,
    pub modified: Timestamp,
}

/// Appends bytes to an upload.
pub trait Writer: Send {
    /// Appends bytes. They may be lost until [`Writer::save`] has returned.
    fn append(&mut self, frames: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Makes all appended bytes durable, so that [`Store::resume`] finds them.
    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What [`Store::resume`] needs, besides the upload's name, to find what was saved last. It keeps apart two writers
    /// that save the same upload, which happens if one was suspended for so long that the other took over.
    fn bookmark(&self) -> Option<String> {
        None
    }

    /// Confirms that the last save was recorded, so that the one before it is no longer needed.
    fn counted(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Makes all appended bytes durable as far as [`Store::commit`] requires, which must follow.
    fn seal(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.save()
    }
}

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full.
    #[error("the disk that holds {} is full; free some space there and try again", .path.display())]
    Full {
        /// The file that was being written.
        path: PathBuf,
    },
    /// The saved bytes of an upload do not exist (any more).
    #[error("the bytes of the upload {upload} are lost; start the upload again")]
    UploadLost { upload: UploadId },
    /// Stored bytes cannot be read.
    #[error("stored bytes cannot be read: {source}")]
    Unreadable { source: io::Error },
    /// Any other error of the operating system.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// A verb, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        source: io::Error,
    },
    /// A request to object storage failed, after all retries.
    #[error("cannot {action} {key} in the bucket {bucket}: {cause}; {advice}")]
    Bucket {
        /// A verb, such as `store`.
        action: &'static str,
        /// The object.
        key: String,
        bucket: String,
        /// The storage's message.
        cause: String,
        advice: &'static str,
        /// Whether the object certainly does not exist or is too short.
        missing: bool,
    },
    /// The settings of a bucket are invalid.
    #[error("the bucket {bucket} cannot be used: {reason}")]
    BucketSettings {
        bucket: String,
        /// What is wrong, and what to change.
        reason: String,
    },
    /// The store belongs to another registry.
    #[error(
        "the storage belongs to another registry ({theirs}; this one is {ours}): name another folder, bucket or \
         prefix, or the database that belongs to it"
    )]
    Foreign {
        /// The label of this registry.
        ours: String,
        /// The label of the store.
        theirs: String,
    },
    /// The process is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl StoreError {
    /// Whether the requested bytes do not exist, as opposed to being unreachable.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Unreadable { source } => source.kind() == io::ErrorKind::UnexpectedEof,
            Self::Bucket { missing, .. } => *missing,
            _ => false,
        }
    }

    /// The error for an operating system error on `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { action, path, source },
        }
    }
}

/// A location for a blob that no other blob has. On disk, this is its path below `blobs/`.
pub(crate) fn location_of(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}/{}/{hex}", digest.algorithm(), &hex[..2])
}

/// Runs blocking work (files, hashing) on a thread for it.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|failure| match failure.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => StoreError::ShuttingDown,
    })
}
