//! How fast requests may come from somebody: on average so many per second, in a burst those of a minute.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// So many seconds' worth may come at once.
const BURST_SECONDS: u32 = 60;
/// When more are known, those that have been quiet are forgotten.
const MANY: usize = 10_000;

/// The rates of all who are known.
pub(super) struct Rate<K: Hash + Eq + Clone, C: Clock = MonotonicClock> {
    limiter: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self::by(per_second, MonotonicClock)
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Rate<K, C> {
    fn by(per_second: NonZeroU32, clock: C) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self { limiter: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()), clock }
    }

    /// One more request; when it comes too early, how long to wait.
    pub(super) fn check(&self, key: &K) -> Result<(), Duration> {
        if self.limiter.len() > MANY {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|early| early.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    #[test]
    fn a_burst_is_let_through_and_then_the_average_counts_for_each_by_itself() {
        let clock = FakeRelativeClock::default();
        let rate = Rate::by(NonZeroU32::new(2).unwrap(), clock.clone());
        for _ in 0..120 {
            assert_eq!(rate.check(&"ada"), Ok(()));
        }
        assert_eq!(rate.check(&"ada"), Err(Duration::from_millis(500)));
        assert_eq!(rate.check(&"grace"), Ok(()));
        clock.advance(Duration::from_millis(500));
        assert_eq!(rate.check(&"ada"), Ok(()));
        assert!(rate.check(&"ada").is_err());
    }
}
