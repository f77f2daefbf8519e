//! The pace at which a registry that limits requests is asked (semantics 39). Nobody tells a client how many
//! requests a registry takes; it is learnt from the refusals. Each of them halves the pace, and what is let through
//! raises it: quickly up to a little below where it was last refused, slowly from there. Pure: the time comes in.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What went through in this time tells how much a registry takes that refuses for the first time.
const LOOKS_BACK: Duration = Duration::from_secs(5);
/// Answers are counted in slices of this length.
const SLICE: Duration = Duration::from_secs(1);
/// The slowest pace, in requests a second.
const SLOWEST: f64 = 0.5;
/// The fastest pace: who takes more is not slowed down.
const FASTEST: f64 = 1000.0;
/// A registry that has refused nothing for this long is asked without a pace again.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(5);
/// How much faster it gets in a second, while it is not known where the registry refuses.
const SEARCHES: f64 = 0.15;
/// How much faster it gets in a second, up to [`NEAR`] of where the registry last refused.
const RECOVERS: f64 = 0.2;
/// How much faster it gets in a second from there.
const CREEPS: f64 = 0.01;
/// What is near the pace at which the registry last refused.
const NEAR: f64 = 0.9;

/// The pace of one registry, and what it is learnt from.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How many requests went through, by slices of time, the latest last.
    went: VecDeque<(Instant, u32)>,
    learnt: Option<Learnt>,
    /// What held before the last limit, should that turn out to be none.
    before: Option<Learnt>,
    limits: u64,
}

#[derive(Debug, Clone, Copy)]
struct Learnt {
    /// Requests a second.
    rate: f64,
    /// The pace at which the registry last refused one, as far as it is known.
    ceiling: Option<f64>,
    /// When the next one may go.
    next: Instant,
    /// When the registry last refused one.
    limited: Instant,
    /// When the pace was last raised.
    raised: Instant,
}

impl Learnt {
    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }
}

impl Pace {
    /// How long a request has to wait for its turn; none: it goes now, and has had its turn.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Duration> {
        self.forget(now);
        let learnt = self.learnt.as_mut()?;
        let wait = learnt.next.saturating_duration_since(now);
        if wait.is_zero() {
            // What was not used is not saved up: that would be a burst.
            learnt.next = now + learnt.interval();
            return None;
        }
        Some(wait)
    }

    /// How long a request waits for its turn behind `others`.
    pub(super) fn wait_behind(&self, others: usize, now: Instant) -> Duration {
        let Some(learnt) = &self.learnt else { return Duration::ZERO };
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        learnt.next.saturating_duration_since(now).saturating_add(learnt.interval().saturating_mul(others))
    }

    /// A request was answered, and not refused for being one too many.
    pub(super) fn went(&mut self, now: Instant) {
        match self.went.back_mut() {
            Some((since, count)) if now.saturating_duration_since(*since) < SLICE => *count += 1,
            _ => self.went.push_back((now, 1)),
        }
        self.drop_old(now);
        let Some(learnt) = &mut self.learnt else { return };
        // Who asks for less than the pace allows learns nothing of what the registry takes.
        let since = now.saturating_duration_since(learnt.raised).min(2 * learnt.interval()).as_secs_f64();
        let near = learnt.ceiling.map(|ceiling| ceiling * NEAR);
        learnt.rate = match near {
            None => learnt.rate * (1.0 + SEARCHES * since),
            Some(near) if learnt.rate < near => (learnt.rate * (1.0 + RECOVERS * since)).min(near),
            Some(_) => learnt.rate * (1.0 + CREEPS * since),
        };
        learnt.rate = learnt.rate.min(FASTEST);
        learnt.raised = now;
    }

    /// A request was refused for being one too many: nothing goes for as long as `pause`, and from then on half of
    /// what went before. Answers with the number of this limit.
    pub(super) fn limited(&mut self, pause: Duration, now: Instant) -> u64 {
        self.forget(now);
        self.drop_old(now);
        self.before = self.learnt;
        self.limits += 1;
        let (rate, ceiling) = match &self.learnt {
            Some(learnt) => (learnt.rate, Some(learnt.rate)),
            // The burst that many registries allow is in it, so it says little of where they refuse.
            None => {
                let went: u32 = self.went.iter().map(|(_, count)| count).sum();
                let since = self
                    .went
                    .front()
                    .map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(*since));
                (f64::from(went) / since.max(SLICE).as_secs_f64(), None)
            }
        };
        let rate = (rate / 2.0).clamp(SLOWEST, FASTEST);
        self.learnt = Some(Learnt { rate, ceiling, next: now + pause, limited: now, raised: now + pause });
        self.limits
    }

    /// The registry still refuses: nothing goes for as long as `pause`.
    pub(super) fn hold(&mut self, pause: Duration, now: Instant) {
        if let Some(learnt) = &mut self.learnt {
            learnt.next = learnt.next.max(now + pause);
        }
    }

    /// What looked like a limit was none: what held before it holds again, unless another one came since.
    pub(super) fn mistaken(&mut self, limit: u64) {
        if limit == self.limits {
            self.learnt = self.before;
        }
    }

    /// When the registry last refused a request.
    pub(super) fn last_limit(&self) -> Option<Instant> {
        self.learnt.map(|learnt| learnt.limited)
    }

    fn forget(&mut self, now: Instant) {
        if self.last_limit().is_some_and(|limited| now.saturating_duration_since(limited) >= FORGOTTEN_AFTER)
        {
            self.learnt = None;
        }
    }

    fn drop_old(&mut self, now: Instant) {
        while self.went.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) >= LOOKS_BACK)
        {
            self.went.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A registry that takes `rate` requests a second, and `burst` at once.
    struct Bucket {
        rate: f64,
        burst: f64,
        tokens: f64,
        at: Instant,
    }

    impl Bucket {
        fn new(rate: f64, burst: f64, at: Instant) -> Self {
            Self { rate, burst, tokens: burst, at }
        }

        fn takes(&mut self, now: Instant) -> bool {
            let since = now.duration_since(self.at).as_secs_f64();
            (self.tokens, self.at) = ((self.tokens + since * self.rate).min(self.burst), now);
            let takes = self.tokens >= 1.0;
            self.tokens -= f64::from(u8::from(takes));
            takes
        }
    }

    /// Asks as fast as it may, at most every millisecond, and tells how many went through and were refused.
    fn ask(pace: &mut Pace, bucket: &mut Bucket, now: &mut Instant, seconds: u64) -> (u32, u32) {
        let (end, mut went, mut refused) = (*now + Duration::from_secs(seconds), 0, 0);
        while *now < end {
            match pace.turn(*now) {
                Some(wait) => *now += wait,
                None if bucket.takes(*now) => {
                    pace.went(*now);
                    went += 1;
                    *now += Duration::from_millis(1);
                }
                None => {
                    pace.limited(Duration::from_secs(1), *now);
                    refused += 1;
                }
            }
        }
        (went, refused)
    }

    #[test]
    fn semantics_39_the_pace_settles_a_little_below_what_a_registry_takes() {
        for rate in [1.0, 10.0, 100.0] {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            let mut bucket = Bucket::new(rate, 2.0 * rate, now);
            let (_, early) = ask(&mut pace, &mut bucket, &mut now, 60);
            assert!(early <= 8, "{early} refused at first by {rate}/s");
            let (went, refused) = ask(&mut pace, &mut bucket, &mut now, 240);
            let share = f64::from(went) / (rate * 240.0);
            assert!((0.75..=1.02).contains(&share), "{share} of {rate}/s");
            assert!(refused <= 24, "{refused} refused by {rate}/s");
        }
    }

    #[test]
    fn semantics_39_the_pace_follows_a_registry_that_takes_less_and_then_more() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let mut bucket = Bucket::new(20.0, 20.0, now);
        ask(&mut pace, &mut bucket, &mut now, 60);
        bucket.rate = 2.0;
        let (went, refused) = ask(&mut pace, &mut bucket, &mut now, 60);
        assert!(went >= 80 && refused <= 12, "{went} went, {refused} were refused");
        (bucket.rate, bucket.burst) = (1e6, 1e6);
        ask(&mut pace, &mut bucket, &mut now, 301);
        let (went, _) = ask(&mut pace, &mut bucket, &mut now, 1);
        assert_eq!(went, 1000, "it is forgotten");
    }

    #[test]
    fn semantics_39_the_first_refusal_halves_what_went_through_before() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(pace.turn(now), None);
            pace.went(now);
            now += Duration::from_millis(50);
        }
        pace.limited(Duration::from_secs(3), now);
        assert_eq!(pace.turn(now), Some(Duration::from_secs(3)));
        now += Duration::from_secs(3);
        assert_eq!(pace.turn(now), None);
        let wait = pace.turn(now).unwrap_or_default();
        assert!((90..=130).contains(&wait.as_millis()), "{wait:?}");
        let mut slow = Pace::default();
        for _ in 0..9 {
            slow.limited(Duration::ZERO, now);
        }
        assert_eq!((slow.turn(now), slow.turn(now)), (None, Some(Duration::from_secs(2))), "the slowest");
    }

    #[test]
    fn what_was_no_limit_leaves_the_pace_as_it_was() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let limit = pace.limited(Duration::from_secs(1), now);
        pace.mistaken(limit);
        assert_eq!((pace.turn(now), pace.turn(now)), (None, None));
        let limit = pace.limited(Duration::from_secs(1), now);
        pace.limited(Duration::from_secs(1), now);
        pace.mistaken(limit);
        assert!(pace.turn(now).is_some(), "another one came since");
    }

    proptest! {
        #[test]
        fn semantics_39_no_more_goes_than_the_pace_allows(
            rate in 0.6_f64..200.0, gaps in prop::collection::vec(0_u64..500, 1..200),
        ) {
            let (mut pace, begun) = (Pace::default(), Instant::now());
            let mut now = begun;
            pace.learnt = Some(Learnt { rate, ceiling: Some(rate / NEAR), next: now, limited: now, raised: now });
            let mut went = 0;
            for gap in gaps {
                while pace.turn(now).is_none() {
                    went += 1;
                }
                now += Duration::from_millis(gap);
            }
            prop_assert!(f64::from(went) <= now.duration_since(begun).as_secs_f64() * rate + 1.01);
        }
    }
}
