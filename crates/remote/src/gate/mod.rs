//! Decides whether requests may be sent to a registry. All users of one remote in this process share one gate. A rate
//! limit or an outage closes it for all of them (semantics 39). An error about one resource does not: before the gate
//! closes because of one, the registry itself is checked (semantics 37). Requests to a registry that limits them are
//! paced, and the pace is learned from the limits.

mod limits;
mod pace;
mod troubles;

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use longshore_model::remote::WaitReason;
use reqwest::Response;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::retry_after;
use crate::connector::Connector;
use crate::error::{asks_to_wait, is_unavailable, server_fails};
use crate::transport::{Call, Payload};
use crate::{Error, Failure};
pub(crate) use limits::Repeats;
use limits::{Kind, Limits, Refused};
use troubles::{Troubles, Whose};

/// The bytes of a response that count as progress; a registry that sends fewer in a while counts as silent.
const A_MOVE: usize = 4096;
/// How long a gate stays closed at first, until its owner sets the end ([`Gate::postpone`]).
const PROVISIONAL: Duration = Duration::from_secs(5);

/// Why and until when a gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closure {
    /// Distinguishes this closure from earlier ones.
    pub number: u64,
    pub reason: WaitReason,
    /// The `Retry-After` of the registry.
    pub asked: Option<Duration>,
    /// When requests may be sent again.
    pub until: Instant,
    /// Whether requests were accepted since the last limit; then there is no reason to wait for longer than
    /// `Retry-After`.
    pub progressed: bool,
    /// Whether blobs may still be fetched: after a limit on manifests, the blobs of manifests already here may be.
    blobs: bool,
}

/// Which requests a gate lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All.
    Open,
    /// All, but the registry has not responded yet since the gate was closed.
    Probing,
    /// No new ones.
    Closed(Closure),
}

/// The gate of one remote; clones share their state.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    standing: watch::Sender<Standing>,
    state: Mutex<State>,
    /// When the registry was last found to be up. The lock makes concurrent doubts share one check.
    seen: tokio::sync::Mutex<Option<Instant>>,
    /// Held by the request that is next, if requests are paced.
    turns: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    closures: u64,
    /// The number of requests that wait for a response or for its next chunk.
    under_way: usize,
    /// When one of those last made progress, or the first of them began.
    moved: Instant,
    /// The time spent waiting before, with too few bytes to count as progress.
    waited: Duration,
    /// The bytes received in that time.
    came: usize,
    troubles: Troubles,
    limits: Limits,
}

impl State {
    fn move_on(&mut self) {
        (self.moved, self.waited, self.came) = (Instant::now(), Duration::ZERO, 0);
    }
}

impl Default for Gate {
    fn default() -> Self {
        let state = State {
            closures: 0,
            under_way: 0,
            moved: Instant::now(),
            waited: Duration::ZERO,
            came: 0,
            troubles: Troubles::default(),
            limits: Limits::default(),
        };
        let (standing, state) = (watch::Sender::new(Standing::Open), Mutex::new(state));
        let (seen, turns) = (tokio::sync::Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { standing, state, seen, turns }))
    }
}

impl Gate {
    /// Which requests it lets through now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        *self.0.standing.borrow()
    }

    /// Watches which requests it lets through.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// Opens the gate on trial: it is [`Standing::Probing`] until the first response.
    pub fn probe(&self) {
        self.0.standing.send_replace(Standing::Probing);
    }

    /// Opens the gate because the registry is known to be available.
    pub fn reopen(&self) {
        self.0.standing.send_if_modified(|standing| {
            let closed = matches!(standing, Standing::Closed(_));
            if closed {
                *standing = Standing::Open;
            }
            closed
        });
    }

    /// Sets the end of a closure, if it still is the current one.
    pub fn postpone(&self, number: u64, until: Instant) {
        self.0.standing.send_if_modified(|standing| match standing {
            Standing::Closed(closure) if closure.number == number => {
                closure.until = until;
                true
            }
            _ => false,
        });
    }

    /// How long there has been no progress although a response is awaited, or how long a new request would wait for its
    /// turn; zero if nothing is awaited.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let state = self.lock();
        let silence =
            if state.under_way == 0 { Duration::ZERO } else { state.waited + state.moved.elapsed() };
        silence.max(state.limits.queue(Instant::now()))
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.standing(), Standing::Closed(_))
    }

    /// Lets a request through, or returns the reason why not. `at_registry` means that the request goes to the registry
    /// itself and not to a host that it redirects to.
    pub(crate) fn admit(&self, call: &Call, host: &str, at_registry: bool) -> Result<Passage, Error> {
        let mut refusal = None;
        self.0.standing.send_if_modified(|standing| {
            let Standing::Closed(closure) = *standing else { return false };
            let left = closure.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                *standing = Standing::Probing;
                return true;
            }
            if !(closure.blobs && call.is_blob()) {
                refusal = Some(Error::Waits {
                    host: host.to_owned(),
                    doing: call.doing.clone(),
                    reason: closure.reason,
                    seconds: left.as_secs().max(1),
                });
            }
            false
        });
        match refusal {
            Some(error) => Err(error),
            None => Ok(Passage {
                under_way: self.under_way(),
                asked: Asked {
                    gate: self.clone(),
                    // By HEAD or GET: a resource that can be read again has no problem any more.
                    what: format!("{}{}", call.url.host_str().unwrap_or(host), call.url.path()),
                    is_thing: !call.scopes.is_empty(),
                    kind: Kind::of(call),
                },
                sent: Instant::now(),
                at_registry,
                is_blob: call.is_blob(),
                is_head: call.method == Method::HEAD,
                has_body: !matches!(call.payload, Payload::Empty),
            }),
        }
    }

    /// Counts as awaited until the guard is dropped.
    pub(crate) fn under_way(&self) -> UnderWay {
        let mut state = self.lock();
        state.under_way += 1;
        if state.under_way == 1 {
            state.moved = Instant::now();
        }
        drop(state);
        UnderWay(self.clone())
    }

    /// A response arrived, or a part of a request was sent.
    pub(crate) fn moved(&self) {
        self.lock().move_on();
    }

    /// A chunk of a response arrived. Small amounts do not count as progress: a registry that sends one byte a second
    /// would block a worker for ever.
    pub(crate) fn came(&self, bytes: usize) {
        let mut state = self.lock();
        state.came = state.came.saturating_add(bytes);
        if state.came >= A_MOVE {
            state.move_on();
        }
    }

    fn close(&self, reason: WaitReason, asked: Option<Duration>, blobs: bool, progressed: bool) {
        let number = {
            let mut state = self.lock();
            state.closures += 1;
            state.closures
        };
        let until = Instant::now() + asked.unwrap_or(PROVISIONAL);
        self.0.standing.send_if_modified(|standing| match standing {
            // Requests in flight when it closed only confirm it.
            Standing::Closed(closure) => {
                closure.blobs &= blobs;
                false
            }
            Standing::Open | Standing::Probing => {
                *standing = Standing::Closed(Closure { number, reason, asked, until, progressed, blobs });
                true
            }
        });
    }

    /// A resource was served or reported as missing: the registry works.
    fn answered(&self, what: &str) {
        let probed = self.standing() == Standing::Probing;
        self.lock().troubles.had(what, probed);
        self.is_there();
    }

    fn is_there(&self) {
        self.moved();
        self.0.standing.send_if_modified(|standing| {
            let probed = *standing == Standing::Probing;
            if probed {
                *standing = Standing::Open;
            }
            probed
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

#[derive(Debug)]
pub(crate) struct UnderWay(Gate);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if state.under_way == 0 {
            let waited = state.moved.elapsed();
            state.waited += waited;
        }
    }
}

/// The resource that a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    gate: Gate,
    /// Method, host and path.
    what: String,
    /// Whether it is one resource of the registry, and not the registry itself or a token, which all requests need.
    is_thing: bool,
    kind: Kind,
}

impl Asked {
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The rest of a response did not arrive.
    pub(crate) async fn fell_silent(&self, connector: &Connector) {
        if let Some(doubt) = self.fails(WaitReason::Unreachable, None) {
            doubt.settle(connector.is_there()).await;
        }
    }

    /// Whether it is known to fail alone, while other resources are served.
    fn is_own_trouble(&self) -> bool {
        self.is_thing && self.gate.lock().troubles.are_of(&self.what)
    }

    /// The response is a server error. One mostly concerns the resource alone; many in a row do not.
    fn is_broken(&self) {
        if self.is_thing && self.gate.lock().troubles.whose(&self.what) == Whose::TheRegistrys {
            self.gate.close(WaitReason::Unavailable, None, false, false);
        } else {
            self.gate.is_there();
        }
    }

    /// It failed as it would if the whole registry were down. Closes the gate, unless the problem is, or may be, that
    /// of one resource.
    fn fails(&self, reason: WaitReason, asked: Option<Duration>) -> Option<Doubt> {
        let whose =
            if self.is_thing { self.gate.lock().troubles.whose(&self.what) } else { Whose::TheRegistrys };
        match (whose, asked) {
            (Whose::Its, _) => None,
            (Whose::Unknown, None) => Some(Doubt { gate: self.gate.clone(), reason, since: Instant::now() }),
            // `Retry-After` applies to all requests.
            (Whose::TheRegistrys, _) | (Whose::Unknown, Some(_)) => {
                let progressed =
                    asked.is_some() && self.gate.lock().limits.refused(self.kind, Instant::now());
                self.gate.close(reason, asked, false, progressed);
                None
            }
        }
    }
}

/// One resource could not be read, and it is not known whether others can.
#[derive(Debug)]
#[must_use = "a doubt must be settled"]
pub(crate) struct Doubt {
    gate: Gate,
    reason: WaitReason,
    since: Instant,
}

impl Doubt {
    /// Checks the registry itself, once for all concurrent doubts, and closes the gate if it is down.
    pub(crate) async fn settle(self, is_there: impl Future<Output = bool>) {
        let mut seen = self.gate.0.seen.lock().await;
        if self.gate.is_closed() || seen.is_some_and(|seen| seen >= self.since) {
            return;
        }
        let (asked, _under_way) = (Instant::now(), self.gate.under_way());
        if is_there.await {
            *seen = Some(asked);
            self.gate.is_there();
        } else {
            self.gate.close(self.reason, None, false, false);
        }
    }
}

/// How to treat a response.
#[derive(Debug)]
#[must_use = "a doubt must be settled"]
pub(crate) enum Verdict {
    /// The response is final. A doubt that it raises must be settled.
    Stands(Option<Doubt>),
    /// The request was rate-limited and must be repeated at its next turn.
    Repeat,
}

/// A request that was let through.
#[derive(Debug)]
pub(crate) struct Passage {
    under_way: UnderWay,
    asked: Asked,
    at_registry: bool,
    sent: Instant,
    is_blob: bool,
    is_head: bool,
    has_body: bool,
}

impl Passage {
    pub(crate) fn moved(&self) {
        self.under_way.0.moved();
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The headers of a response arrived. `repeats` is `None` if the request cannot be sent twice.
    pub(crate) fn answered(self, response: &Response, repeats: Option<&mut Repeats>) -> Verdict {
        let (gate, asked) = (&self.asked.gate, retry_after(response.headers()));
        let refused = Refused { kind: self.asked.kind, sent: self.sent, asked, repeats };
        match response.status() {
            status if asks_to_wait(status, asked) => {
                gate.moved();
                return if gate.limited(refused, !self.is_blob) {
                    Verdict::Repeat
                } else {
                    Verdict::Stands(None)
                };
            }
            status if is_unavailable(status) => {
                let may_be_limit = status == StatusCode::SERVICE_UNAVAILABLE && !self.asked.is_own_trouble();
                if may_be_limit && gate.may_be_limited(refused) {
                    gate.moved();
                    return Verdict::Repeat;
                }
                return Verdict::Stands(self.asked.fails(WaitReason::Unavailable, asked));
            }
            // Some registries fail at every HEAD. A GET confirms the error.
            status if server_fails(status) => {
                gate.moved();
                if !self.is_head {
                    self.asked.is_broken();
                }
            }
            // A request for authentication says nothing about the resource yet.
            StatusCode::UNAUTHORIZED => self.went(false),
            _ => {
                self.went(true);
                if self.asked.is_thing {
                    gate.answered(&self.asked.what);
                }
            }
        }
        Verdict::Stands(None)
    }

    /// It got a response that is not a rate limit.
    fn went(&self, through: bool) {
        let gate = &self.asked.gate;
        gate.lock().limits.answered(self.asked.kind, through, Instant::now());
        gate.moved();
    }

    /// There was no response. A doubt that this raises must be settled.
    pub(crate) fn failed(self, failure: &Failure) -> Option<Doubt> {
        let reason = WaitReason::Unreachable;
        match failure {
            Failure::UnknownHost | Failure::Refused | Failure::Unreachable(_) if self.at_registry => {
                self.asked.gate.close(reason, None, false, false);
                None
            }
            // A server that rejects a body may close the connection without a response.
            Failure::Broken(_) if self.has_body => None,
            Failure::UnknownHost
            | Failure::Refused
            | Failure::Unreachable(_)
            | Failure::Timeout { .. }
            | Failure::TooSlow { .. }
            | Failure::Broken(_) => self.asked.fails(reason, None),
            Failure::Certificate(_) | Failure::NotTls | Failure::NotHttp | Failure::Tls(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
