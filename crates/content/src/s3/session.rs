//! An upload that this process is writing: what it knows of it without asking the bucket, and how
//! it is put together in the end or dropped. How bytes are added is the writer's business.

use super::bucket::{Bucket, WriterName};
use super::state::State;
use crate::store::StoreError;
use bytes::Bytes;
use futures::future::try_join_all;
use longshore_model::UploadId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The sessions of one store. A session lives as long as its writer, so what is kept of an upload
/// is never older than the last request that wrote to it here.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) bucket: Bucket,
    open: Mutex<HashMap<UploadId, Weak<Session>>>,
}

/// One upload.
#[derive(Debug)]
pub(super) struct Session {
    sessions: Arc<Sessions>,
    pub(super) upload: UploadId,
    /// What tells its small objects from those of others.
    pub(super) writer: WriterName,
    held: Mutex<Held>,
    /// Held by whoever sends a part. S3 may keep one that comes in while its upload is dropped.
    pub(super) sending: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of an upload.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) layout: Layout,
    /// The bytes of the tail that was saved last, where they are in memory still.
    pub(super) tail: Option<Bytes>,
    /// Whose small object was the upload before this writer stored one of its own.
    pub(super) older: Option<WriterName>,
}

/// How an upload lies in the bucket.
#[derive(Debug, Clone, Default)]
pub(super) enum Layout {
    /// Not at all.
    #[default]
    Nothing,
    /// As the one object that it will be in the end, which this writer stored.
    Small(WriterName),
    /// In parts, or in the end as what they were put together to.
    Parts(State),
    /// It ended: as a blob, or dropped.
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

    /// What is known of an upload that is written here.
    fn known(&self, upload: UploadId) -> Option<Arc<Session>> {
        self.open().get(&upload)?.upgrade()
    }

    /// The uploads that are written here and hold bytes.
    pub(super) fn saved(&self) -> Vec<UploadId> {
        let sessions: Vec<_> = self.open().values().filter_map(Weak::upgrade).collect();
        let holds = |held: &Held| match &held.layout {
            Layout::Nothing | Layout::Ended => false,
            Layout::Small(_) => true,
            Layout::Parts(state) => !state.saved.is_empty(),
        };
        sessions.iter().filter(|session| session.look(holds)).map(|session| session.upload).collect()
    }

    /// An upload as it lies in the bucket. A small one is what the bookmark says.
    async fn load(&self, upload: UploadId, bookmark: Option<&str>) -> Result<Layout, StoreError> {
        if let Some(state) = self.load_state(upload).await? {
            return Ok(Layout::Parts(state));
        }
        let Some(by) = bookmark.map(WriterName::from_bookmark) else { return Ok(Layout::Nothing) };
        let length = self.bucket.length(&self.bucket.at(&Bucket::small(upload, &by))).await?;
        Ok(length.map_or(Layout::Nothing, |_| Layout::Small(by)))
    }

    /// The state object of an upload.
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

    /// An upload as this process knows it, or else as it lies in the bucket.
    pub(super) async fn held(&self, upload: UploadId, bookmark: Option<&str>) -> Result<Held, StoreError> {
        match self.known(upload) {
            Some(session) => Ok(session.look(Held::clone)),
            None => Ok(Held { layout: self.load(upload, bookmark).await?, ..Held::default() }),
        }
    }

    /// Takes note of how an upload lies in the bucket now, where it is written here.
    fn note(&self, upload: UploadId, layout: Layout) {
        if let Some(session) = self.known(upload) {
            session.change(|held| held.layout = layout);
        }
    }

    /// Takes note that an upload is a blob now, or gone.
    pub(super) fn ended(&self, upload: UploadId) {
        self.note(upload, Layout::Ended);
    }

    /// Puts the saved parts of an upload together. Answers the state that it has then.
    ///
    /// A server can die, or an answer get lost, when the storage has done this and before anybody
    /// took note: what the parts made is there, and the parts are not. So when it fails, the object
    /// under this key is looked for, and one of the right length is what was to be made. This holds
    /// only where no bytes can have come since: a save that ends with a part proves it, because
    /// nobody can store a part any more once they were put together, and so does a tail that was
    /// just accepted as the last part. A tail that is refused leaves no way to tell; then the upload
    /// fails, and the client begins again.
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

    /// Removes everything of an upload in parts but what they were put together to. The state goes
    /// last: as long as it is there, somebody can find the rest.
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
    /// What its parts were put together to goes only when this is known for certain to belong to
    /// an upload that did not end: another server may have ended it a moment ago, and a blob that
    /// nobody knows is better than one that is lost.
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

    /// Whose small object the upload is, if it is one.
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
        // Parts that were never saved are known to nobody else.
        let unsaved = match &self.held().layout {
            Layout::Parts(state) if state.saved.is_empty() => Some(state.multipart.clone()),
            _ => None,
        };
        if let (Some(multipart), Ok(runtime)) = (unsaved, tokio::runtime::Handle::try_current()) {
            let (sessions, upload) = (self.sessions.clone(), self.upload);
            runtime.spawn(async move {
                let key = sessions.bucket.at(&Bucket::big(upload));
                if let Err(error) = sessions.bucket.abort_parts(&key, &multipart).await {
                    tracing::warn!(%upload, %error, "parts of an upload stay until the bucket drops them");
                }
            });
        }
    }
}
