//! Whether a registry may be asked now. All that speak to one remote in this process share one gate. A limit
//! closes it for all of them, and so does a registry that is away (semantics 39). An error about one thing that
//! was asked for leaves it open: before it closes for one of those, the registry itself is asked (semantics 37).
//! A registry that refuses requests for being too many is asked at a pace, which it teaches by its refusals.

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

/// So many bytes of an answer are a move; a registry that sends fewer in a while is as good as silent.
const A_MOVE: usize = 4096;
/// How long a gate stays closed at least, until its owner has decided ([`Gate::postpone`]).
const PROVISIONAL: Duration = Duration::from_secs(5);

/// Why and how long a gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closure {
    /// Tells this closure from those before it.
    pub number: u64,
    /// Why.
    pub reason: WaitReason,
    /// What the registry asked for by `Retry-After`.
    pub asked: Option<Duration>,
    /// When it may be asked again.
    pub until: Instant,
    /// Whether requests went through since the registry last refused one: then it is no reason to wait for longer
    /// than it asks for.
    pub progressed: bool,
    /// Whether blobs may still be fetched: a limit on manifests lets those come whose manifest is here.
    blobs: bool,
}

/// What a gate lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Open,
    /// Everything, but the registry has not answered yet since it was closed.
    Probing,
    /// Nothing new.
    Closed(Closure),
}

/// The gate of one remote; clones are the same one.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    standing: watch::Sender<Standing>,
    state: Mutex<State>,
    /// When the registry last said that it is there. Who doubts it waits for who asks it already.
    seen: tokio::sync::Mutex<Option<Instant>>,
    /// Who holds it is the next that may go, where there is a pace.
    turns: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    closures: u64,
    /// Requests that wait for an answer, or for the next piece of one.
    under_way: usize,
    /// When one of those last got on, or the first of them began.
    moved: Instant,
    /// How long was waited before, while no more came than drips.
    waited: Duration,
    /// What came in that time, in bytes.
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
    /// What it lets through now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        *self.0.standing.borrow()
    }

    /// Follows what it lets through.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    /// Lets everything through again, on trial: it is [`Standing::Probing`] until the first answer comes.
    pub fn probe(&self) {
        self.0.standing.send_replace(Standing::Probing);
    }

    /// Lets everything through again, because it is known that the registry may be asked.
    pub fn reopen(&self) {
        self.0.standing.send_if_modified(|standing| {
            let closed = matches!(standing, Standing::Closed(_));
            if closed {
                *standing = Standing::Open;
            }
            closed
        });
    }

    /// Sets the end of a closure, if it still is the present one.
    pub fn postpone(&self, number: u64, until: Instant) {
        self.0.standing.send_if_modified(|standing| match standing {
            Standing::Closed(closure) if closure.number == number => {
                closure.until = until;
                true
            }
            _ => false,
        });
    }

    /// For how long nothing has moved though an answer is awaited, or how long who asks now waits for a turn; zero
    /// when nothing is awaited.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let state = self.lock();
        let silence =
            if state.under_way == 0 { Duration::ZERO } else { state.waited + state.moved.elapsed() };
        silence.max(state.limits.queue(Instant::now()))
    }

    /// Whether nothing new is let through.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.standing(), Standing::Closed(_))
    }

    /// Lets a request through, or says why not. `at_registry`: it goes to the registry itself, and not to where
    /// that one leads.
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
                    // Whether by HEAD or by GET: what can be seen again has no trouble any more.
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

    /// Something is awaited until the guard is dropped.
    pub(crate) fn under_way(&self) -> UnderWay {
        let mut state = self.lock();
        state.under_way += 1;
        if state.under_way == 1 {
            state.moved = Instant::now();
        }
        drop(state);
        UnderWay(self.clone())
    }

    /// An answer came, or a part of a request went.
    pub(crate) fn moved(&self) {
        self.lock().move_on();
    }

    /// A piece of an answer came. Drips do not count: a registry that sends a byte a second would hold a worker
    /// for ever.
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
            // What was under way when it closed only confirms it.
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

    /// A thing could be had, or is not there: the registry does its work.
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

/// Something that is awaited.
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

/// What a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    gate: Gate,
    /// Method, host and path.
    what: String,
    /// Whether it is about one of the registry's things, and not about the registry itself or a token, which
    /// everything else needs.
    is_thing: bool,
    kind: Kind,
}

impl Asked {
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The rest of an answer did not come.
    pub(crate) async fn fell_silent(&self, connector: &Connector) {
        if let Some(doubt) = self.fails(WaitReason::Unreachable, None) {
            doubt.settle(connector.is_there()).await;
        }
    }

    /// Whether it is known that it fails by itself, while others can be had.
    fn is_own_trouble(&self) -> bool {
        self.is_thing && self.gate.lock().troubles.are_of(&self.what)
    }

    /// It was answered with an error of the server, which is mostly about the one thing. Many of them are not.
    fn is_broken(&self) {
        if self.is_thing && self.gate.lock().troubles.whose(&self.what) == Whose::TheRegistrys {
            self.gate.close(WaitReason::Unavailable, None, false, false);
        } else {
            self.gate.is_there();
        }
    }

    /// It failed in a way in which a whole registry fails. Closes the gate, unless the trouble is, or may be, that
    /// of one thing.
    fn fails(&self, reason: WaitReason, asked: Option<Duration>) -> Option<Doubt> {
        let whose =
            if self.is_thing { self.gate.lock().troubles.whose(&self.what) } else { Whose::TheRegistrys };
        match (whose, asked) {
            (Whose::Its, _) => None,
            (Whose::Unknown, None) => Some(Doubt { gate: self.gate.clone(), reason, since: Instant::now() }),
            // Who says how long to wait means all that is asked.
            (Whose::TheRegistrys, _) | (Whose::Unknown, Some(_)) => {
                let progressed =
                    asked.is_some() && self.gate.lock().limits.refused(self.kind, Instant::now());
                self.gate.close(reason, asked, false, progressed);
                None
            }
        }
    }
}

/// One thing could not be had, and it is not known whether anything else can.
#[derive(Debug)]
#[must_use = "a doubt is to be settled"]
pub(crate) struct Doubt {
    gate: Gate,
    reason: WaitReason,
    since: Instant,
}

impl Doubt {
    /// Asks the registry itself, once for all that doubt it at the same time, and closes the gate if it is away.
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

/// What follows from an answer.
#[derive(Debug)]
#[must_use = "a doubt is to be settled"]
pub(crate) enum Verdict {
    /// It is the answer. A doubt that it raises is to be settled.
    Stands(Option<Doubt>),
    /// The request was one too many, and is to be repeated when it is its turn.
    Repeat,
}

/// A request that was let through.
#[derive(Debug)]
pub(crate) struct Passage {
    under_way: UnderWay,
    asked: Asked,
    /// Whether it goes to the registry itself.
    at_registry: bool,
    sent: Instant,
    is_blob: bool,
    is_head: bool,
    has_body: bool,
}

impl Passage {
    /// A part of the request was sent.
    pub(crate) fn moved(&self) {
        self.under_way.0.moved();
    }

    /// What it is about.
    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The head of an answer came. `repeats`: how often the request was repeated; none: it cannot be sent twice.
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
            // There are registries that fail at every HEAD. A GET confirms it.
            status if server_fails(status) => {
                gate.moved();
                if !self.is_head {
                    self.asked.is_broken();
                }
            }
            // Who is asked for a token first has not been asked for the thing yet.
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

    /// It was answered, and is not one too many.
    fn went(&self, through: bool) {
        let gate = &self.asked.gate;
        gate.lock().limits.answered(self.asked.kind, through, Instant::now());
        gate.moved();
    }

    /// No answer came. A doubt that this raises is to be settled.
    pub(crate) fn failed(self, failure: &Failure) -> Option<Doubt> {
        let reason = WaitReason::Unreachable;
        match failure {
            Failure::UnknownHost | Failure::Refused | Failure::Unreachable(_) if self.at_registry => {
                self.asked.gate.close(reason, None, false, false);
                None
            }
            // Who does not want a body may close the connection instead of saying so.
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
