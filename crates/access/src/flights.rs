//! Checks of equal credentials at the same time are one check: the first one checks, and the others
//! wait for what comes of it. A pipeline that starts fifty jobs with one password costs one hash.

use crate::recent::Fingerprint;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tokio::sync::watch;

/// The checks that run.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Fingerprint, watch::Receiver<()>>>);

/// A check that runs, until it is dropped.
pub(crate) struct Flight<'a> {
    flights: &'a Flights,
    fingerprint: Fingerprint,
    /// Dropped with the flight, which wakes whoever waits.
    _running: watch::Sender<()>,
}

impl Flights {
    /// Begins a check; nothing when another one of the same credentials has just ended, so that it is
    /// time to look what came of it.
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
        // Nothing is ever sent; it fails when the sender is gone.
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
