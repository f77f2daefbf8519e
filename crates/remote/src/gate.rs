//! Whether a registry may be asked now. All that speak to one remote in this process share one gate: the
//! first answer that says "not now", or that does not come, closes it for all of them (semantics 39).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use reqwest::Response;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use crate::answer::retry_after;
use crate::transport::{Call, Payload};
use crate::{Error, Failure};

/// How long a gate stays closed at least, until its owner has decided ([`Gate::postpone`]).
const PROVISIONAL: Duration = Duration::from_secs(5);
/// Requests that failed while others did not are remembered, this many at most.
const TROUBLED: usize = 32;

/// Why a registry is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBecause {
    /// It answered 429: too many requests.
    RateLimited,
    /// It answered 503, or what stands in front of it did not reach it twice in a row.
    Unavailable,
    /// It could not be connected to, or did not answer.
    Unreachable,
}

impl std::fmt::Display for ClosedBecause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RateLimited => "it limits how much may be asked",
            Self::Unavailable => "it is not available",
            Self::Unreachable => "it could not be reached",
        })
    }
}

/// Why and how long a gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closure {
    /// Tells this closure from those before it.
    pub number: u64,
    /// Why.
    pub because: ClosedBecause,
    /// What the registry asked for by `Retry-After`.
    pub asked: Option<Duration>,
    /// When it may be asked again.
    pub until: Instant,
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
}

#[derive(Debug)]
struct State {
    closures: u64,
    /// Requests that wait for an answer, or for the next piece of one.
    under_way: usize,
    /// When one of those last got on, or the first of them began.
    moved: Instant,
    troubled: VecDeque<Troubled>,
    /// How many answers in a row came from a proxy that does not reach its registry.
    relayed: u32,
}

/// A request that failed in a way in which a whole registry fails.
#[derive(Debug)]
struct Troubled {
    what: String,
    /// Whether others were answered since: then it is the request's own trouble.
    others_answered: bool,
}

impl Default for Gate {
    fn default() -> Self {
        let state =
            State { closures: 0, under_way: 0, moved: Instant::now(), troubled: VecDeque::new(), relayed: 0 };
        Self(Arc::new(Inner { standing: watch::Sender::new(Standing::Open), state: Mutex::new(state) }))
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

    /// For how long nothing has moved though an answer is awaited; zero when none is.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let state = self.lock();
        if state.under_way == 0 { Duration::ZERO } else { state.moved.elapsed() }
    }

    /// Lets a request through, or says why not.
    pub(crate) fn admit(&self, call: &Call, url: &Url, host: &str) -> Result<Passage, Error> {
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
                    because: closure.because,
                    seconds: left.as_secs().max(1),
                });
            }
            false
        });
        match refusal {
            Some(error) => Err(error),
            None => Ok(Passage {
                under_way: self.under_way(),
                what: format!("{} {}{}", call.method, host, url.path()),
                is_blob: call.is_blob(),
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

    /// Something came or went.
    pub(crate) fn moved(&self) {
        self.lock().moved = Instant::now();
    }

    /// The rest of an answer did not come.
    pub(crate) fn fell_silent(&self) {
        self.close(ClosedBecause::Unreachable, None, false);
    }

    fn close(&self, because: ClosedBecause, asked: Option<Duration>, blobs: bool) {
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
                *standing = Standing::Closed(Closure { number, because, asked, until, blobs });
                true
            }
        });
    }

    fn answered(&self, what: &str) {
        {
            let mut state = self.lock();
            state.moved = Instant::now();
            state.relayed = 0;
            state.troubled.retain(|troubled| troubled.what != what);
            state.troubled.iter_mut().for_each(|troubled| troubled.others_answered = true);
        }
        self.0.standing.send_if_modified(|standing| {
            let probed = *standing == Standing::Probing;
            if probed {
                *standing = Standing::Open;
            }
            probed
        });
    }

    /// Whether a request that failed before fails again though others are answered; if not, it is kept in mind.
    fn is_its_own_trouble(&self, what: &str) -> bool {
        let mut state = self.lock();
        if let Some(known) = state.troubled.iter_mut().find(|troubled| troubled.what == what) {
            return known.others_answered;
        }
        if state.troubled.len() == TROUBLED {
            state.troubled.pop_front();
        }
        state.troubled.push_back(Troubled { what: what.to_owned(), others_answered: false });
        false
    }

    fn is_relayed_again(&self) -> bool {
        let mut state = self.lock();
        state.relayed = state.relayed.saturating_add(1);
        state.relayed > 1
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is awaited.
#[derive(Debug)]
pub(crate) struct UnderWay(Gate);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
        state.moved = Instant::now();
    }
}

/// A request that was let through.
#[derive(Debug)]
pub(crate) struct Passage {
    under_way: UnderWay,
    /// Method, host and path.
    what: String,
    is_blob: bool,
    has_body: bool,
}

impl Passage {
    fn gate(&self) -> &Gate {
        &self.under_way.0
    }

    /// A part of the request was sent.
    pub(crate) fn moved(&self) {
        self.gate().moved();
    }

    /// The head of an answer came. What comes behind it is watched by the gate, too.
    pub(crate) fn answered(self, response: &mut Response) {
        let gate = self.gate().clone();
        let asked = retry_after(response.headers());
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => gate.close(ClosedBecause::RateLimited, asked, !self.is_blob),
            StatusCode::SERVICE_UNAVAILABLE => {
                if asked.is_some() || !gate.is_its_own_trouble(&self.what) {
                    gate.close(ClosedBecause::Unavailable, asked, false);
                }
            }
            // One of these may be about what was asked for; a second one in a row is not.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                if gate.is_relayed_again() {
                    gate.close(ClosedBecause::Unavailable, asked, false);
                }
            }
            _ => gate.answered(&self.what),
        }
        response.extensions_mut().insert(gate);
    }

    /// No answer came.
    pub(crate) fn failed(self, failure: &Failure) {
        let closes = match failure {
            Failure::UnknownHost | Failure::Refused | Failure::Unreachable(_) => true,
            // Who does not want a body may close the connection instead of saying so.
            Failure::Broken(_) if self.has_body => false,
            Failure::Timeout { .. } | Failure::Broken(_) => !self.gate().is_its_own_trouble(&self.what),
            Failure::Certificate(_) | Failure::NotTls | Failure::NotHttp | Failure::Tls(_) => false,
        };
        if closes {
            self.gate().close(ClosedBecause::Unreachable, None, false);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::Method;

    fn call(path: &str) -> Call {
        let url = Url::parse(&format!("http://registry.example/v2/{path}")).unwrap();
        let mut call = Call::new(Method::GET, url, Vec::new(), "asking".into());
        call.content_addressed = true;
        call
    }

    fn admit(gate: &Gate, path: &str) -> Result<Passage, Error> {
        let call = call(path);
        let url = call.url.clone();
        gate.admit(&call, &url, "registry.example")
    }

    fn answer(gate: &Gate, path: &str, status: u16, retry_after: Option<&str>) {
        let mut answer = http::Response::builder().status(status);
        if let Some(value) = retry_after {
            answer = answer.header("retry-after", value);
        }
        admit(gate, path).unwrap().answered(&mut answer.body("").unwrap().into());
    }

    #[tokio::test]
    async fn semantics_39_a_limit_closes_the_gate_for_the_time_that_was_asked_for() {
        let gate = Gate::default();
        answer(&gate, "a/manifests/1", 429, Some("120"));
        let refused = admit(&gate, "b/manifests/2").unwrap_err();
        assert!(refused.is_waiting() && refused.is_transient(), "{refused}");
        assert!(admit(&gate, "a/blobs/sha256:1").is_ok(), "what is under way may end");
        let Standing::Closed(closure) = gate.standing() else { panic!("it is open") };
        let left = closure.until.duration_since(Instant::now());
        assert!((118..=120).contains(&left.as_secs()), "{left:?}");
        gate.postpone(closure.number, Instant::now());
        answer(&gate, "b/manifests/2", 200, None);
        assert_eq!(gate.standing(), Standing::Open);
    }

    #[tokio::test]
    async fn semantics_39_what_is_closed_is_opened_by_an_answer_alone() {
        let gate = Gate::default();
        admit(&gate, "a/tags/list").unwrap().failed(&Failure::Refused);
        assert!(admit(&gate, "a/blobs/sha256:1").is_err());
        gate.probe();
        assert_eq!(gate.standing(), Standing::Probing);
        answer(&gate, "a/tags/list", 503, None);
        assert!(matches!(gate.standing(), Standing::Closed(_)));
        gate.probe();
        answer(&gate, "a/tags/list", 404, None);
        assert_eq!(gate.standing(), Standing::Open);
    }

    #[tokio::test]
    async fn one_address_that_fails_while_others_are_answered_closes_the_gate_once() {
        let gate = Gate::default();
        answer(&gate, "a/manifests/broken", 503, None);
        gate.reopen();
        answer(&gate, "a/tags/list", 200, None);
        answer(&gate, "a/manifests/broken", 503, None);
        assert_eq!(gate.standing(), Standing::Open);
        answer(&gate, "a/manifests/broken", 503, Some("9"));
        assert!(matches!(gate.standing(), Standing::Closed(_)), "the registry asked for it");
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_reach_its_registry_closes_the_gate_the_second_time() {
        let gate = Gate::default();
        answer(&gate, "a/manifests/1", 502, None);
        answer(&gate, "a/manifests/2", 200, None);
        answer(&gate, "a/manifests/1", 504, None);
        assert_eq!(gate.standing(), Standing::Open);
        answer(&gate, "a/manifests/3", 502, None);
        assert!(matches!(gate.standing(), Standing::Closed(_)));
    }

    #[tokio::test]
    async fn a_registry_is_silent_while_nothing_moves_that_is_awaited() {
        let gate = Gate::default();
        let pass_time = || gate.lock().moved -= Duration::from_secs(3);
        pass_time();
        assert_eq!(gate.silence(), Duration::ZERO);
        let passage = admit(&gate, "a/tags/list").unwrap();
        assert!(gate.silence() < Duration::from_secs(1));
        pass_time();
        assert!(gate.silence() >= Duration::from_secs(3));
        passage.moved();
        assert!(gate.silence() < Duration::from_secs(1));
        pass_time();
        drop(passage);
        assert_eq!(gate.silence(), Duration::ZERO);
    }

    #[tokio::test]
    async fn who_breaks_off_an_upload_is_not_left_alone_for_it() {
        let gate = Gate::default();
        let mut upload = call("a/blobs/uploads/1");
        upload.method = Method::PUT;
        upload.payload = Payload::Bytes("x".into());
        let url = upload.url.clone();
        gate.admit(&upload, &url, "registry.example").unwrap().failed(&Failure::Broken("reset".into()));
        assert_eq!(gate.standing(), Standing::Open);
    }
}
