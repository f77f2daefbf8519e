//! Which uploads are being written to. One upload must never be written from two requests: their
//! bytes would mix, and the hash of one would vouch for the bytes of the other. Among the requests
//! of a process a set decides; among servers that share a store, the upload's row.

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

/// How long a server that died keeps others from going on with its uploads, unless it is said otherwise.
pub(crate) const HOLD: SignedDuration = SignedDuration::from_secs(30);
/// A server that lives says so when this part of the time is over.
const RENEW_AFTER: u32 = 3;

/// How long a request waits for the one before it: what came of a client that vanished is still being saved
/// when the client is back. A connection that vanished without a word looks like one that is silent; whoever is
/// silent for so long while another request waits has to give way.
const PATIENCE: Duration = Duration::from_secs(1);

/// The uploads that this process writes to.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Writing>);

#[derive(Default)]
struct Writing {
    uploads: Mutex<HashMap<UploadId, Arc<Sending>>>,
    /// Whenever one is let go.
    freed: Notify,
}

/// The client that sends a part.
#[derive(Default)]
struct Sending {
    /// Whether its part is awaited: neither before it is asked for nor when all of it has come.
    is_awaited: AtomicBool,
    /// How many pieces of it came.
    pieces: AtomicU64,
    given_up: CancellationToken,
}

impl Sending {
    /// What came until now; nothing where nothing is awaited.
    fn awaited(&self) -> Option<u64> {
        self.is_awaited.load(Ordering::Relaxed).then(|| self.pieces.load(Ordering::Relaxed))
    }
}

impl Busy {
    /// Takes the upload until the claim is dropped; nothing, while somebody else has it.
    fn claim(&self, upload: UploadId) -> Option<Claim> {
        match self.uploads().entry(upload) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                let sending = free.insert(Arc::default()).clone();
                Some(Claim { busy: self.clone(), upload, sending, row: None })
            }
        }
    }

    /// Waits until nobody here writes to the upload, but no longer than [`PATIENCE`].
    pub(crate) async fn free(&self, upload: UploadId) {
        let free = async {
            loop {
                let mut freed = pin!(self.0.freed.notified());
                // From now on, so that none is missed between looking and waiting.
                freed.as_mut().enable();
                if !self.uploads().contains_key(&upload) {
                    break;
                }
                freed.await;
            }
        };
        // Whoever still writes then is at work, and what is asked for is answered as it stands.
        let _ = timeout(PATIENCE, free).await;
    }

    /// As [`Busy::free`]; a client that sends nothing meanwhile is given up, and what came of it is saved.
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

/// The right to write to an upload.
pub(crate) struct Claim {
    busy: Busy,
    upload: UploadId,
    sending: Arc<Sending>,
    row: Option<Row>,
}

/// What others see of it. The set renews it as long as it lives.
struct Row {
    content: Content,
    _renewing: JoinSet<()>,
}

impl Claim {
    /// The part that is to be written. It breaks off when its client has to give way.
    pub(crate) fn part(&self, body: ByteStream) -> ByteStream {
        let (sending, all) = (self.sending.clone(), self.sending.clone());
        sending.is_awaited.store(true, Ordering::Relaxed);
        let given_up = sending.given_up.clone().cancelled_owned();
        let pieces = body.inspect(move |_| {
            sending.pieces.fetch_add(1, Ordering::Relaxed);
        });
        let end = async move {
            all.is_awaited.store(false, Ordering::Relaxed);
            all.given_up.is_cancelled().then(|| Err(io::Error::other("another request goes on with it")))
        };
        pieces.take_until(given_up).chain(stream::once(end).filter_map(ready)).boxed()
    }

    /// The row was let go with the transaction that moved the upload on.
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
                tracing::debug!(%upload, %error, "an upload is free for other servers a little later");
            }
            // Not before: the row that is let go would be that of whoever waits here.
            busy.free_again(upload);
        });
    }
}

impl Content {
    /// Takes an upload for oneself; nothing, while another request or server has it.
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

    /// Until it is lost: what is written then does not count, since the transaction that would make
    /// it count looks who has the upload. Not while the client is silent: it may be back at another server.
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
