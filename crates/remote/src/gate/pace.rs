//! The pace of requests to a registry that limits them (semantics 39). Registries do not publish their rates, so the
//! pace is learned: each rate limit halves it, and accepted requests raise it, quickly up to a little below the rate at
//! which the last limit occurred and slowly from there. Pure: the caller passes the time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The period over which accepted requests are counted to estimate the rate at the first limit.
const LOOKS_BACK: Duration = Duration::from_secs(5);
/// Responses are counted in slices of this length.
const SLICE: Duration = Duration::from_secs(1);
/// The slowest pace, in requests per second.
const SLOWEST: f64 = 0.5;
/// The fastest pace, in requests per second; above it, requests are not paced.
const FASTEST: f64 = 1000.0;
/// After this long without a limit, requests are no longer paced.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(5);
/// Increase per second while the rate limit is not known.
const SEARCHES: f64 = 0.15;
/// Increase per second up to [`NEAR`] of the rate of the last limit.
const RECOVERS: f64 = 0.2;
/// Increase per second from there.
const CREEPS: f64 = 0.01;
/// The share of the rate of the last limit that counts as near.
const NEAR: f64 = 0.9;

/// The pace of one registry, and the data that it is learned from.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The number of accepted requests per slice of time, the latest last.
    went: VecDeque<(Instant, u32)>,
    learnt: Option<Learnt>,
    /// The state before the last limit, in case that turns out not to be one.
    before: Option<Learnt>,
    limits: u64,
}

#[derive(Debug, Clone, Copy)]
struct Learnt {
    /// Requests per second.
    rate: f64,
    /// The rate at which the last limit occurred, if known.
    ceiling: Option<f64>,
    /// When the next request may be sent.
    next: Instant,
    /// When the last limit occurred.
    limited: Instant,
    raised: Instant,
}

impl Learnt {
    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }
}

impl Pace {
    /// How long a request must wait for its turn; `None` means that it takes its turn now.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Duration> {
        self.forget(now);
        let learnt = self.learnt.as_mut()?;
        let wait = learnt.next.saturating_duration_since(now);
        if wait.is_zero() {
            // Unused turns are not saved up: that would allow a burst.
            learnt.next = now + learnt.interval();
            return None;
        }
        Some(wait)
    }

    /// How long a request would wait for its turn behind `others`.
    pub(super) fn wait_behind(&self, others: usize, now: Instant) -> Duration {
        let Some(learnt) = &self.learnt else { return Duration::ZERO };
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        learnt.next.saturating_duration_since(now).saturating_add(learnt.interval().saturating_mul(others))
    }

    /// A request got a response that is not a rate limit.
    pub(super) fn went(&mut self, now: Instant) {
        match self.went.back_mut() {
            Some((since, count)) if now.saturating_duration_since(*since) < SLICE => *count += 1,
            _ => self.went.push_back((now, 1)),
        }
        self.drop_old(now);
        let Some(learnt) = &mut self.learnt else { return };
        // Fewer requests than the pace allows say nothing about the registry's limit.
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

    /// A request was rate-limited: no requests for `pause`, and from then on at half the rate. Returns the number of
    /// this limit.
    pub(super) fn limited(&mut self, pause: Duration, now: Instant) -> u64 {
        self.forget(now);
        self.drop_old(now);
        self.before = self.learnt;
        self.limits += 1;
        let (rate, ceiling) = match &self.learnt {
            Some(learnt) => (learnt.rate, Some(learnt.rate)),
            // It includes the burst that many registries allow, so it says little about their limit.
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

    /// The registry still limits requests: none are sent for `pause`.
    pub(super) fn hold(&mut self, pause: Duration, now: Instant) {
        if let Some(learnt) = &mut self.learnt {
            learnt.next = learnt.next.max(now + pause);
        }
    }

    /// `limit` was not a rate limit after all: restores the state before it, unless another one occurred since.
    pub(super) fn mistaken(&mut self, limit: u64) {
        if limit == self.limits {
            self.learnt = self.before;
        }
    }

    /// When the last limit occurred.
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

    /// A registry that accepts `rate` requests per second, and `burst` at once.
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

    /// Sends requests as fast as allowed, at most one per millisecond; returns how many were accepted and limited.
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
        assert_eq!(went, 1000, "the limit is forgotten");
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
    fn a_503_that_was_not_a_limit_restores_the_pace() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let limit = pace.limited(Duration::from_secs(1), now);
        pace.mistaken(limit);
        assert_eq!((pace.turn(now), pace.turn(now)), (None, None));
        let limit = pace.limited(Duration::from_secs(1), now);
        pace.limited(Duration::from_secs(1), now);
        pace.mistaken(limit);
        assert!(pace.turn(now).is_some(), "another limit occurred since");
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
