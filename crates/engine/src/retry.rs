//! When a job that failed for a reason that may pass is tried again: delays that grow, are jittered, and
//! honour what the other registry asked for. Pure; who waits is the database's business.

use jiff::SignedDuration;
use std::{fmt, sync::Arc};

/// The first delay.
const FIRST: SignedDuration = SignedDuration::from_secs(1);
/// No delay of ours grows beyond this.
const LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// A registry that asks for more than this is asked again nevertheless.
const LONGEST_ASKED: SignedDuration = SignedDuration::from_hours(1);

/// Where jitter comes from: numbers from 0 (included) to 1 (excluded).
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    /// Real randomness.
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

/// How long to wait after the `attempt`th try (counted from 1) has failed: 1 s, 2 s, 4 s, … up to 5 minutes,
/// of which the second half is a matter of chance so that many jobs do not come back at once. At least what
/// the registry asked for by `Retry-After`, up to an hour.
pub(crate) fn delay(attempt: u32, asked: Option<SignedDuration>, jitter: f64) -> SignedDuration {
    let doublings = attempt.saturating_sub(1).min(16);
    let full = SignedDuration::from_secs(FIRST.as_secs() << doublings).min(LONGEST);
    let chosen = full.mul_f64(0.5 + jitter / 2.0);
    match asked {
        Some(asked) => chosen.max(asked.min(LONGEST_ASKED)),
        None => chosen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_minutes() {
        let seconds: Vec<i64> = (1..=12).map(|attempt| delay(attempt, None, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(delay(u32::MAX, None, 1.0), LONGEST);
    }

    #[test]
    fn jitter_takes_away_up_to_half() {
        assert_eq!(delay(4, None, 0.0), SignedDuration::from_secs(4));
        assert_eq!(delay(4, None, 0.5), SignedDuration::from_secs(6));
    }

    #[test]
    fn a_registry_that_asks_for_more_time_gets_it_within_reason() {
        let asked = |seconds| delay(1, Some(SignedDuration::from_secs(seconds)), 0.0).as_secs();
        assert_eq!(asked(90), 90);
        assert_eq!(asked(0), 0);
        assert_eq!(asked(1_000_000), 3600);
    }
}
