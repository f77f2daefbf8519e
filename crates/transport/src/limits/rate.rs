//! Limits the rate of requests: an average per second, with bursts of a minute's worth.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// The size of a burst, in seconds of the average rate.
const BURST_SECONDS: u32 = 60;
/// The number of keys above which idle ones are removed.
const MANY: usize = 10_000;

/// The rates of all keys.
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

    /// Counts a request.
    ///
    /// # Errors
    /// The time to wait, if the rate is exceeded.
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
    fn after_a_burst_the_average_rate_applies_to_each_key_separately() {
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
