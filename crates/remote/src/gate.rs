//! Whether a registry may be asked now. All that speak to one remote in this process share one gate. A limit
//! closes it for all of them, and so does a registry that is away (semantics 39). An error about one thing that
//! was asked for leaves it open: before it closes for one of those, the registry itself is asked (semantics 37).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use reqwest::Response;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::retry_after;
use crate::connector::Connector;
use crate::error::asks_to_wait;
use crate::transport::{Call, Payload};
use crate::{Error, Failure};

/// So many bytes of an answer are a move; a registry that sends fewer in a while is as good as silent.
const A_MOVE: usize = 4096;
/// How long a gate stays closed at least, until its owner has decided ([`Gate::postpone`]).
const PROVISIONAL: Duration = Duration::from_secs(5);
/// Things that could not be had are remembered, this many at most.
const TROUBLED: usize = 256;
/// So many different things in a row that cannot be had are the registry's trouble, though it says that it is
/// there: what stands in front of it may say so for it.
const MANY: usize = 4;

/// Why a registry is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBecause {
    /// It answered 429: too many requests.
    RateLimited,
    /// It, or what stands in front of it, answered 502, 503 or 504.
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
    /// When the registry last said that it is there. Who doubts it waits for who asks it already.
    seen: tokio::sync::Mutex<Option<Instant>>,
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
    troubled: VecDeque<Troubled>,
}

impl State {
    fn move_on(&mut self) {
        (self.moved, self.waited, self.came) = (Instant::now(), Duration::ZERO, 0);
    }
}

/// A thing that could not be had, in a way in which a whole registry fails.
#[derive(Debug)]
struct Troubled {
    what: String,
    /// Whether others were had since: then the trouble is the thing's own.
    others_answered: bool,
}

/// Whose trouble it is that a thing cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Its own: others could be had since it failed before.
    Its,
    /// The registry's: it is one of many.
    TheRegistrys,
    /// The registry itself can tell.
    Unknown,
}

impl Default for Gate {
    fn default() -> Self {
        let state = State {
            closures: 0,
            under_way: 0,
            moved: Instant::now(),
            waited: Duration::ZERO,
            came: 0,
            troubled: VecDeque::new(),
        };
        let (standing, seen) = (watch::Sender::new(Standing::Open), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { standing, state: Mutex::new(state), seen }))
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
        if state.under_way == 0 { Duration::ZERO } else { state.waited + state.moved.elapsed() }
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
                asked: Asked {
                    gate: self.clone(),
                    what: format!(
                        "{} {}{}",
                        call.method,
                        call.url.host_str().unwrap_or(host),
                        call.url.path()
                    ),
                    is_thing: !call.scopes.is_empty(),
                },
                at_registry,
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

    /// A thing could be had, or is not there: the registry does its work.
    fn answered(&self, what: &str) {
        {
            let mut state = self.lock();
            state.troubled.retain(|troubled| troubled.what != what);
            state.troubled.iter_mut().for_each(|troubled| troubled.others_answered = true);
        }
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

    /// Keeps in mind that a thing could not be had, and says whose trouble that is.
    fn whose_trouble(&self, what: &str) -> Whose {
        let mut state = self.lock();
        match state.troubled.iter().find(|troubled| troubled.what == what) {
            Some(known) if known.others_answered => return Whose::Its,
            Some(_) => {}
            None => {
                if state.troubled.len() == TROUBLED {
                    state.troubled.pop_front();
                }
                state.troubled.push_back(Troubled { what: what.to_owned(), others_answered: false });
            }
        }
        let in_a_row = state.troubled.iter().filter(|troubled| !troubled.others_answered).count();
        if in_a_row >= MANY { Whose::TheRegistrys } else { Whose::Unknown }
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
}

impl Asked {
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The rest of an answer did not come.
    pub(crate) async fn fell_silent(&self, connector: &Connector) {
        if let Some(doubt) = self.fails(ClosedBecause::Unreachable, None) {
            doubt.settle(connector.is_there()).await;
        }
    }

    /// It failed in a way in which a whole registry fails. Closes the gate, unless the trouble is, or may be, that
    /// of one thing.
    fn fails(&self, because: ClosedBecause, asked: Option<Duration>) -> Option<Doubt> {
        let whose = if self.is_thing { self.gate.whose_trouble(&self.what) } else { Whose::TheRegistrys };
        match (whose, asked) {
            (Whose::Its, _) => None,
            (Whose::Unknown, None) => Some(Doubt { gate: self.gate.clone(), because, since: Instant::now() }),
            // Who says how long to wait means all that is asked.
            (Whose::TheRegistrys, _) | (Whose::Unknown, Some(_)) => {
                self.gate.close(because, asked, false);
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
    because: ClosedBecause,
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
            self.gate.close(self.because, None, false);
        }
    }
}

/// A request that was let through.
#[derive(Debug)]
pub(crate) struct Passage {
    under_way: UnderWay,
    asked: Asked,
    /// Whether it goes to the registry itself.
    at_registry: bool,
    is_blob: bool,
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

    /// The head of an answer came. A doubt that it raises is to be settled.
    pub(crate) fn answered(self, response: &Response) -> Option<Doubt> {
        let (gate, asked) = (&self.asked.gate, retry_after(response.headers()));
        match response.status() {
            status if asks_to_wait(status, asked) => {
                gate.close(ClosedBecause::RateLimited, asked, !self.is_blob)
            }
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                return self.asked.fails(ClosedBecause::Unavailable, asked);
            }
            // Who is asked for a token first has not been asked for the thing yet.
            StatusCode::UNAUTHORIZED => gate.moved(),
            _ if self.asked.is_thing => gate.answered(&self.asked.what),
            _ => gate.moved(),
        }
        None
    }

    /// No answer came. A doubt that this raises is to be settled.
    pub(crate) fn failed(self, failure: &Failure) -> Option<Doubt> {
        let because = ClosedBecause::Unreachable;
        match failure {
            Failure::UnknownHost | Failure::Refused | Failure::Unreachable(_) if self.at_registry => {
                self.asked.gate.close(because, None, false);
                None
            }
            // Who does not want a body may close the connection instead of saying so.
            Failure::Broken(_) if self.has_body => None,
            Failure::UnknownHost
            | Failure::Refused
            | Failure::Unreachable(_)
            | Failure::Timeout { .. }
            | Failure::TooSlow { .. }
            | Failure::Broken(_) => self.asked.fails(because, None),
            Failure::Certificate(_) | Failure::NotTls | Failure::NotHttp | Failure::Tls(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::Method;
    use longshore_oci::Scope;
    use url::Url;

    fn call(path: &str) -> Call {
        let url = Url::parse(&format!("http://registry.example/v2/{path}")).unwrap();
        let scopes = if path.is_empty() { Vec::new() } else { vec![Scope::Catalog] };
        let mut call = Call::new(Method::GET, url, scopes, "asking".into());
        call.content_addressed = true;
        call
    }

    fn admit(gate: &Gate, path: &str) -> Result<Passage, Error> {
        gate.admit(&call(path), "registry.example", true)
    }

    fn doubt(gate: &Gate, path: &str, status: u16, retry_after: Option<&str>) -> Option<Doubt> {
        let mut answer = http::Response::builder().status(status);
        if let Some(value) = retry_after {
            answer = answer.header("retry-after", value);
        }
        admit(gate, path).unwrap().answered(&answer.body("").unwrap().into())
    }

    /// An answer at a registry that says, when it is asked, that it is there.
    async fn answer(gate: &Gate, path: &str, status: u16, retry_after: Option<&str>) {
        if let Some(doubt) = doubt(gate, path, status, retry_after) {
            doubt.settle(std::future::ready(true)).await;
        }
    }

    #[tokio::test]
    async fn semantics_39_a_limit_closes_the_gate_for_the_time_that_was_asked_for() {
        let gate = Gate::default();
        answer(&gate, "a/manifests/1", 429, Some("120")).await;
        let refused = admit(&gate, "b/manifests/2").unwrap_err();
        assert!(refused.is_waiting() && refused.is_transient(), "{refused}");
        assert!(admit(&gate, "a/blobs/sha256:1").is_ok(), "what is under way may end");
        let Standing::Closed(closure) = gate.standing() else { panic!("it is open") };
        let left = closure.until.duration_since(Instant::now());
        assert!((118..=120).contains(&left.as_secs()), "{left:?}");
        gate.postpone(closure.number, Instant::now());
        answer(&gate, "b/manifests/2", 200, None).await;
        assert_eq!(gate.standing(), Standing::Open);
    }

    #[tokio::test]
    async fn semantics_39_what_is_closed_is_opened_by_an_answer_alone() {
        let gate = Gate::default();
        assert!(admit(&gate, "a/tags/list").unwrap().failed(&Failure::Refused).is_none());
        assert!(admit(&gate, "a/blobs/sha256:1").is_err());
        gate.probe();
        assert_eq!(gate.standing(), Standing::Probing);
        doubt(&gate, "a/tags/list", 503, None).unwrap().settle(std::future::ready(false)).await;
        assert!(gate.is_closed());
        gate.probe();
        answer(&gate, "a/tags/list", 401, None).await;
        assert_eq!(gate.standing(), Standing::Probing, "a token comes first");
        answer(&gate, "a/tags/list", 404, None).await;
        assert_eq!(gate.standing(), Standing::Open);
    }

    #[tokio::test]
    async fn semantics_37_one_thing_that_cannot_be_had_closes_nothing_while_the_registry_is_there() {
        let gate = Gate::default();
        for status in [502, 503, 504] {
            answer(&gate, "a/manifests/broken", status, None).await;
            assert_eq!(gate.standing(), Standing::Open, "{status}");
        }
        let hung = admit(&gate, "a/manifests/hung").unwrap().failed(&Failure::Timeout { seconds: 30 });
        hung.unwrap().settle(std::future::ready(true)).await;
        assert_eq!(gate.standing(), Standing::Open);
        answer(&gate, "a/manifests/good", 200, None).await;
        // It is known by now whose trouble it is, and the registry is not asked again.
        assert!(doubt(&gate, "a/manifests/broken", 503, None).is_none());
        assert!(doubt(&gate, "a/manifests/broken", 503, Some("9")).is_none());
        assert_eq!(gate.standing(), Standing::Open);
    }

    #[tokio::test]
    async fn semantics_39_a_registry_that_is_away_when_it_is_asked_closes_the_gate_once_for_all_who_doubt_it()
    {
        let gate = Gate::default();
        let one = doubt(&gate, "a/manifests/1", 502, None).unwrap();
        let two = doubt(&gate, "a/manifests/2", 502, None).unwrap();
        one.settle(std::future::ready(false)).await;
        assert!(gate.is_closed());
        two.settle(async { panic!("it was asked twice") }).await;

        let gate = Gate::default();
        let one = doubt(&gate, "a/manifests/1", 502, None).unwrap();
        let two = doubt(&gate, "a/manifests/2", 502, None).unwrap();
        one.settle(std::future::ready(true)).await;
        two.settle(async { panic!("it was asked twice") }).await;
        assert_eq!(gate.standing(), Standing::Open);
    }

    #[tokio::test]
    async fn semantics_39_many_things_in_a_row_that_cannot_be_had_close_the_gate() {
        let gate = Gate::default();
        for number in 1..MANY {
            answer(&gate, &format!("a/manifests/{number}"), 503, None).await;
            assert_eq!(gate.standing(), Standing::Open);
        }
        answer(&gate, "a/manifests/last", 503, None).await;
        assert!(gate.is_closed(), "though it says that it is there");
        gate.probe();
        assert!(doubt(&gate, "a/manifests/1", 503, None).is_none());
        assert!(gate.is_closed(), "one request is enough to see that it still is away");
        gate.probe();
        answer(&gate, "a/tags/list", 200, None).await;
        answer(&gate, "a/manifests/1", 503, None).await;
        assert_eq!(gate.standing(), Standing::Open);
    }

    #[tokio::test]
    async fn semantics_39_who_says_how_long_to_wait_is_believed_the_first_time() {
        let gate = Gate::default();
        answer(&gate, "a/manifests/1", 503, Some("9")).await;
        assert!(gate.is_closed());
    }

    #[tokio::test]
    async fn semantics_39_what_everything_needs_closes_the_gate_at_once() {
        for status in [502, 503, 504] {
            let gate = Gate::default();
            answer(&gate, "", status, None).await;
            assert!(gate.is_closed(), "{status}");
        }
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
    async fn semantics_39_a_403_that_says_when_to_come_back_is_a_limit() {
        let gate = Gate::default();
        answer(&gate, "a/manifests/1", 403, None).await;
        assert!(!gate.is_closed());
        answer(&gate, "a/manifests/1", 403, Some("7")).await;
        assert!(gate.is_closed());
    }

    #[tokio::test]
    async fn a_registry_that_drips_is_silent_too() {
        let gate = Gate::default();
        for _ in 0..5 {
            let waits = gate.under_way();
            gate.lock().moved -= Duration::from_secs(1);
            gate.came(1);
            drop(waits);
        }
        let waits = gate.under_way();
        assert!(gate.silence() >= Duration::from_secs(5));
        gate.came(A_MOVE);
        assert!(gate.silence() < Duration::from_secs(1));
        drop(waits);
        assert_eq!(gate.silence(), Duration::ZERO, "nothing is awaited");
    }

    #[tokio::test]
    async fn who_breaks_off_an_upload_is_not_left_alone_for_it() {
        let gate = Gate::default();
        let mut upload = call("a/blobs/uploads/1");
        upload.method = Method::PUT;
        upload.payload = Payload::Bytes("x".into());
        let passage = gate.admit(&upload, "registry.example", true).unwrap();
        assert!(passage.failed(&Failure::Broken("reset".into())).is_none());
        assert_eq!(gate.standing(), Standing::Open);
    }
}
