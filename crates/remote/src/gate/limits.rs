//! Handles rate limits (semantics 39). After a limit with a short wait, the request waits and is repeated: a registry
//! that accepts ten requests a second rejects one now and then while there is more to do, and that must not end a run.
//! A long wait, or a registry that accepts nothing between two limits, closes the gate.

use std::time::Duration;

use http::Method;
use longshore_model::remote::WaitReason;
use tokio::time::Instant;

use super::pace::Pace;
use super::{Gate, Standing};
use crate::transport::Call;

/// The longest wait for which the gate stays open.
const SHORT: Duration = Duration::from_secs(10);
/// The wait after a limit that comes without `Retry-After`, or with a shorter one.
const SHORTEST: Duration = Duration::from_secs(1);
/// How often a rate-limited request is repeated.
const REPEATS: u32 = 3;
/// How often a request is repeated after 503, which may be a rate limit or a problem of one resource.
const DOUBTFUL_REPEATS: u32 = 1;

/// Kinds of requests that registries limit separately. Some never limit HEAD, so a successful HEAD says nothing about
/// a limit on manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Manifest,
    Blob,
    Question,
    Write,
}

impl Kind {
    pub(super) fn of(call: &Call) -> Self {
        match call.method {
            Method::HEAD => Self::Head,
            Method::GET if call.is_blob() => Self::Blob,
            Method::GET if call.url.path().contains("/manifests/") => Self::Manifest,
            Method::GET => Self::Question,
            _ => Self::Write,
        }
    }
}

/// How often a request was repeated.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    made: u32,
    /// The number of the limit that its 503 was taken for.
    doubtful: Option<u64>,
}

/// The limits of one registry.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pace: Pace,
    /// When it last rate-limited a request.
    last: Option<Instant>,
    /// The number of requests accepted since.
    went: u32,
    /// Kinds of which it limited a request and has accepted none since.
    stuck: Vec<Kind>,
    /// The number of requests that wait for their turn.
    queued: usize,
}

impl Limits {
    /// Records a response. `went` means that the request was accepted, even if the resource does not exist.
    pub(super) fn answered(&mut self, kind: Kind, went: bool, now: Instant) {
        self.pace.went(now);
        if went {
            self.went = self.went.saturating_add(1);
            self.stuck.retain(|other| *other != kind);
        }
    }

    /// Records a rate limit. Returns whether the registry has accepted requests since the last one: at least one, and
    /// one of this kind if it has limited that kind before.
    pub(super) fn refused(&mut self, kind: Kind, now: Instant) -> bool {
        let is_stuck = self.stuck.contains(&kind);
        if !is_stuck {
            self.stuck.push(kind);
        }
        self.last = Some(now);
        std::mem::take(&mut self.went) > 0 && !is_stuck
    }

    /// Whether requests are paced.
    pub(super) fn is_paced(&self) -> bool {
        self.pace.last_limit().is_some()
    }

    /// How long a new request would wait for its turn; zero while none waits.
    pub(super) fn queue(&self, now: Instant) -> Duration {
        match self.queued {
            0 => Duration::ZERO,
            queued => self.pace.wait_behind(queued - 1, now),
        }
    }
}

/// A rejected request, as far as limits are concerned.
pub(super) struct Refused<'a> {
    pub(super) kind: Kind,
    pub(super) sent: Instant,
    pub(super) asked: Option<Duration>,
    /// `None` if the request cannot be sent twice.
    pub(super) repeats: Option<&'a mut Repeats>,
}

impl Refused<'_> {
    fn pause(&self) -> Duration {
        self.asked.unwrap_or_default().max(SHORTEST)
    }
}

impl Gate {
    /// Waits for the turn of a request if requests are paced. Waiting requests are served in order; dropping the future
    /// gives up the place.
    pub(crate) async fn turn(&self) {
        if !self.lock().limits.is_paced() {
            return;
        }
        let _queued = Queued::new(self);
        let _first = self.0.turns.lock().await;
        // A limit that occurs meanwhile makes the wait longer.
        while !self.refuses() {
            let Some(wait) = self.lock().limits.pace.turn(Instant::now()) else { return };
            tokio::time::sleep(wait).await;
        }
    }

    fn refuses(&self) -> bool {
        matches!(self.standing(), Standing::Closed(closure) if closure.until > Instant::now())
    }

    /// Handles a rate limit. Returns whether to repeat the request at its next turn; otherwise the gate is closed.
    /// With `blobs`, it stays open for blobs.
    pub(super) fn limited(&self, refused: Refused<'_>, blobs: bool) -> bool {
        let (now, pause, asked) = (Instant::now(), refused.pause(), refused.asked);
        let progressed = {
            let is_open = !self.is_closed();
            let mut state = self.lock();
            let limits = &mut state.limits;
            let known = limits.last.is_some_and(|last| refused.sent <= last);
            let progressed = known || limits.refused(refused.kind, now);
            if pause <= SHORT {
                match known {
                    true => limits.pace.hold(pause, now),
                    false => drop(limits.pace.limited(pause, now)),
                }
                if let Some(repeats) = refused.repeats
                    && progressed
                    && is_open
                    && repeats.made < REPEATS
                {
                    repeats.made += 1;
                    return true;
                }
            }
            progressed
        };
        self.close(WaitReason::RateLimited, asked, blobs, progressed);
        false
    }

    /// Handles a 503 that is not known to be a problem of the requested resource alone. Returns whether it is taken for
    /// a rate limit and the request is to be repeated at its next turn.
    pub(super) fn may_be_limited(&self, refused: Refused<'_>) -> bool {
        let (now, pause) = (Instant::now(), refused.pause());
        let Some(repeats) = refused.repeats else { return false };
        let is_open = !self.is_closed();
        let mut state = self.lock();
        let limits = &mut state.limits;
        if repeats.made >= DOUBTFUL_REPEATS {
            // Others are accepted at this pace, and this one is rejected at any.
            if let Some(limit) = repeats.doubtful.take().filter(|_| limits.went > 0) {
                limits.pace.mistaken(limit);
            }
            return false;
        }
        if pause > SHORT || !is_open {
            return false;
        }
        if limits.last.is_some_and(|last| refused.sent <= last) {
            limits.pace.hold(pause, now);
        } else if limits.refused(refused.kind, now) {
            repeats.doubtful = Some(limits.pace.limited(pause, now));
        } else {
            return false;
        }
        repeats.made += 1;
        true
    }
}

struct Queued<'a>(&'a Gate);

impl<'a> Queued<'a> {
    fn new(gate: &'a Gate) -> Self {
        gate.lock().limits.queued += 1;
        Self(gate)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.limits.queued = state.limits.queued.saturating_sub(1);
    }
}
