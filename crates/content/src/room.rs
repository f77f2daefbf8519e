//! Room in a quota for bytes on their way. What a namespace holds, what its unfinished uploads have, and
//! what is arriving right now stay within its quota together, so that nobody fills a disk with what is
//! refused in the end.
//!
//! What arrives is reserved in steps before it is written, in memory: where several servers share a
//! database, each sees what the others take in once a part of it has ended.

use crate::Content;
use crate::error::Error;
use crate::store::ByteStream;
use futures::{StreamExt, stream};
use jiff::SignedDuration;
use longshore_metadata::{storage, uploads};
use longshore_model::Repository;
use longshore_oci::Namespace;
use metrics::counter;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{RwLock, RwLockReadGuard};

/// How much is reserved at once: for a small part not much more than it has, for a large one not more
/// often than its bytes take some milliseconds to arrive.
const STEPS: std::ops::RangeInclusive<u64> = 256 * 1024..=8 * 1024 * 1024;
/// An unfinished upload that has not grown for so long makes way for others where there is no room: its
/// client has begun a new one long ago. Elsewhere it stays as long as any.
const IDLE: SignedDuration = SignedDuration::from_mins(10);
/// How many of them make way at once.
const IDLE_AT_ONCE: i64 = 100;

/// What is reserved of all namespaces that have a quota.
#[derive(Default)]
pub(crate) struct Rooms {
    reserved: Mutex<HashMap<Namespace, u64>>,
    /// Held together by those whose reserved bytes are becoming rows, and are counted twice meanwhile;
    /// alone by who finds no room and wants to be sure.
    settling: RwLock<()>,
}

impl Rooms {
    fn reserved(&self) -> MutexGuard<'_, HashMap<Namespace, u64>> {
        self.reserved.lock()
    }
}

/// Bytes of a part that are reserved, until this is dropped: when they are in a row, or gone.
#[derive(Clone)]
pub(crate) struct Reservation(Arc<Reserved>);

struct Reserved {
    content: Content,
    namespace: Namespace,
    bytes: AtomicU64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        let mut reserved = self.content.0.rooms.reserved();
        if let Some(all) = reserved.get_mut(&self.namespace) {
            *all = all.saturating_sub(bytes);
            if *all == 0 {
                reserved.remove(&self.namespace);
            }
        }
    }
}

/// Why a part was broken off: the quota has no room for it.
#[derive(Debug, thiserror::Error)]
#[error("the quota has no room for it")]
struct NoRoom {
    /// Bytes of the part when there was none.
    needed: u64,
}

impl Content {
    /// A part that ends in an error before it takes more room than there is. `free` bytes of it need
    /// none. Nothing is reserved where the namespace has no quota.
    pub(crate) fn reserving(
        &self,
        repository: &Repository,
        quota: Option<u64>,
        free: u64,
        part: ByteStream,
    ) -> (Option<Reservation>, ByteStream) {
        if quota.is_none() {
            return (None, part);
        }
        let namespace = repository.name.to_namespace();
        let reserved = Reserved { content: self.clone(), namespace, bytes: AtomicU64::new(0) };
        let reservation = Reservation(Arc::new(reserved));
        let state = (part, reservation.clone(), free, 0);
        let bounded = stream::try_unfold(state, |(mut part, reservation, free, before)| async move {
            let Some(piece) = part.next().await.transpose()? else { return Ok(None) };
            let length = before + piece.len() as u64;
            reservation.cover(length.saturating_sub(free), length).await?;
            Ok(Some((piece, (part, reservation, free, length))))
        });
        (Some(reservation), bounded.boxed())
    }

    /// What a part was broken off for, where it was for lack of room; the error itself otherwise.
    pub(crate) async fn no_room(&self, repository: &Repository, error: io::Error) -> Error {
        let Some(NoRoom { needed }) = error.get_ref().and_then(|inner| inner.downcast_ref()) else {
            return Error::BrokenOff(error);
        };
        counter!("longshore_limit_refusals_total", "limit" => "quota").increment(1);
        let namespace = repository.name.to_namespace();
        let taken = async { storage::taken(&mut self.0.db.read().await?, &namespace).await };
        match taken.await {
            Ok(Some(taken)) if taken.used.saturating_add(*needed) > taken.quota => {
                let storage::Taken { quota, used, .. } = taken;
                storage::QuotaExceeded { namespace, quota, used, needed: *needed }.into()
            }
            Ok(taken) => {
                let quota = taken.map_or(0, |taken| taken.quota);
                Error::UploadsExceedQuota { namespace, quota }
            }
            Err(error) => error.into(),
        }
    }

    /// To be held while reserved bytes become rows.
    pub(crate) async fn settling(&self) -> RwLockReadGuard<'_, ()> {
        self.0.rooms.settling.read().await
    }

    /// Reserves `wish` bytes or fewer, but not fewer than `need`; none where there is no room for these.
    async fn reserve(&self, namespace: &Namespace, need: u64, wish: u64) -> Result<Option<u64>, Error> {
        if let Some(granted) = self.try_reserve(namespace, need, wish).await? {
            return Ok(Some(granted));
        }
        {
            let _settled = self.0.rooms.settling.write().await;
            if let Some(granted) = self.try_reserve(namespace, need, wish).await? {
                return Ok(Some(granted));
            }
        }
        match self.drop_idle_uploads(namespace).await? {
            0 => Ok(None),
            _ => self.try_reserve(namespace, need, wish).await,
        }
    }

    async fn try_reserve(&self, namespace: &Namespace, need: u64, wish: u64) -> Result<Option<u64>, Error> {
        let rooms = &self.0.rooms;
        // Before the rows: what becomes one meanwhile counts twice rather than not at all.
        let before = rooms.reserved().get(namespace).copied().unwrap_or_default();
        let Some(taken) = storage::taken(&mut self.0.db.read().await?, namespace).await? else {
            return Ok(Some(wish));
        };
        let mut reserved = rooms.reserved();
        let now = reserved.get(namespace).copied().unwrap_or_default();
        let others = taken.used.saturating_add(taken.unfinished).saturating_add(before.max(now));
        let room = taken.quota.saturating_sub(others);
        if room < need {
            return Ok(None);
        }
        // The less there is, the less is taken that may not be needed.
        let granted = wish.min(room / 16).max(need);
        *reserved.entry(namespace.clone()).or_default() += granted;
        Ok(Some(granted))
    }

    /// Drops uploads to a namespace that nobody has gone on with for a while; how many.
    async fn drop_idle_uploads(&self, namespace: &Namespace) -> Result<usize, Error> {
        let since = self.now() - IDLE;
        let mut conn = self.0.db.read().await?;
        let idle = uploads::idle_in_namespace(&mut conn, namespace, since, IDLE_AT_ONCE).await?;
        drop(conn);
        let mut dropped = 0;
        for upload in idle {
            dropped += usize::from(self.drop_stale(upload, since).await?);
        }
        Ok(dropped)
    }
}

impl Reservation {
    /// Reserves more until `wanted` bytes are; `length` is how many the part has so far.
    async fn cover(&self, wanted: u64, length: u64) -> io::Result<()> {
        let Reserved { content, namespace, bytes } = &*self.0;
        let has = bytes.load(Ordering::Relaxed);
        let Some(need) = wanted.checked_sub(has).filter(|need| *need > 0) else { return Ok(()) };
        let wish = has.clamp(*STEPS.start(), *STEPS.end()).max(need);
        match content.reserve(namespace, need, wish).await {
            Ok(Some(granted)) => {
                bytes.fetch_add(granted, Ordering::Relaxed);
                Ok(())
            }
            Ok(None) => Err(io::Error::new(io::ErrorKind::QuotaExceeded, NoRoom { needed: length })),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
