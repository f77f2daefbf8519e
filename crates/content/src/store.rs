//! Where bytes are kept: the port that local disk ([`crate::DiskStore`]) and object storage
//! ([`crate::S3Store`]) fill. A store knows uploads and stored blobs by name; it knows nothing of repositories,
//! digests of what passes through it, or who may read what.

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

/// Bytes on their way, in or out. An error means that what came so far is not all there is.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A place for bytes.
///
/// An upload is begun, appended to and saved, perhaps resumed after a restart, and in the end
/// committed or aborted. Nobody reads an upload, and a committed blob never changes.
pub trait Store: Send + Sync + 'static {
    /// A short text that is kept beside the blobs; nothing, when there is none.
    fn note(&self, note: Note) -> BoxFuture<'_, Result<Option<String>, StoreError>>;

    /// Keeps a text beside the blobs, durably, in the place of the one before.
    fn set_note(&self, note: Note, text: String) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether other servers may write here as well. It is for those who use a store to see to it
    /// that nobody else writes to an upload meanwhile.
    fn is_shared(&self) -> bool;

    /// Begins to store an upload, from its first byte. Leftovers under the same name are dropped.
    fn begin(&self, upload: UploadId) -> BoxFuture<'_, Result<Box<dyn Writer>, StoreError>>;

    /// Goes on with an upload behind its first `offset` bytes, which were saved before with this
    /// [`Writer::bookmark`]; whatever lies behind them is dropped. [`StoreError::UploadLost`] when they are
    /// not there.
    fn resume<'s>(
        &'s self,
        upload: UploadId,
        offset: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<Box<dyn Writer>, StoreError>>;

    /// Reads back the `length` bytes that an upload has, for a digest by another algorithm than
    /// the one it was begun with. The bookmark is that of its last save, unless it is being written to here.
    fn read_back<'s>(
        &'s self,
        upload: UploadId,
        length: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<ByteStream, StoreError>>;

    /// Turns an upload, all of it saved, into the stored blob `digest`, durably. Answers where it
    /// is, for [`Store::read`]. A blob that is there already is replaced by its equal. The writer that saved
    /// it is still there.
    fn commit(&self, upload: UploadId, digest: &Digest) -> BoxFuture<'_, Result<String, StoreError>>;

    /// Drops an upload. One that is not there is fine. The bookmark is that of its last save, if there is one.
    fn abort<'s>(
        &'s self,
        upload: UploadId,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<(), StoreError>>;

    /// The uploads that hold bytes.
    fn uploads(&self) -> BoxFuture<'_, Result<Vec<UploadId>, StoreError>>;

    /// Reads a part of a stored blob. The stream fails when the blob turns out shorter.
    fn read(&self, location: &str, span: Span) -> BoxFuture<'_, Result<ByteStream, StoreError>>;

    /// The stored blobs, in any order. Uploads may be among them where the two look alike.
    fn blobs(&self) -> BoxStream<'static, Result<Kept, StoreError>>;

    /// Removes a stored blob. One that is not there is fine.
    fn remove(&self, location: &str) -> BoxFuture<'_, Result<(), StoreError>>;

    /// An address at which everybody can read a stored blob for as long as `ttl`, where the store
    /// has such addresses. Nothing, where bytes only ever pass through the registry.
    fn presigned(&self, location: &str, ttl: Duration) -> BoxFuture<'_, Result<Option<Url>, StoreError>> {
        let _ = (location, ttl);
        Box::pin(async { Ok(None) })
    }
}

/// What a store keeps beside the blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Whose store it is, so that nobody takes it for another.
    Label,
    /// How far its registry's database has come, as far as the store was told.
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

/// A blob as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub location: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it came.
    pub modified: Timestamp,
}

/// The end of an upload at which bytes are added.
pub trait Writer: Send {
    /// Adds bytes. They may be lost until [`Writer::save`] has returned.
    fn append(&mut self, frames: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Makes everything appended so far durable, so that [`Store::resume`] finds it whatever happens.
    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What [`Store::resume`] needs besides the upload's name to find what was saved last. Two writers that
    /// save the same upload, because one of them was stopped for so long that the other took over, do not get
    /// at each other's bytes by it.
    fn bookmark(&self) -> Option<String> {
        None
    }

    /// Tells that the last save counts, so that nobody will go back to the one before.
    fn counted(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Makes everything appended so far durable as far as [`Store::commit`] needs it, which comes next.
    fn seal(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.save()
    }
}

/// What a store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room left.
    #[error("the disk that holds {} is full; free some space there and try again", .path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// The saved bytes of an upload are not there (any more).
    #[error("the bytes of the upload {upload} are lost; start the upload again")]
    UploadLost {
        /// Which.
        upload: UploadId,
    },
    /// Bytes that were stored before cannot be read.
    #[error("what was stored of the upload cannot be read: {source}")]
    Unreadable {
        /// What the operating system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A request to object storage failed, also after it was tried again.
    #[error("cannot {action} {key} in the bucket {bucket}: {cause}; {advice}")]
    Bucket {
        /// What was tried, such as `store`.
        action: &'static str,
        /// With which object.
        key: String,
        /// In which bucket.
        bucket: String,
        /// What the storage said.
        cause: String,
        /// What to do about it.
        advice: &'static str,
        /// Whether the storage is sure that there is no such object, or not as much of it.
        missing: bool,
    },
    /// The settings of a bucket cannot be used as they are.
    #[error("the bucket {bucket} cannot be used: {reason}")]
    BucketSettings {
        /// Which bucket.
        bucket: String,
        /// What is wrong, and what to set instead.
        reason: String,
    },
    /// Another registry keeps its bytes here.
    #[error(
        "the storage belongs to another registry ({theirs}; this one is {ours}): name another folder, bucket or \
         prefix, or the database that belongs to it"
    )]
    Foreign {
        /// The label that this registry would have given it.
        ours: String,
        /// The label that it has.
        theirs: String,
    },
    /// The process ends.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl StoreError {
    /// Whether what was asked for is not there, and not just out of reach.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Unreadable { source } => source.kind() == io::ErrorKind::UnexpectedEof,
            Self::Bucket { missing, .. } => *missing,
            _ => false,
        }
    }

    /// The error for what the operating system said about `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { action, path, source },
        }
    }
}

/// A place for a blob that no other blob has; on disk, below `blobs/`, the one that it is stored in.
pub(crate) fn location_of(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}/{}/{hex}", digest.algorithm(), &hex[..2])
}

/// Runs what blocks (files, hashing) on a thread where it may.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|failure| match failure.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => StoreError::ShuttingDown,
    })
}
