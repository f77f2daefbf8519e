//! Deduplicates concurrent checks of the same credentials: the first one checks, and the others wait for its result. A
//! pipeline that starts fifty jobs with one password costs one hash.

use crate::recent::Fingerprint;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tokio::sync::watch;

/// The running checks.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Fingerprint, watch::Receiver<()>>>);

/// A running check; ends when it is dropped.
pub(crate) struct Flight<'a> {
    flights: &'a Flights,
    fingerprint: Fingerprint,
    /// Dropped with the flight, which wakes those that wait.
    _running: watch::Sender<()>,
}

impl Flights {
    /// Begins a check. If the same credentials are being checked already, waits for that check to end and returns
    /// `None`, so that the caller looks at its result.
    pub(crate) async fn begin(&self, fingerprint: Fingerprint) -> Option<Flight<'_>> {
        let mut running = {
            match self.running().entry(fingerprint) {
                Entry::Vacant(entry) => {
                    let (sender, receiver) = watch::channel(());
                    entry.insert(receiver);
                    return Some(Flight { flights: self, fingerprint, _running: sender });
                }
                Entry::Occupied(entry) => entry.get().clone(),
            }
        };
        // Nothing is ever sent; this returns when the sender is dropped.
        let _ = running.changed().await;
        None
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Fingerprint, watch::Receiver<()>>> {
        self.0.lock()
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.running().remove(&self.fingerprint);
    }
}
