//! What follows when a registry refuses a request for being one too many (semantics 39). A short wait is waited where
//! the request is made, and the request is repeated: a registry that takes ten requests a second refuses one now and
//! then for as long as it is asked for more, and no run should end there. A long one, and a registry that lets nothing
//! through in between, closes the gate.

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
/// How often one request is repeated that is refused for being one too many.
const REPEATS: u32 = 3;
/// How often one is repeated that was refused with 503: that may be a limit, or the trouble of one thing.
const DOUBTFUL_REPEATS: u32 = 1;

/// Kinds of requests that registries limit apart from each other. Some never limit HEADs, so that one which goes
/// through says nothing of a limit on manifests.
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
    /// The limit that its 503 was taken for.
    doubtful: Option<u64>,
}

/// The limits of one registry.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pace: Pace,
    /// When it last refused a request for being one too many.
    last: Option<Instant>,
    /// Requests that went through since.
    went: u32,
    /// Kinds of which it refused one, and let none through since.
    stuck: Vec<Kind>,
    /// Requests that wait for their turn.
    queued: usize,
}

impl Limits {
    /// A request was answered; with what was asked for, or with its absence, if it `went` through.
    pub(super) fn answered(&mut self, kind: Kind, went: bool, now: Instant) {
        self.pace.went(now);
        if went {
            self.went = self.went.saturating_add(1);
            self.stuck.retain(|other| *other != kind);
        }
    }

    /// Keeps in mind that the registry refused a request. Answers whether it has let any through since it last did:
    /// one at least, and one of this kind, if it has refused one of those before.
    pub(super) fn refused(&mut self, kind: Kind, now: Instant) -> bool {
        let is_stuck = self.stuck.contains(&kind);
        if !is_stuck {
            self.stuck.push(kind);
        }
        self.last = Some(now);
        std::mem::take(&mut self.went) > 0 && !is_stuck
    }

    /// Whether requests go at a pace.
    pub(super) fn is_paced(&self) -> bool {
        self.pace.last_limit().is_some()
    }

    /// How long who asks now waits for a turn; zero while nobody does.
    pub(super) fn queue(&self, now: Instant) -> Duration {
        match self.queued {
            0 => Duration::ZERO,
            queued => self.pace.wait_behind(queued - 1, now),
        }
    }
}

/// A request that was refused, as far as limits are concerned.
pub(super) struct Refused<'a> {
    pub(super) kind: Kind,
    /// When it was sent.
    pub(super) sent: Instant,
    pub(super) asked: Option<Duration>,
    /// How often it was repeated; none: it cannot be sent twice.
    pub(super) repeats: Option<&'a mut Repeats>,
}

impl Refused<'_> {
    fn pause(&self) -> Duration {
        self.asked.unwrap_or_default().max(SHORTEST)
    }
}

impl Gate {
    /// Waits until it is a request's turn, where the registry is asked at a pace; those who wait go in their order.
    /// Who stops waiting gives up the place.
    pub(crate) async fn turn(&self) {
        if !self.lock().limits.is_paced() {
            return;
        }
        let _queued = Queued::new(self);
        let _first = self.0.turns.lock().await;
        // A limit that comes meanwhile makes the wait longer.
        while !self.refuses() {
            let Some(wait) = self.lock().limits.pace.turn(Instant::now()) else { return };
            tokio::time::sleep(wait).await;
        }
    }

    fn refuses(&self) -> bool {
        matches!(self.standing(), Standing::Closed(closure) if closure.until > Instant::now())
    }

    /// A registry refused a request for being one too many. Answers whether the request is to be repeated, when it is
    /// its turn again; otherwise the gate is closed. `blobs`: it stays open for them.
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

    /// A registry answered 503, and it is not known that this is the trouble of the one thing that was asked for.
    /// Answers whether it is taken for a limit, and the request repeated when it is its turn.
    pub(super) fn may_be_limited(&self, refused: Refused<'_>) -> bool {
        let (now, pause) = (Instant::now(), refused.pause());
        let Some(repeats) = refused.repeats else { return false };
        let is_open = !self.is_closed();
        let mut state = self.lock();
        let limits = &mut state.limits;
        if repeats.made >= DOUBTFUL_REPEATS {
            // Others went through at this pace, and this one does not at any.
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

/// A request that waits for its turn.
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
