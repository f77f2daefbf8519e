//! Reserves quota for bytes that are arriving. A namespace's content, its unfinished uploads and the bytes being
//! received never exceed its quota together, so that nobody can fill a disk with bytes that are refused in the end.
//!
//! Bytes are reserved in memory, in steps, before they are written. If several servers share a database, each sees what
//! the others have received only once a part has ended.

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

/// How much is reserved at once: for a small part not much more than its size, for a large one no more often than every
/// few milliseconds of its arrival.
const STEPS: std::ops::RangeInclusive<u64> = 256 * 1024..=8 * 1024 * 1024;
/// An unfinished upload that has not grown for this long is dropped if there is no room for another: its client has
/// most likely started a new one long ago. Otherwise it is kept as long as any.
const IDLE: SignedDuration = SignedDuration::from_mins(10);
/// The maximum number of idle uploads that are dropped at once.
const IDLE_AT_ONCE: i64 = 100;

/// The reserved bytes of all namespaces with a quota.
#[derive(Default)]
pub(crate) struct Rooms {
    reserved: Mutex<HashMap<Namespace, u64>>,
    /// Locked for reading while reserved bytes are being recorded in rows, when they are counted twice; for writing to
    /// count exactly after no room was found.
    settling: RwLock<()>,
}

impl Rooms {
    fn reserved(&self) -> MutexGuard<'_, HashMap<Namespace, u64>> {
        self.reserved.lock()
    }
}

/// The reserved bytes of a part. They are released when this is dropped: when they are recorded in a row, or were
/// removed.
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

/// The error that ends a part for which the quota has no room.
#[derive(Debug, thiserror::Error)]
#[error("the quota has no room for it")]
struct NoRoom {
    /// The length of the part when the room ran out.
    needed: u64,
}

impl Content {
    /// Wraps a part so that it ends in an error before it exceeds the quota. `free` bytes of it do not count. Nothing
    /// is reserved if the namespace has no quota.
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

    /// The quota error for a part that ended for lack of room; otherwise [`Error::BrokenOff`].
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

    /// To be held while reserved bytes are recorded in rows.
    pub(crate) async fn settling(&self) -> RwLockReadGuard<'_, ()> {
        self.0.rooms.settling.read().await
    }

    /// Reserves at most `wish` bytes and at least `need`; `None` if there is no room for `need`.
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
        // Read before the rows: bytes that are recorded in the meantime count twice rather than not at all.
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
        // The less room is left, the less is reserved in advance.
        let granted = wish.min(room / 16).max(need);
        *reserved.entry(namespace.clone()).or_default() += granted;
        Ok(Some(granted))
    }

    /// Drops uploads to a namespace that have been idle for a while; returns the number of them.
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
    /// Reserves more until `wanted` bytes are reserved; `length` is the length of the part so far.
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
