//! Appends bytes to an upload in a bucket. Memory is bounded by two parts: one that is being filled and one that is
//! being sent. During a save there is a third.

use super::bucket::{Bucket, WriterName};
use super::session::{Layout, Session};
use super::state::{MOST_PARTS, Part, State, part_size};
use crate::store::{StoreError, Writer};
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::task::JoinHandle;

pub(super) struct S3Writer {
    session: Arc<Session>,
    /// The bytes after the last full part.
    buffer: BytesMut,
    /// The number of bytes of the small object before the buffer that were not read yet. Most such uploads are already
    /// complete, so these bytes are read only when needed.
    unread: u64,
    /// Whether there are unsaved bytes.
    changed: bool,
    /// The part that is being sent. It keeps the session alive after the writer was dropped, because the session has to
    /// know when no more parts arrive.
    sending: Option<JoinHandle<Result<Part, StoreError>>>,
    /// Whether a part failed, so that nothing can follow it.
    broken: bool,
}

impl S3Writer {
    /// Continues with what the session holds.
    pub(super) fn new(session: Arc<Session>, tail: Bytes) -> Self {
        let buffer = BytesMut::from(tail);
        Self { session, buffer, unread: 0, changed: false, sending: None, broken: false }
    }

    /// Continues after the first `offset` bytes of a small upload of `length` bytes.
    pub(super) fn behind(session: Arc<Session>, offset: u64, length: u64) -> Self {
        let writer = Self::new(session, Bytes::new());
        Self { unread: offset, changed: offset != length, ..writer }
    }

    /// Starts an upload that has no object yet.
    pub(super) fn fresh(session: Arc<Session>) -> Self {
        Self { changed: true, ..Self::new(session, Bytes::new()) }
    }

    async fn read_the_unread(&mut self) -> Result<(), StoreError> {
        if self.unread > 0 {
            let (bucket, upload) = (self.session.bucket(), self.session.upload);
            let by = self.session.small().ok_or(StoreError::UploadLost { upload })?;
            let bytes = bucket.get(&bucket.at(&Bucket::small(upload, &by)), Some(self.unread)).await?;
            let bytes = bytes.filter(|bytes| bytes.len() as u64 == self.unread);
            self.buffer.extend_from_slice(&bytes.ok_or(StoreError::UploadLost { upload })?);
            self.unread = 0;
        }
        Ok(())
    }

    /// Waits for the part that is being sent.
    async fn sent(&mut self) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::UploadLost { upload: self.session.upload });
        }
        let Some(sending) = &mut self.sending else { return Ok(()) };
        let sent = sending.await;
        self.sending = None;
        let sent = sent.unwrap_or_else(|failure| match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::ShuttingDown),
        });
        let upload = self.session.upload;
        let noted = sent.and_then(|part| {
            self.session.change(|held| match &mut held.layout {
                Layout::Parts(state) => {
                    state.parts.push(part);
                    Ok(())
                }
                // The upload was dropped in the meantime.
                _ => Err(StoreError::UploadLost { upload }),
            })
        });
        self.broken = noted.is_err();
        noted
    }

    /// The S3 upload ID and the number of parts. If the upload has no parts yet, starts the multipart upload.
    async fn parts(&self) -> Result<(String, usize), StoreError> {
        let (bucket, upload) = (self.session.bucket(), self.session.upload);
        let layout = self.session.look(|held| match &held.layout {
            Layout::Parts(state) => Ok(Some((state.multipart.clone(), state.parts.len()))),
            Layout::Nothing | Layout::Small(_) => Ok(None),
            Layout::Ended => Err(StoreError::UploadLost { upload }),
        });
        if let Some(known) = layout? {
            return Ok(known);
        }
        let (small, key) = (self.session.small(), bucket.at(&Bucket::big(upload)));
        // Left by an earlier attempt; its bytes were never recorded.
        if let Some(old) = self.session.sessions().load_state(upload).await? {
            bucket.abort_parts(&key, &old.multipart).await?;
        }
        let multipart = bucket.begin_parts(&key).await?;
        let state = State::new(multipart.clone(), small);
        self.session.change(|held| held.layout = Layout::Parts(state));
        Ok((multipart, 0))
    }

    /// Starts to send a full buffer after the previous part was stored.
    async fn send(&mut self) -> Result<(), StoreError> {
        self.sent().await?;
        let session = self.session.clone();
        let sending = session.sending.clone().lock_owned().await;
        let (multipart, index) = self.parts().await?;
        let key = session.bucket().at(&Bucket::big(session.upload));
        if index >= MOST_PARTS {
            let advice = "split this layer into smaller ones";
            return Err(session.bucket().refused("store", &key, "it has more parts than S3 accepts", advice));
        }
        let bytes = self.buffer.split().freeze();
        self.sending = Some(tokio::spawn(async move {
            let size = bytes.len() as u64;
            let etag = session.bucket().put_part(&key, &multipart, index, bytes).await?;
            drop(sending);
            Ok(Part { etag, size })
        }));
        Ok(())
    }

    /// The size of the part that is being filled.
    fn part_size(&self) -> usize {
        self.session.look(|held| match &held.layout {
            Layout::Parts(state) => part_size(state.parts.len() + usize::from(self.sending.is_some())),
            _ => part_size(0),
        })
    }

    async fn add(&mut self, mut frame: Bytes) -> Result<(), StoreError> {
        while !frame.is_empty() {
            let room = self.part_size().saturating_sub(self.buffer.len()).min(frame.len());
            self.buffer.extend_from_slice(&frame.split_to(room));
            if self.buffer.len() >= self.part_size() {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn save_small(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let (session, by) = (&self.session, self.session.writer.clone());
        let key = session.bucket().at(&Bucket::small(session.upload, &by));
        session.bucket().put(&key, bytes).await?;
        session.change(|held| match std::mem::replace(&mut held.layout, Layout::Small(by.clone())) {
            Layout::Small(older) if older != by => held.older = Some(older),
            _ => {}
        });
        Ok(())
    }

    /// Stores the tail first: a state must never name one that does not exist.
    async fn save_parts(&mut self, state: State, tail: Bytes) -> Result<(), StoreError> {
        let (bucket, upload) = (self.session.bucket(), self.session.upload);
        if !tail.is_empty() {
            bucket.put(&bucket.tail(upload, state.next_tail()), tail.clone()).await?;
        }
        let (state, stale) = state.save(tail.len() as u64);
        self.session.sessions().store_state(upload, &state).await?;
        self.session.change(|held| (held.layout, held.tail) = (Layout::Parts(state), Some(tail)));
        for number in stale {
            if let Err(error) = bucket.delete(&bucket.tail(upload, number)).await {
                tracing::warn!(%upload, %error, "an obsolete object of an upload could not be removed");
            }
        }
        Ok(())
    }
}

impl Writer for S3Writer {
    fn append(&mut self, frames: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            if frames.iter().all(Bytes::is_empty) {
                return Ok(());
            }
            let closed = self.session.look(|held| match &held.layout {
                Layout::Parts(state) => state.whole,
                layout => matches!(layout, Layout::Ended),
            });
            if closed || self.broken {
                return Err(StoreError::UploadLost { upload: self.session.upload });
            }
            self.read_the_unread().await?;
            self.changed = true;
            for frame in frames {
                self.add(frame).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn bookmark(&self) -> Option<String> {
        self.session.small().map(WriterName::into_bookmark)
    }

    fn counted(&mut self) -> BoxFuture<'_, ()> {
        async move {
            let Some(older) = self.session.change(|held| held.older.take()) else { return };
            let (bucket, upload) = (self.session.bucket(), self.session.upload);
            if let Err(error) = bucket.delete(&bucket.at(&Bucket::small(upload, &older))).await {
                tracing::warn!(%upload, %error, "an object of an upload stays until a scrub removes it");
            }
        }
        .boxed()
    }

    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            if !self.changed {
                return Ok(());
            }
            self.read_the_unread().await?;
            self.sent().await?;
            let bytes = Bytes::copy_from_slice(&self.buffer);
            match self.session.look(|held| held.layout.clone()) {
                Layout::Parts(state) => self.save_parts(state, bytes).await?,
                Layout::Small(_) | Layout::Nothing => self.save_small(bytes).await?,
                Layout::Ended => return Err(StoreError::UploadLost { upload: self.session.upload }),
            }
            self.changed = false;
            Ok(())
        }
        .boxed()
    }
}
