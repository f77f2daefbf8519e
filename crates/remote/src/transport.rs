//! One HTTP request and its response: address check, timeouts, redirects. Authorization is up to `client`.

use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use longshore_oci::{Scope, ScopeAction};
use reqwest::{Body, Response};
use tokio::time::Instant;
use url::Url;

use crate::answer::{address, dated};
use crate::connector::Connector;
use crate::endpoint::host_of;
use crate::failure::{Cause, cause_of};
use crate::gate::{Asked, Doubt, Repeats, Verdict};
use crate::{Error, Failure, Gate, Patience};

/// How often the progress of an upload is checked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many [`Patience::idle`] times a registry may take to answer when an upload is all sent: it may have
/// to hash and copy many gigabytes first.
const IDLES_AFTER_UPLOAD: u32 = 5;
/// The most redirects that one request follows.
const MAX_REDIRECTS: usize = 5;

type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A request to a registry.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// The scopes that a token needs.
    pub(crate) scopes: Vec<Scope>,
    /// The response is checked against a digest, so it may arrive over any connection.
    pub(crate) content_addressed: bool,
    /// Redirects to other origins are errors.
    pub(crate) stays: bool,
    /// What is being done, as a message begins: `listing the tags of dev/web`.
    pub(crate) doing: String,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url, scopes: Vec<Scope>, doing: String) -> Self {
        let headers = HeaderMap::new();
        let payload = Payload::Empty;
        Self { method, url, headers, payload, scopes, content_addressed: false, stays: false, doing }
    }

    /// Whether it changes something, or is part of an upload: such a call goes nowhere in a private network
    /// but to the registry itself.
    pub(crate) fn writes(&self) -> bool {
        let for_push = |scope: &Scope| matches!(scope, Scope::Repository { actions, .. } if actions.contains(&ScopeAction::Push));
        !matches!(self.method, Method::GET | Method::HEAD) || self.scopes.iter().any(for_push)
    }
}

impl Call {
    /// How long the beginning of its answer is waited for. A blob may have to be brought from afar, and what is
    /// sent has to be stored; anything else is a question.
    fn patience(&self, patience: Patience) -> Duration {
        let asks = matches!(self.method, Method::GET | Method::HEAD);
        if asks && !self.is_blob() { patience.answer } else { patience.idle }
    }

    /// Whether it asks for a blob.
    pub(crate) fn is_blob(&self) -> bool {
        let asks = matches!(self.method, Method::GET | Method::HEAD);
        asks && self.content_addressed && self.url.path().contains("/blobs/")
    }
}

/// The body of a request.
pub(crate) enum Payload {
    Empty,
    Bytes(Bytes),
    /// Can be sent once; `None` afterwards.
    Stream(Option<Body>, Arc<Progress>),
}

impl Payload {
    /// A stream of `size` bytes whose progress is watched and whose own error is kept apart from
    /// the network's.
    pub(crate) fn stream<S, E>(source: S, size: u64) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<SourceError>,
    {
        let progress = Arc::new(Progress { sent: AtomicU64::new(0), size, error: Mutex::default() });
        let (watch, end) = (progress.clone(), progress.clone());
        let pieces = source.map(move |piece| match piece {
            Ok(bytes) => {
                let before = watch.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let too_many = before + bytes.len() as u64 > size;
                if too_many {
                    Err(watch.fail(format!("it has more than {size} bytes").into()))
                } else {
                    Ok(bytes)
                }
            }
            Err(error) => Err(watch.fail(error.into())),
        });
        let ending = futures::stream::once(async move {
            let sent = end.sent.load(Ordering::Relaxed);
            if sent == size {
                return Ok(Bytes::new());
            }
            Err(end.fail(format!("it ended after {sent} of {size} bytes").into()))
        });
        Self::Stream(Some(Body::wrap_stream(pieces.chain(ending))), progress)
    }

    fn take(&mut self) -> Option<Body> {
        match self {
            Payload::Empty => Some(Body::default()),
            Payload::Bytes(bytes) => Some(Body::from(bytes.clone())),
            Payload::Stream(body, _) => body.take(),
        }
    }

    pub(crate) fn can_be_sent(&self) -> bool {
        !matches!(self, Payload::Stream(None, _))
    }
}

/// How far an upload's stream has come.
pub(crate) struct Progress {
    /// Bytes handed over.
    sent: AtomicU64,
    /// Bytes there are.
    size: u64,
    error: Mutex<Option<SourceError>>,
}

impl Progress {
    /// Keeps the stream's error, and gives back what the HTTP client is told.
    fn fail(&self, error: SourceError) -> std::io::Error {
        *self.error.lock() = Some(error);
        std::io::Error::other("the content to send could not be read")
    }

    fn failure(&self) -> Option<SourceError> {
        self.error.lock().take()
    }
}

/// A response and its URL.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) redirected: bool,
}

/// Sends requests to one endpoint.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) connector: Arc<Connector>,
    /// What is asked of a saved remote goes through its gate; Connect does not.
    pub(crate) gate: Option<Gate>,
}

impl Transport {
    /// One request, redirects not followed. One that is refused for being one too many is repeated when it is its turn.
    pub(crate) async fn once(
        &self,
        call: &mut Call,
        url: Url,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, Error> {
        let mut repeats = Repeats::default();
        loop {
            if let Some(response) = self.attempt(call, &url, authorization.clone(), &mut repeats).await? {
                return Ok(response);
            }
        }
    }

    /// `None`: it is to be repeated.
    async fn attempt(
        &self,
        call: &mut Call,
        url: &Url,
        authorization: Option<HeaderValue>,
        repeats: &mut Repeats,
    ) -> Result<Option<Response>, Error> {
        let host = host_of(url);
        // The pace is the registry's and its token service's, not that of a store that it leads to.
        if let Some(gate) = self.gate.as_ref().filter(|_| same_origin(url, &call.url)) {
            gate.turn().await;
        }
        let request = self.connector.request(call.method.clone(), url.clone(), call.writes()).await?;
        let passage = match &self.gate {
            Some(gate) => Some(gate.admit(call, &host, self.connector.is_registry(url))?),
            None => None,
        };
        let body = call.payload.take().ok_or_else(|| Error::Network {
            host: host.clone(),
            doing: call.doing.clone(),
            failure: Failure::Broken("the upload was interrupted and must begin anew".into()),
        })?;
        let mut request = request.headers(call.headers.clone()).body(body);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if matches!(call.payload, Payload::Empty) && matches!(call.method, Method::POST | Method::PUT) {
            // Some proxies refuse these methods without a length.
            request = request.header(CONTENT_LENGTH, 0);
        }
        let progress = match &call.payload {
            Payload::Stream(_, progress) => Some(progress.clone()),
            _ => None,
        };
        let patience = call.patience(self.connector.patience());
        let moved = || {
            if let Some(passage) = &passage {
                passage.moved();
            }
        };
        let outcome = watched(request.send(), progress.as_deref(), patience, moved).await;
        if let Some(source) = progress.and_then(|progress| progress.failure()) {
            return Err(Error::Source { host, doing: call.doing.clone(), source });
        }
        let error = match outcome {
            Some(Ok(mut response)) => {
                if let Some(now) = self.connector.now() {
                    dated(response.headers_mut(), now);
                }
                if let Some(passage) = passage {
                    let watched =
                        Watched { asked: passage.asked().clone(), connector: self.connector.clone() };
                    response.extensions_mut().insert(watched);
                    let repeats = call.payload.can_be_sent().then_some(repeats);
                    match passage.answered(&response, repeats) {
                        Verdict::Stands(doubt) => self.settle(doubt).await,
                        Verdict::Repeat => return Ok(None),
                    }
                }
                return Ok(Some(response));
            }
            Some(Err(error)) => network_error(&error, &host, &call.doing),
            None => {
                let failure = Failure::Timeout { seconds: patience.as_secs() };
                Error::Network { host, doing: call.doing.clone(), failure }
            }
        };
        if let (Some(passage), Error::Network { failure, .. }) = (passage, &error) {
            self.settle(passage.failed(failure)).await;
        }
        Err(error)
    }

    async fn settle(&self, doubt: Option<Doubt>) {
        if let Some(doubt) = doubt {
            doubt.settle(self.connector.is_there()).await;
        }
    }

    /// A request and what it is redirected to. The authorization goes to the first origin alone.
    pub(crate) async fn follow(
        &self,
        call: &mut Call,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, Error> {
        let mut url = call.url.clone();
        for hop in 0..=MAX_REDIRECTS {
            let known = same_origin(&url, &call.url);
            let response = self.once(call, url.clone(), authorization.clone().filter(|_| known)).await?;
            let Some(next) = redirect_target(call, &url, &response)? else {
                return Ok(Answer { response, redirected: hop > 0 && !known });
            };
            tracing::debug!(from = %host_of(&url), to = %host_of(&next), "redirected");
            url = next;
        }
        Err(bad_answer(call, &url, format!("more than {MAX_REDIRECTS} redirects")))
    }
}

/// Goes with an answer that is still to be read: whom to tell when the rest of it does not come.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    asked: Asked,
    connector: Arc<Connector>,
}

impl Watched {
    pub(crate) fn gate(&self) -> &Gate {
        self.asked.gate()
    }

    /// How long the next piece is waited for.
    pub(crate) fn patience(&self) -> Patience {
        self.connector.patience()
    }

    /// The rest did not arrive.
    pub(crate) async fn fell_silent(&self) {
        self.asked.fell_silent(&self.connector).await;
    }
}

/// Waits for the answer as long as something moves. `None`: nothing did.
async fn watched<F: Future>(
    request: F,
    progress: Option<&Progress>,
    limit: Duration,
    moved: impl Fn(),
) -> Option<F::Output> {
    let mut request: Pin<Box<F>> = Box::pin(request);
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        if let Ok(outcome) = tokio::time::timeout(limit.min(LOOK_EVERY), &mut request).await {
            return Some(outcome);
        }
        let sent = progress.map_or(0, |progress| progress.sent.load(Ordering::Relaxed));
        if sent != seen {
            (seen, since) = (sent, Instant::now());
            moved();
        }
        let all_sent = progress.is_some_and(|progress| sent >= progress.size);
        let patience = if all_sent { IDLES_AFTER_UPLOAD } else { 1 };
        if since.elapsed() >= limit * patience {
            return None;
        }
    }
}

/// Where a redirect leads, if it is followed: anywhere that may be reached to read, and nowhere but within
/// the same origin to write or with what is for this origin alone.
fn redirect_target(call: &Call, from: &Url, response: &Response) -> Result<Option<Url>, Error> {
    let reads = !call.writes();
    let keeps_method = match response.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => reads,
        _ => false,
    };
    if !keeps_method || !call.payload.can_be_sent() {
        return Ok(None);
    }
    let Some(target) = location(from, response) else {
        return Err(bad_answer(call, from, "a redirect to nowhere".into()));
    };
    if !matches!(target.scheme(), "http" | "https") {
        return Err(bad_answer(call, from, format!("a redirect to {}:", target.scheme())));
    }
    if (!reads || call.stays) && !same_origin(from, &target) {
        let what = format!("a redirect of a {} to {}, which is not followed", call.method, host_of(&target));
        return Err(bad_answer(call, from, what));
    }
    check_downgrade(call, from, &target)?;
    Ok(Some(target))
}

/// What an https address leads to is reached by https as well, except for reading what is checked against its
/// digest.
pub(crate) fn check_downgrade(call: &Call, from: &Url, to: &Url) -> Result<(), Error> {
    let reads = !call.writes();
    if from.scheme() != "https" || to.scheme() == "https" || (reads && call.content_addressed) {
        return Ok(());
    }
    let what = format!(
        "that what is at https goes on at {}://{}, where anybody could change it",
        to.scheme(),
        host_of(to)
    );
    Err(bad_answer(call, from, what))
}

/// The Location of an answer, made absolute.
pub(crate) fn location(from: &Url, response: &Response) -> Option<Url> {
    from.join(&address(response.headers().get(LOCATION)?)).ok()
}

pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

pub(crate) fn bad_answer(call: &Call, url: &Url, what: String) -> Error {
    Error::BadAnswer { host: host_of(url), doing: call.doing.clone(), what }
}

/// Converts an error of the HTTP client.
pub(crate) fn network_error(error: &reqwest::Error, host: &str, doing: &str) -> Error {
    match cause_of(error) {
        Cause::Refused(refused) => Error::AddressRefused(refused),
        Cause::Failure(failure) => Error::Network { host: host.to_owned(), doing: doing.to_owned(), failure },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_on_which_nothing_moves_is_given_up() {
        let limit = Duration::from_millis(5);
        assert_eq!(watched(std::future::pending::<()>(), None, limit, || {}).await, None);
        assert_eq!(watched(std::future::ready(7), None, limit, || {}).await, Some(7));
    }

    #[tokio::test]
    async fn a_registry_has_longer_to_answer_when_all_is_sent() {
        let limit = Duration::from_millis(5);
        let all = Progress { sent: AtomicU64::new(9), size: 9, error: Mutex::default() };
        let begun = std::time::Instant::now();
        assert_eq!(watched(std::future::pending::<()>(), Some(&all), limit, || {}).await, None);
        assert!(begun.elapsed() >= limit * IDLES_AFTER_UPLOAD);
    }
}
