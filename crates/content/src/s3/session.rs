//! An upload that this process is writing: what it knows about it without a request to the bucket, and how the upload
//! is assembled or dropped in the end. The writer appends bytes.

use super::bucket::{Bucket, WriterName};
use super::state::State;
use crate::store::StoreError;
use bytes::Bytes;
use futures::future::try_join_all;
use longshore_model::UploadId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The sessions of one store. A session lives as long as its writer, so what it knows is never older than the last
/// request that wrote to the upload here.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) bucket: Bucket,
    open: Mutex<HashMap<UploadId, Weak<Session>>>,
}

#[derive(Debug)]
pub(super) struct Session {
    sessions: Arc<Sessions>,
    pub(super) upload: UploadId,
    /// Distinguishes its small objects from those of other writers.
    pub(super) writer: WriterName,
    held: Mutex<Held>,
    /// Locked while a part is sent. S3 may keep a part that arrives while its upload is aborted.
    pub(super) sending: Arc<tokio::sync::Mutex<()>>,
}

/// What is known about an upload.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) layout: Layout,
    /// The bytes of the last saved tail, if they are still in memory.
    pub(super) tail: Option<Bytes>,
    /// The writer of the upload's small object before this writer stored its own.
    pub(super) older: Option<WriterName>,
}

/// How an upload is stored in the bucket.
#[derive(Debug, Clone, Default)]
pub(super) enum Layout {
    /// It has no object.
    #[default]
    Nothing,
    /// As the object that will be the blob, stored by this writer.
    Small(WriterName),
    /// In parts, which may already be assembled.
    Parts(State),
    /// It ended: committed or dropped.
    Ended,
}

impl Sessions {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self { bucket, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<UploadId, Weak<Session>>> {
        self.open.lock()
    }

    pub(super) fn start(self: &Arc<Self>, upload: UploadId, held: Held) -> Arc<Session> {
        let (held, sending, writer) = (Mutex::new(held), Arc::default(), WriterName::new());
        let session = Arc::new(Session { sessions: self.clone(), upload, writer, held, sending });
        self.open().insert(upload, Arc::downgrade(&session));
        session
    }

    /// The session of an upload that is being written here.
    fn known(&self, upload: UploadId) -> Option<Arc<Session>> {
        self.open().get(&upload)?.upgrade()
    }

    /// The uploads that are being written here and have saved bytes.
    pub(super) fn saved(&self) -> Vec<UploadId> {
        let sessions: Vec<_> = self.open().values().filter_map(Weak::upgrade).collect();
        let holds = |held: &Held| match &held.layout {
            Layout::Nothing | Layout::Ended => false,
            Layout::Small(_) => true,
            Layout::Parts(state) => !state.saved.is_empty(),
        };
        sessions.iter().filter(|session| session.look(holds)).map(|session| session.upload).collect()
    }

    /// Reads from the bucket how an upload is stored. The bookmark names the object of a small one.
    async fn load(&self, upload: UploadId, bookmark: Option<&str>) -> Result<Layout, StoreError> {
        if let Some(state) = self.load_state(upload).await? {
            return Ok(Layout::Parts(state));
        }
        let Some(by) = bookmark.map(WriterName::from_bookmark) else { return Ok(Layout::Nothing) };
        let length = self.bucket.length(&self.bucket.at(&Bucket::small(upload, &by))).await?;
        Ok(length.map_or(Layout::Nothing, |_| Layout::Small(by)))
    }

    pub(super) async fn load_state(&self, upload: UploadId) -> Result<Option<State>, StoreError> {
        let key = self.bucket.state(upload);
        let Some(bytes) = self.bucket.get(&key, None).await? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(state) => Ok(Some(state)),
            Err(error) => {
                let advice = "remove this object, and start the upload again";
                Err(self.bucket.refused("understand", &key, &error.to_string(), advice))
            }
        }
    }

    pub(super) async fn store_state(&self, upload: UploadId, state: &State) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(state).expect("a state is numbers and text");
        self.bucket.put(&self.bucket.state(upload), bytes.into()).await
    }

    /// What this process knows about an upload, or else what the bucket says.
    pub(super) async fn held(&self, upload: UploadId, bookmark: Option<&str>) -> Result<Held, StoreError> {
        match self.known(upload) {
            Some(session) => Ok(session.look(Held::clone)),
            None => Ok(Held { layout: self.load(upload, bookmark).await?, ..Held::default() }),
        }
    }

    /// Records how an upload is stored now, if it is being written here.
    fn note(&self, upload: UploadId, layout: Layout) {
        if let Some(session) = self.known(upload) {
            session.change(|held| held.layout = layout);
        }
    }

    /// Records that an upload was committed or dropped.
    pub(super) fn ended(&self, upload: UploadId) {
        self.note(upload, Layout::Ended);
    }

    /// Assembles the saved parts of an upload; returns its new state.
    ///
    /// A server can die, or a response can be lost, after the storage has assembled the parts and before this was
    /// recorded: then the object exists and the parts do not. So if the request fails, the object under this key is
    /// looked up, and if it has the right length, it is taken for the result. This is only valid if no bytes can have
    /// been added since. A save that ends with a part proves it, because no part can be stored after assembly, and so
    /// does a tail that was just accepted as the last part. If a tail is refused, there is no way to know; then the
    /// upload fails, and the client starts again.
    pub(super) async fn put_together(
        &self,
        upload: UploadId,
        state: &State,
        tail: Option<&Bytes>,
    ) -> Result<State, StoreError> {
        if state.whole {
            return Ok(state.clone());
        }
        let key = self.bucket.at(&Bucket::big(upload));
        let etags = self.all_parts(upload, state, tail).await?;
        if let Err(error) = self.bucket.complete_parts(&key, &state.multipart, etags).await {
            match self.bucket.length(&key).await {
                Ok(Some(length)) if length == state.length() => {}
                _ => return Err(error),
            }
        }
        let state = State { whole: true, ..state.clone() };
        self.note(upload, Layout::Parts(state.clone()));
        Ok(state)
    }

    /// The entity tags of all parts up to the last save, whose tail becomes the last part.
    async fn all_parts(
        &self,
        upload: UploadId,
        state: &State,
        tail: Option<&Bytes>,
    ) -> Result<Vec<String>, StoreError> {
        let lost = StoreError::UploadLost { upload };
        let Some(point) = state.saved.last() else { return Err(lost) };
        let mut etags: Vec<_> = state.parts.iter().take(point.parts).map(|part| part.etag.clone()).collect();
        if let Some(saved) = point.tail {
            let tail = match tail {
                Some(tail) => Some(tail.clone()),
                None => self.bucket.get(&self.bucket.tail(upload, saved.number), None).await?,
            };
            let tail = tail.filter(|tail| tail.len() as u64 == saved.length).ok_or(lost)?;
            let key = self.bucket.at(&Bucket::big(upload));
            etags.push(self.bucket.put_part(&key, &state.multipart, etags.len(), tail).await?);
        }
        Ok(etags)
    }

    /// Removes all objects of a multipart upload except the assembled one. The state is removed last: while it exists,
    /// another server can find the rest.
    pub(super) async fn clear(&self, upload: UploadId, state: &State) -> Result<(), StoreError> {
        let tails = state.tails().map(|number| self.bucket.tail(upload, number));
        let small = state.small.as_ref().map(|by| self.bucket.at(&Bucket::small(upload, by)));
        let keys: Vec<_> = tails.chain(small).collect();
        try_join_all(keys.iter().map(|key| self.bucket.delete(key))).await?;
        self.bucket.delete(&self.bucket.state(upload)).await?;
        self.ended(upload);
        Ok(())
    }

    /// Drops an upload.
    ///
    /// The assembled object is removed only if it certainly belongs to an upload that did not end: another server may
    /// have ended it a moment ago, and an unused blob is better than a lost one.
    pub(super) async fn drop_upload(
        &self,
        upload: UploadId,
        bookmark: Option<&str>,
    ) -> Result<(), StoreError> {
        let session = self.known(upload);
        let _nothing_comes_in = match &session {
            Some(session) => Some(session.sending.lock().await),
            None => None,
        };
        let held = self.held(upload, bookmark).await?;
        let layout = match held.layout {
            Layout::Nothing => self.load(upload, bookmark).await?,
            known => known,
        };
        let key = self.bucket.at(&Bucket::big(upload));
        match layout {
            Layout::Nothing | Layout::Ended => Ok(()),
            Layout::Small(by) => {
                for by in [Some(by), held.older].into_iter().flatten() {
                    self.bucket.delete(&self.bucket.at(&Bucket::small(upload, &by))).await?;
                }
                self.ended(upload);
                Ok(())
            }
            Layout::Parts(state) => {
                match state.whole {
                    true => self.bucket.delete(&key).await?,
                    false => self.bucket.abort_parts(&key, &state.multipart).await?,
                }
                self.clear(upload, &state).await
            }
        }
    }
}

impl Session {
    pub(super) fn bucket(&self) -> &Bucket {
        &self.sessions.bucket
    }

    pub(super) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }

    /// The writer of the upload's small object, if it is a small one.
    pub(super) fn small(&self) -> Option<WriterName> {
        self.look(|held| match &held.layout {
            Layout::Small(by) => Some(by.clone()),
            _ => None,
        })
    }

    pub(super) fn look<T>(&self, at: impl FnOnce(&Held) -> T) -> T {
        at(&self.held())
    }

    pub(super) fn change<T>(&self, how: impl FnOnce(&mut Held) -> T) -> T {
        how(&mut self.held())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut open = self.sessions.open();
        if open.get(&self.upload).is_some_and(|session| session.strong_count() == 0) {
            open.remove(&self.upload);
        }
        drop(open);
        // Nothing else knows of parts that were never saved.
        let unsaved = match &self.held().layout {
            Layout::Parts(state) if state.saved.is_empty() => Some(state.multipart.clone()),
            _ => None,
        };
        if let (Some(multipart), Ok(runtime)) = (unsaved, tokio::runtime::Handle::try_current()) {
            let (sessions, upload) = (self.sessions.clone(), self.upload);
            runtime.spawn(async move {
                let key = sessions.bucket.at(&Bucket::big(upload));
                if let Err(error) = sessions.bucket.abort_parts(&key, &multipart).await {
                    tracing::warn!(%upload, %error, "parts of an upload stay until the bucket removes them");
                }
            });
        }
    }
}
