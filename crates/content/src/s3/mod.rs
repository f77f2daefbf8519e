//! The store in an S3 bucket, for servers that share one. Objects lie below the prefix:
//!
//! - `blobs/<upload>-<writer>`: a blob below 8 MiB. The upload was saved right there, in one request.
//! - `blobs/<upload>-parts`: any other, made of the parts of a multipart upload.
//! - `uploads/<upload>/state` and `uploads/<upload>/tail-<n>`: what it takes to go on with the
//!   latter, also at another server.
//! - `registry`: whose all this is.
//!
//! A blob stays where its upload began, so nothing is ever copied. Two equal blobs are two objects;
//! which of them counts is not known here, and neither is which server may write to an upload: it
//! must be one at a time. Parts that were never saved when a server died are known to nobody: the
//! bucket should have a lifecycle rule that aborts incomplete multipart uploads after some days.
//!
//! A server that was stopped may wake when its upload has gone to another, and store what it had in hand. A
//! small object that counts it cannot overwrite, since each writer has names of its own, and the upload's row
//! says which of them counts. Of an upload in parts it may overwrite the state: then that upload is lost, and
//! the client begins again.

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
    /// A store in the bucket of the settings. Nothing is asked of the storage yet.
    ///
    /// # Errors
    /// Settings that cannot be.
    pub fn open(settings: &S3Settings) -> Result<Self, StoreError> {
        Ok(Self { sessions: Arc::new(Sessions::new(Bucket::open(settings)?)) })
    }

    /// Asks whether the bucket is there and open to us, so that a server can say so when it starts.
    ///
    /// # Errors
    /// What is wrong with the bucket, the keys or the way there.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.bucket().check().await
    }

    fn bucket(&self) -> &Bucket {
        &self.sessions.bucket
    }

    /// An upload below one part has no state, just the object that it becomes.
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

    /// Whatever of an upload can be read. Parts cannot before they are put together, after which
    /// the upload can end, but not grow any more.
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
        // No request: what an earlier attempt left lies elsewhere, or is dropped by the first part.
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

    /// A small upload is where it belongs already. For parts there are three steps, and a server
    /// can die between any two: put together, remove what lies beside, remove the state. The last
    /// two can be done once more as long as the state is there, and so can the first where it is
    /// certain what was put together ([`Sessions::put_together`]); else the upload is lost. This
    /// succeeds only once the state is gone, so that nobody who finds a state takes a blob that
    /// counts for leftovers. A server that dies right behind that leaves an object that no row
    /// names, as on any crash between storage and database; the client, which had no answer,
    /// pushes again.
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

    /// Those with a state object, and those that are being written here. A small one of another
    /// server looks no different from a blob.
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
