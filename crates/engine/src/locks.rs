//! Named locks for work on another registry that must not happen twice at the same time, such as the upload of one blob
//! to one repository or the update of one list of referrers.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::sync::OwnedMutexGuard;

/// The number of names above which unused ones are removed.
const TIDY_AT: usize = 1_024;

/// A map from names to locks.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Locks {
    /// Waits for the lock of `name`; dropping the guard releases it.
    pub(crate) async fn hold(&self, name: String) -> OwnedMutexGuard<()> {
        let lock = {
            let mut known = self.0.lock();
            if known.len() >= TIDY_AT {
                known.retain(|_, lock| lock.strong_count() > 0);
            }
            let slot = known.entry(name).or_default();
            slot.upgrade().unwrap_or_else(|| {
                let lock = Arc::default();
                *slot = Arc::downgrade(&lock);
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_name_is_locked_by_one_holder_at_a_time() {
        let locks = Locks::default();
        let held = locks.hold("a".to_owned()).await;
        assert!(locks.hold("a".to_owned()).now_or_never().is_none());
        assert!(locks.hold("b".to_owned()).now_or_never().is_some());
        drop(held);
        assert!(locks.hold("a".to_owned()).now_or_never().is_some());
    }
}
