//! Backing off from a remote that is rate limited or unavailable (semantics 39). Its gate blocks all requests of this
//! process at once; its row in the database keeps all servers from claiming jobs for it.

use crate::{Engine, journal::Journal, retry, running::Stop, trouble::Trouble};
use jiff::SignedDuration;
use longshore_metadata::{Error, Priority, back_offs, jobs::Claim, remotes, work};
use longshore_model::{RemoteId, Timestamp, remote::BackOff, remote::WaitReason};
use longshore_remote::{Closure, Gate, Standing};
use metrics::counter;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

/// The gate of each remote.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<HashMap<RemoteId, Arc<Guarded>>>);

/// The gate of a remote, and the back-off that this server knows of.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    pub(crate) gate: Gate,
    known: AsyncMutex<Option<Known>>,
}

/// A back-off that is stored in the database. The next answer of the remote ends this back-off, but not a later one.
#[derive(Debug)]
struct Known {
    /// The closure of this server's gate that caused it; `None` if another server stored it, or this one before its
    /// restart.
    closure: Option<u64>,
    back_off: BackOff,
}

impl Gates {
    pub(crate) fn of(&self, remote: RemoteId) -> Arc<Guarded> {
        self.lock().entry(remote).or_default().clone()
    }

    /// The remotes that have kept a request waiting for at least `longer_than`.
    pub(crate) fn silent(&self, longer_than: Duration) -> Vec<RemoteId> {
        let kept = self.lock();
        let silent = kept.iter().filter(|(_, guarded)| guarded.gate.silence() >= longer_than);
        silent.map(|(remote, _)| *remote).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RemoteId, Arc<Guarded>>> {
        self.0.lock()
    }
}

impl Engine {
    /// Checks, before a job starts, that its remote accepts requests: a back-off may have begun since the job was
    /// claimed. Opens the gate if the back-off is over.
    pub(crate) async fn may_ask(&self, claim: &Claim) -> Result<Option<Stop>, Trouble> {
        let Some(remote) = claim.remote else { return Ok(None) };
        let guarded = self.gates().of(remote);
        if let Standing::Closed(closure) = guarded.gate.standing() {
            let known = guarded.known.lock().await;
            let is_written = known.as_ref().is_some_and(|known| known.closure == Some(closure.number));
            drop(known);
            if !is_written {
                return Ok(Some(Stop::RemoteWaits(self.leave_alone(remote, &guarded, closure).await)));
            }
        }
        match back_offs::get(&mut self.db().read().await?, remote).await? {
            Some(back_off) if back_off.until > self.now() => return Ok(Some(Stop::RemoteWaits(back_off))),
            Some(back_off) => {
                *guarded.known.lock().await = Some(Known { closure: None, back_off });
                guarded.gate.probe();
            }
            None => {
                *guarded.known.lock().await = None;
                guarded.gate.reopen();
            }
        }
        Ok(None)
    }

    /// The back-off of a failed job's remote, if its gate is closed.
    pub(crate) async fn remote_waits(&self, claim: &Claim) -> Option<BackOff> {
        let remote = claim.remote?;
        let guarded = self.gates().of(remote);
        match guarded.gate.standing() {
            Standing::Closed(closure) => Some(self.leave_alone(remote, &guarded, closure).await),
            Standing::Open | Standing::Probing => None,
        }
    }

    /// Watches the remote of a running job. Stores when its back-off begins and ends; returns if that stops the job.
    pub(crate) async fn heed_remote(&self, claim: &Claim) -> Stop {
        let Some(remote) = claim.remote else { return std::future::pending().await };
        let guarded = self.gates().of(remote);
        let mut changes = guarded.gate.watch();
        loop {
            let standing = *changes.borrow_and_update();
            match standing {
                Standing::Closed(closure) => {
                    let back_off = self.leave_alone(remote, &guarded, closure).await;
                    // With a rate limit, requests in progress may still finish; an unavailable registry answers
                    // none of them.
                    if closure.reason != WaitReason::RateLimited {
                        return Stop::RemoteWaits(back_off);
                    }
                }
                Standing::Open => self.note_answer(remote, &guarded).await,
                Standing::Probing => {}
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Stores a back-off, once for each closure of the gate, and keeps the gate closed until it ends.
    async fn leave_alone(&self, remote: RemoteId, guarded: &Guarded, closure: Closure) -> BackOff {
        let mut known = guarded.known.lock().await;
        if let Some(Known { closure: Some(number), back_off }) = &*known
            && *number == closure.number
        {
            return back_off.clone();
        }
        let reason = closure.reason;
        let asked = closure.asked.and_then(|asked| SignedDuration::try_from(asked).ok());
        let (jitter, now) = (self.settings().jitter.draw(), self.now());
        let progressed = closure.progressed;
        let delay = move |failures| retry::remote_delay(reason, failures, asked, progressed, jitter);
        let error = reason.because();
        let write = self.db().write(
            Priority::Normal,
            work!(|tx| {
                // The job that failed stores a more detailed error, unless it is stopped first.
                remotes::record_left_alone(tx, remote, error).await?;
                back_offs::close(tx, remote, reason, asked.is_some(), progressed, delay, now).await
            }),
        );
        let back_off = match write.await as Result<_, Error> {
            Ok(Some(back_off)) => back_off,
            Ok(None) => alone(reason, asked, delay(1), now),
            Err(error) => {
                tracing::error!(%remote, %error, "the back-off of a remote could not be stored");
                alone(reason, asked, delay(1), now)
            }
        };
        counter!("longshore_remote_back_offs_total", "reason" => reason.as_str()).increment(1);
        let wait = Duration::try_from(back_off.until.duration_since(now)).unwrap_or_default();
        guarded.gate.postpone(closure.number, Instant::now() + wait);
        *known = Some(Known { closure: Some(closure.number), back_off: back_off.clone() });
        back_off
    }

    /// Stores that a remote answers again after a back-off. Writes nothing if there was none.
    async fn note_answer(&self, remote: RemoteId, guarded: &Guarded) {
        let mut known = guarded.known.lock().await;
        let Some(waited) = known.as_ref().map(|known| known.back_off.until) else { return };
        let now = self.now();
        let write =
            self.db().write(Priority::Normal, work!(|tx| back_offs::answered(tx, remote, waited, now).await));
        match write.await as Result<(), Error> {
            Ok(()) => *known = None,
            Err(error) => {
                tracing::warn!(%remote, %error, "the end of a remote's back-off could not be stored")
            }
        }
    }

    /// Stores the outcome of a job's contact with its remote, for the page of the remote.
    pub(crate) async fn note_contact(&self, journal: &Journal, trouble: Option<&Trouble>) {
        let Some(remote) = journal.asked() else { return };
        let error = match trouble {
            None => None,
            // A remote that received no request has not failed, and neither has one that answered.
            Some(trouble) if trouble.is_waiting() => return,
            Some(Trouble::Remote(error)) => Some(error.to_string()),
            Some(_) => return,
        };
        let now = self.now();
        let write = self.db().write(
            Priority::Normal,
            work!(|tx| remotes::record_contact(tx, remote, now, error.as_deref()).await),
        );
        if let Err(error) = write.await as Result<(), Error> {
            tracing::warn!(%remote, %error, "the last contact with a remote could not be stored");
        }
    }
}

fn alone(
    reason: WaitReason,
    asked: Option<SignedDuration>,
    delay: SignedDuration,
    now: Timestamp,
) -> BackOff {
    BackOff { reason, asked: asked.is_some(), failures: 1, since: now, until: now + delay }
}
