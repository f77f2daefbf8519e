//! The store in an S3 bucket, for servers that share one. Its objects, below the prefix:
//!
//! - `blobs/<upload>-<writer>`: a blob smaller than 8 MiB. Its upload was saved to this object in one request.
//! - `blobs/<upload>-parts`: any other blob, made of the parts of a multipart upload.
//! - `uploads/<upload>/state` and `uploads/<upload>/tail-<n>`: what is needed to resume a multipart upload, on any
//!   server.
//! - `registry` and `epoch`: the label of the registry, and a copy of its database's epoch.
//!
//! A blob stays where its upload began, so nothing is ever copied. Two equal blobs are two objects. The store does not
//! know which of them is recorded, nor which server may write to an upload; only one may at a time. Parts that were
//! never saved before a server died are unknown to everyone, so the bucket should have a lifecycle rule that aborts
//! incomplete multipart uploads after some days.
//!
//! A server that was suspended may wake up after another server took over its upload, and store what it still had in
//! memory. It cannot overwrite a small object that counts, because the name of a small object contains its writer's,
//! and the upload's row says which of them counts. It may overwrite the state of a multipart upload: then that upload
//! is lost, and the client starts again.

mod bucket;
mod session;
mod settings;
mod state;
mod writer;

pub use settings::S3Settings;

use crate::store::{ByteStream, Kept, Note, Store, StoreError, Writer};
use bucket::{Bucket, WriterName};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use longshore_model::UploadId;
use longshore_oci::{Digest, Span};
use session::{Held, Layout, Session, Sessions};
use state::FIRST_PART;
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use writer::S3Writer;

/// Blobs and uploads in a bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    sessions: Arc<Sessions>,
}

impl S3Store {
    /// Opens the bucket of the settings without making a request.
    ///
    /// # Errors
    /// If the settings are invalid.
    pub fn open(settings: &S3Settings) -> Result<Self, StoreError> {
        Ok(Self { sessions: Arc::new(Sessions::new(Bucket::open(settings)?)) })
    }

    /// Checks that the bucket exists and can be accessed, so that a server can report a problem when it starts.
    ///
    /// # Errors
    /// What is wrong with the bucket, the keys or the connection.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.bucket().check().await
    }

    fn bucket(&self) -> &Bucket {
        &self.sessions.bucket
    }

    /// An upload that is smaller than one part has no state, only the object that it becomes.
    async fn resume_small(
        &self,
        upload: UploadId,
        offset: u64,
        bookmark: Option<&str>,
    ) -> Result<S3Writer, StoreError> {
        let by = WriterName::from_bookmark(bookmark.ok_or(StoreError::UploadLost { upload })?);
        let length = self.bucket().length(&self.bucket().at(&Bucket::small(upload, &by))).await?;
        let length = length.filter(|length| *length >= offset).ok_or(StoreError::UploadLost { upload })?;
        let session = self.start(upload, Layout::Small(by), None);
        Ok(S3Writer::behind(session, offset, length))
    }

    async fn resume_parts(&self, upload: UploadId, offset: u64) -> Result<S3Writer, StoreError> {
        let lost = StoreError::UploadLost { upload };
        let state = self.sessions.load_state(upload).await?;
        let Some(state) = state.and_then(|state| state.back_to(offset)) else { return Err(lost) };
        let tail = match state.tail().filter(|_| !state.whole) {
            None => Bytes::new(),
            Some(saved) => {
                let tail = self.bucket().get(&self.bucket().tail(upload, saved.number), None).await?;
                tail.filter(|tail| tail.len() as u64 == saved.length).ok_or(lost)?
            }
        };
        let session = self.start(upload, Layout::Parts(state), Some(tail.clone()));
        Ok(S3Writer::new(session, tail))
    }

    fn start(&self, upload: UploadId, layout: Layout, tail: Option<Bytes>) -> Arc<Session> {
        self.sessions.start(upload, Held { layout, tail, older: None })
    }

    /// The location at which an upload can be read. Parts cannot be read before they are assembled, after which the
    /// upload can be finished, but not appended to.
    async fn readable(&self, upload: UploadId, bookmark: Option<&str>) -> Result<String, StoreError> {
        let held = self.sessions.held(upload, bookmark).await?;
        match &held.layout {
            Layout::Nothing | Layout::Ended => Err(StoreError::UploadLost { upload }),
            Layout::Small(by) => Ok(Bucket::small(upload, by)),
            Layout::Parts(state) => {
                if !state.whole {
                    let whole = self.sessions.put_together(upload, state, held.tail.as_ref()).await?;
                    self.sessions.store_state(upload, &whole).await?;
                }
                Ok(Bucket::big(upload))
            }
        }
    }
}

impl Store for S3Store {
    fn is_shared(&self) -> bool {
        true
    }

    fn note(&self, note: Note) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        async move {
            let text = self.bucket().get(&self.bucket().at(note.name()), None).await?;
            Ok(text.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
        }
        .boxed()
    }

    fn set_note(&self, note: Note, text: String) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.bucket().put(&self.bucket().at(note.name()), text.into()).await }.boxed()
    }

    fn begin(&self, upload: UploadId) -> BoxFuture<'_, Result<Box<dyn Writer>, StoreError>> {
        // Makes no request: leftovers of an earlier attempt have another name, or are removed with the first part.
        let writer = S3Writer::fresh(self.start(upload, Layout::Nothing, None));
        async move { Ok(Box::new(writer) as Box<dyn Writer>) }.boxed()
    }

    fn resume<'s>(
        &'s self,
        upload: UploadId,
        offset: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<Box<dyn Writer>, StoreError>> {
        async move {
            let writer = match offset < FIRST_PART as u64 {
                true => self.resume_small(upload, offset, bookmark).await?,
                false => self.resume_parts(upload, offset).await?,
            };
            Ok(Box::new(writer) as Box<dyn Writer>)
        }
        .boxed()
    }

    fn read_back<'s>(
        &'s self,
        upload: UploadId,
        length: u64,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<ByteStream, StoreError>> {
        async move {
            let key = self.bucket().at(&self.readable(upload, bookmark).await?);
            self.bucket().stream(&key, Span { start: 0, length }).await
        }
        .boxed()
    }

    /// A small upload already is where it belongs. A multipart upload takes three steps, and a server can die between
    /// any two: assemble the parts, remove the other objects, remove the state. The last two can be repeated while the
    /// state exists, and so can the first if it is certain what was assembled ([`Sessions::put_together`]); otherwise
    /// the upload is lost. This returns successfully only after the state was removed, so that no server that finds a
    /// state takes a blob that counts for leftovers. A server that dies right after that leaves an object that no row
    /// names, as in any crash between storage and database; the client, which received no response, pushes again.
    fn commit(&self, upload: UploadId, _digest: &Digest) -> BoxFuture<'_, Result<String, StoreError>> {
        async move {
            let held = self.sessions.held(upload, None).await?;
            match &held.layout {
                Layout::Nothing | Layout::Ended => Err(StoreError::UploadLost { upload }),
                Layout::Small(by) => {
                    if let Some(older) = &held.older {
                        self.bucket().delete(&self.bucket().at(&Bucket::small(upload, older))).await?;
                    }
                    self.sessions.ended(upload);
                    Ok(Bucket::small(upload, by))
                }
                Layout::Parts(state) => {
                    let whole = self.sessions.put_together(upload, state, held.tail.as_ref()).await?;
                    self.sessions.clear(upload, &whole).await?;
                    Ok(Bucket::big(upload))
                }
            }
        }
        .boxed()
    }

    fn abort<'s>(
        &'s self,
        upload: UploadId,
        bookmark: Option<&'s str>,
    ) -> BoxFuture<'s, Result<(), StoreError>> {
        self.sessions.drop_upload(upload, bookmark).boxed()
    }

    /// Uploads with a state object, and those being written here. A small upload of another server looks like a blob.
    fn uploads(&self) -> BoxFuture<'_, Result<Vec<UploadId>, StoreError>> {
        async move {
            let mut uploads = self.bucket().states().await?;
            uploads.extend(self.sessions.saved());
            uploads.sort_unstable();
            uploads.dedup();
            Ok(uploads)
        }
        .boxed()
    }

    fn read(&self, location: &str, span: Span) -> BoxFuture<'_, Result<ByteStream, StoreError>> {
        let key = self.bucket().at(location);
        async move { self.bucket().stream(&key, span).await }.boxed()
    }

    fn blobs(&self) -> BoxStream<'static, Result<Kept, StoreError>> {
        self.bucket().blobs()
    }

    fn remove(&self, location: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = self.bucket().at(location);
        async move { self.bucket().delete(&key).await }.boxed()
    }

    fn presigned(&self, location: &str, ttl: Duration) -> BoxFuture<'_, Result<Option<Url>, StoreError>> {
        let key = self.bucket().at(location);
        async move { self.bucket().sign(&key, ttl).await.map(Some) }.boxed()
    }
}
