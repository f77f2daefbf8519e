//! The delays before a job is retried or a remote is contacted again: exponential, with jitter, and at least as long as
//! the other registry asked for. Pure functions; the times themselves are stored in the database.

use jiff::SignedDuration;
use longshore_model::remote::WaitReason;
use std::{fmt, sync::Arc};

/// Exponential delays: doubled from the first to the longest.
struct Delays {
    first: SignedDuration,
    longest: SignedDuration,
}

/// For a job that failed while its remote works.
const JOB: Delays = Delays { first: SignedDuration::from_secs(1), longest: SignedDuration::from_mins(15) };
/// For an unavailable registry: one request a minute is little load, and soon shows that it is back.
const ABSENT: Delays = Delays { first: SignedDuration::from_secs(1), longest: SignedDuration::from_mins(1) };
/// For a registry with a rate limit that sends no `Retry-After`.
const LIMITED: Delays =
    Delays { first: SignedDuration::from_secs(10), longest: SignedDuration::from_mins(15) };
/// The longest `Retry-After` that is honoured.
const LONGEST_ASKED: SignedDuration = SignedDuration::from_hours(24);

/// The source of jitter: numbers from 0 (inclusive) to 1 (exclusive).
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    /// Random numbers.
    #[must_use]
    pub fn random() -> Self {
        Self(Arc::new(rand::random::<f64>))
    }

    /// Always `value`, for tests.
    #[must_use]
    pub fn fixed(value: f64) -> Self {
        Self(Arc::new(move || value))
    }

    pub(crate) fn draw(&self) -> f64 {
        (self.0)().clamp(0.0, 1.0)
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::random()
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

impl Delays {
    /// The delay after the `attempt`th attempt, counted from 1. Its second half is random, so that many jobs do not
    /// return at once. At least as long as the registry asked for, up to [`LONGEST_ASKED`].
    fn after(&self, attempt: u32, asked: Option<SignedDuration>, jitter: f64) -> SignedDuration {
        let doublings = attempt.saturating_sub(1).min(16);
        let full = SignedDuration::from_secs(self.first.as_secs() << doublings).min(self.longest);
        let chosen = full.mul_f64(0.5 + jitter / 2.0);
        match asked {
            Some(asked) => chosen.max(asked.min(LONGEST_ASKED)),
            None => chosen,
        }
    }
}

/// How long a job waits after its `attempt`th attempt has failed.
pub(crate) fn delay(attempt: u32, asked: Option<SignedDuration>, jitter: f64) -> SignedDuration {
    JOB.after(attempt, asked, jitter)
}

/// How long to back off from a remote after `failures` consecutive failures (semantics 39). `progressed` means that
/// requests have succeeded since the last one, so that its gate knows a sustainable rate and may try again soon.
pub(crate) fn remote_delay(
    reason: WaitReason,
    failures: u32,
    asked: Option<SignedDuration>,
    progressed: bool,
    jitter: f64,
) -> SignedDuration {
    match (reason, asked) {
        (_, asked) if progressed => ABSENT.after(1, asked, jitter),
        // At first the registry's own delay counts, even if it is zero. A registry that repeatedly asks for no delay,
        // or for a time in the past, would get a request every second forever; therefore the delay grows nevertheless.
        (_, Some(asked)) => ABSENT.after(failures, Some(asked), jitter),
        (WaitReason::RateLimited, None) => LIMITED.after(failures, None, jitter),
        (WaitReason::Unavailable | WaitReason::Unreachable, None) => ABSENT.after(failures, None, jitter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_their_longest() {
        let seconds: Vec<i64> = (1..=12).map(|attempt| delay(attempt, None, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(delay(u32::MAX, None, 1.0), JOB.longest);
        let absent = |failures| remote_delay(WaitReason::Unreachable, failures, None, false, 1.0).as_secs();
        assert_eq!((absent(1), absent(5), absent(99)), (1, 16, 60));
        let limited = |failures| remote_delay(WaitReason::RateLimited, failures, None, false, 1.0).as_secs();
        assert_eq!((limited(1), limited(2), limited(99)), (10, 20, 900));
    }

    #[test]
    fn jitter_shortens_a_delay_by_up_to_half() {
        assert_eq!(delay(4, None, 0.0), SignedDuration::from_secs(4));
        assert_eq!(delay(4, None, 0.5), SignedDuration::from_secs(6));
    }

    #[test]
    fn semantics_39_a_registry_that_repeatedly_asks_for_no_delay_gets_growing_delays() {
        let after = |failures, seconds| {
            let asked = Some(SignedDuration::from_secs(seconds));
            remote_delay(WaitReason::RateLimited, failures, asked, false, 1.0).as_secs()
        };
        let delays: Vec<i64> = (1..=8).map(|failures| after(failures, 0)).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!((after(1, 30), after(4, 30), after(99, 300)), (30, 30, 300));
    }

    #[test]
    fn semantics_39_a_registry_that_lets_requests_through_gets_the_delay_that_it_asks_for() {
        let after = |asked: Option<i64>| {
            let asked = asked.map(SignedDuration::from_secs);
            remote_delay(WaitReason::RateLimited, 9, asked, true, 1.0).as_secs()
        };
        assert_eq!((after(None), after(Some(0)), after(Some(7))), (1, 1, 7));
    }

    #[test]
    fn a_registry_gets_the_delay_that_it_asks_for_up_to_a_day() {
        let asked = |seconds| delay(1, Some(SignedDuration::from_secs(seconds)), 0.0).as_secs();
        assert_eq!(asked(90), 90);
        assert_eq!(asked(0), 0);
        assert_eq!(asked(1_000_000), 24 * 3600);
    }
}
