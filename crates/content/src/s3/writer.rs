//! Adding bytes to an upload in a bucket. Memory is bounded by two parts: one that fills up and one
//! on its way. A third is there for as long as a save takes.

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
    /// What comes behind the last full part.
    buffer: BytesMut,
    /// How many bytes of the small object come before the buffer and were not read yet. Most such
    /// uploads are complete already, and then nobody needs to read them.
    unread: u64,
    /// Whether something is not saved.
    changed: bool,
    /// The part that is on its way. It keeps the session, which has to know when nothing comes any
    /// more, beyond the writer.
    sending: Option<JoinHandle<Result<Part, StoreError>>>,
    /// Whether a part got lost, so that nothing can come behind it.
    broken: bool,
}

impl S3Writer {
    /// Goes on with what the session holds.
    pub(super) fn new(session: Arc<Session>, tail: Bytes) -> Self {
        let buffer = BytesMut::from(tail);
        Self { session, buffer, unread: 0, changed: false, sending: None, broken: false }
    }

    /// Goes on behind the first `offset` bytes of a small upload that has `length`.
    pub(super) fn behind(session: Arc<Session>, offset: u64, length: u64) -> Self {
        let writer = Self::new(session, Bytes::new());
        Self { unread: offset, changed: offset != length, ..writer }
    }

    /// Begins with nothing, not even an object.
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

    /// Waits for the part that is on its way.
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
                // Dropped meanwhile.
                _ => Err(StoreError::UploadLost { upload }),
            })
        });
        self.broken = noted.is_err();
        noted
    }

    /// The name of the upload as one in parts, which it becomes here, and how many it has.
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
        // What an earlier attempt left whose bytes nobody counted.
        if let Some(old) = self.session.sessions().load_state(upload).await? {
            bucket.abort_parts(&key, &old.multipart).await?;
        }
        let multipart = bucket.begin_parts(&key).await?;
        let state = State::new(multipart.clone(), small);
        self.session.change(|held| held.layout = Layout::Parts(state));
        Ok((multipart, 0))
    }

    /// Sends a full buffer on its way, once the part before is there.
    async fn send(&mut self) -> Result<(), StoreError> {
        self.sent().await?;
        let session = self.session.clone();
        let sending = session.sending.clone().lock_owned().await;
        let (multipart, index) = self.parts().await?;
        let key = session.bucket().at(&Bucket::big(session.upload));
        if index >= MOST_PARTS {
            let advice = "split this layer into smaller ones";
            return Err(session.bucket().refused("store", &key, "it has more parts than S3 takes", advice));
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

    /// How long the part is that fills up.
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

    /// The tail first: a state must never name one that is not there.
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
                tracing::warn!(%upload, %error, "an object of an upload stays that nobody needs any more");
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
                tracing::warn!(%upload, %error, "an object of an upload stays until a scrub finds it");
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
