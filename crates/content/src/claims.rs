//! Claims on uploads. An upload must never be written by two requests at once: their bytes would mix, and the hash of
//! one request would vouch for the bytes of the other. Within a process a set of claimed uploads prevents this; among
//! servers that share a store, the upload's row does.

use crate::Content;
use crate::error::Error;
use crate::store::ByteStream;
use futures::future::ready;
use futures::{FutureExt, StreamExt, stream};
use jiff::SignedDuration;
use longshore_metadata::uploads;
use longshore_model::UploadId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How long the claims of a server that died keep others from continuing its uploads, unless configured otherwise.
pub(crate) const HOLD: SignedDuration = SignedDuration::from_secs(30);
/// A live server renews its claims after this fraction of that time.
const RENEW_AFTER: u32 = 3;

/// How long a request waits for the previous one: the bytes of a client that disconnected may still be being saved when
/// it reconnects. A connection that was lost silently looks like one that sends nothing, so a client that sends nothing
/// for this long while another request waits is disconnected.
const PATIENCE: Duration = Duration::from_secs(1);

/// The uploads that this process writes to.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Writing>);

#[derive(Default)]
struct Writing {
    uploads: Mutex<HashMap<UploadId, Arc<Sending>>>,
    /// Notified whenever a claim is released.
    freed: Notify,
}

/// The client that sends a part of an upload.
#[derive(Default)]
struct Sending {
    /// Whether the server is waiting for bytes: false before the body is first read and after it has ended.
    is_awaited: AtomicBool,
    /// The number of pieces received.
    pieces: AtomicU64,
    given_up: CancellationToken,
}

impl Sending {
    /// The number of pieces received so far; `None` if the server is not waiting for bytes.
    fn awaited(&self) -> Option<u64> {
        self.is_awaited.load(Ordering::Relaxed).then(|| self.pieces.load(Ordering::Relaxed))
    }
}

impl Busy {
    /// Claims the upload until the claim is dropped; `None` if it is already claimed.
    fn claim(&self, upload: UploadId) -> Option<Claim> {
        match self.uploads().entry(upload) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                let sending = free.insert(Arc::default()).clone();
                Some(Claim { busy: self.clone(), upload, sending, row: None })
            }
        }
    }

    /// Waits until no request of this process writes to the upload, but at most for [`PATIENCE`].
    pub(crate) async fn free(&self, upload: UploadId) {
        let free = async {
            loop {
                let mut freed = pin!(self.0.freed.notified());
                // Registers before the check, so that no notification is missed between the check and the wait.
                freed.as_mut().enable();
                if !self.uploads().contains_key(&upload) {
                    break;
                }
                freed.await;
            }
        };
        // If a request still writes then, it is making progress, and the caller sees the upload as it is.
        let _ = timeout(PATIENCE, free).await;
    }

    /// Like [`Busy::free`], but a client that sends nothing in the meantime is disconnected, and what it has sent is
    /// saved.
    pub(crate) async fn give_way(&self, upload: UploadId) {
        let Some(sending) = self.uploads().get(&upload).cloned() else { return };
        let before = sending.awaited();
        self.free(upload).await;
        if before.is_some() && sending.awaited() == before {
            sending.given_up.cancel();
            self.free(upload).await;
        }
    }

    fn free_again(&self, upload: UploadId) {
        self.uploads().remove(&upload);
        self.0.freed.notify_waiters();
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Sending>>> {
        self.0.uploads.lock()
    }
}

/// The exclusive right to write to an upload.
pub(crate) struct Claim {
    busy: Busy,
    upload: UploadId,
    sending: Arc<Sending>,
    row: Option<Row>,
}

/// The claim in the upload's row, which other servers see. It is renewed until this is dropped.
struct Row {
    content: Content,
    _renewing: JoinSet<()>,
}

impl Claim {
    /// Wraps the part to be written. It ends early if its client has to give way to another request.
    pub(crate) fn part(&self, body: ByteStream) -> ByteStream {
        let (sending, all) = (self.sending.clone(), self.sending.clone());
        sending.is_awaited.store(true, Ordering::Relaxed);
        let given_up = sending.given_up.clone().cancelled_owned();
        let pieces = body.inspect(move |_| {
            sending.pieces.fetch_add(1, Ordering::Relaxed);
        });
        let end = async move {
            all.is_awaited.store(false, Ordering::Relaxed);
            all.given_up.is_cancelled().then(|| Err(io::Error::other("another request continues the upload")))
        };
        pieces.take_until(given_up).chain(stream::once(end).filter_map(ready)).boxed()
    }

    /// To be called when the transaction that advanced or ended the upload has already released the row.
    pub(crate) fn ended(mut self) {
        self.row = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (busy, upload) = (self.busy.clone(), self.upload);
        let row = self.row.take().zip(tokio::runtime::Handle::try_current().ok());
        let Some((Row { content, .. }, runtime)) = row else { return busy.free_again(upload) };
        runtime.spawn(async move {
            if let Err(error) = content.release_row(upload).await {
                tracing::debug!(%upload, %error, "an upload's claim could not be released");
            }
            // Not earlier, or this would release the row of a request that was waiting for it here.
            busy.free_again(upload);
        });
    }
}

impl Content {
    /// Claims an upload; `None` while another request or server has it.
    ///
    /// # Errors
    /// The database.
    pub(crate) async fn claim_upload(&self, upload: UploadId) -> Result<Option<Claim>, Error> {
        let Some(mut claim) = self.0.busy.claim(upload) else { return Ok(None) };
        if !self.0.store.is_shared() {
            return Ok(Some(claim));
        }
        if !self.hold_row(upload).await? {
            return Ok(None);
        }
        let (content, mut renewing) = (self.clone(), JoinSet::new());
        let sending = claim.sending.clone();
        renewing.spawn(async move { content.renew_row(upload, &sending).await });
        claim.row = Some(Row { content: self.clone(), _renewing: renewing });
        Ok(Some(claim))
    }

    async fn hold_row(&self, upload: UploadId) -> Result<bool, Error> {
        let (me, now) = (self.0.me, self.now());
        let until = now + self.1.hold;
        self.write(move |tx| {
            async move { Ok::<_, Error>(uploads::claim(tx, upload, me, now, until).await?) }.boxed()
        })
        .await
    }

    /// Renews the claim until it is lost. Bytes written after that do not count, because the transaction that would
    /// record them checks the claim. The claim is not renewed while the client sends nothing: it may have reconnected
    /// to another server.
    async fn renew_row(&self, upload: UploadId, sending: &Sending) {
        let mut ticks = interval(self.1.hold.unsigned_abs() / RENEW_AFTER);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut before = None;
        loop {
            ticks.tick().await;
            let came = sending.awaited();
            if came.is_some() && came == std::mem::replace(&mut before, came) {
                continue;
            }
            match self.hold_row(upload).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%upload, %error, "the claim of an upload could not be renewed"),
            }
        }
    }

    async fn release_row(&self, upload: UploadId) -> Result<(), Error> {
        let me = self.0.me;
        self.write(move |tx| async move { Ok::<_, Error>(uploads::release(tx, upload, me).await?) }.boxed())
            .await
    }
}
