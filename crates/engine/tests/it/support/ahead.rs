//! A clock that tests can move forward.

use jiff::SignedDuration;
use longshore_model::{Clock, SystemClock, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// The system clock plus an offset.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    /// Sets the number of seconds by which this clock is ahead of the system clock.
    pub(crate) fn put(&self, seconds: i64) {
        self.0.store(seconds, Relaxed);
    }

    /// Moves to just after an instant, unless that has passed.
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
