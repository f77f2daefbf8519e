//! Time that need not be waited for.

use jiff::SignedDuration;
use longshore_model::{Clock, SystemClock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// The system's clock, which a test can put forward.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    /// So many seconds before the system's clock from now on.
    pub(crate) fn put(&self, seconds: i64) {
        self.0.store(seconds, Relaxed);
    }

    /// Just after an instant, if that is still to come.
    pub(crate) fn put_after(&self, instant: Timestamp) {
        let ahead = instant.duration_since(SystemClock.now()).as_secs() + 1;
        self.0.fetch_max(ahead, Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.0.load(Relaxed))
    }
}
