//! The handle to one registry, and how a request gets the authority that it needs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version};
use longshore_oci::{RemoteName, Scope, ScopeAction};
use reqwest::Response;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use crate::answer::{is_about_token, peeked, read_body, refusal};
use crate::auth::{Auth, Scheme};
use crate::connector::Connector;
use crate::learned::Learned;
use crate::transport::{Answer, Call, Payload, Transport};
use crate::uploads::RequestLimit;
use crate::{Endpoint, Error, Gate, Refusal};

/// How much of the answer to a ping is looked at, in bytes.
const MAX_PING_BODY: usize = 64 * 1024;

/// A registry elsewhere. Clones share connections, tokens and what was learned of it.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    api: Url,
    host: String,
    transport: Transport,
    auth: Auth,
    scheme_asked: OnceCell<()>,
    learned: Learned,
    request_limit: RequestLimit,
}

/// What the registry says to `GET /v2/` without credentials.
#[derive(Debug, Clone)]
pub struct Ping {
    /// The HTTP status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body.
    pub body: Bytes,
    /// From the request to the answer's headers, connecting included.
    pub latency: Duration,
    /// The HTTP version spoken.
    pub http: Version,
    /// The TLS version spoken, such as `TLS 1.3`; none over plain HTTP.
    pub tls: Option<&'static str>,
    /// Where it redirects to, if it does.
    pub redirect: Option<Url>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registry").field(&self.inner.host).finish()
    }
}

impl Registry {
    /// Prepares to speak to an endpoint; nothing is sent yet. Fails on settings of which no client
    /// can be made ([`Error::Ca`], [`Error::Settings`]).
    pub fn connect_to(endpoint: Endpoint) -> Result<Self, Error> {
        Self::build(endpoint, None)
    }

    /// As [`Registry::connect_to`]; what the gate does not let through fails with [`Error::Waits`].
    pub fn behind(endpoint: Endpoint, gate: Gate) -> Result<Self, Error> {
        Self::build(endpoint, Some(gate))
    }

    fn build(endpoint: Endpoint, gate: Option<Gate>) -> Result<Self, Error> {
        let transport = Transport { connector: Arc::new(Connector::new(endpoint.clone())?), gate };
        let inner = Inner {
            api: endpoint.api(),
            host: endpoint.host(),
            auth: Auth::new(&endpoint),
            transport,
            scheme_asked: OnceCell::new(),
            learned: Learned::of(endpoint.quirks),
            request_limit: RequestLimit::of(endpoint.quirks),
            endpoint,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Host and port, as messages name the registry.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// What it was made of.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Whether the registry as a whole is away, as far as is known after an error: other requests would fail in the
    /// same way. Behind a gate that is what the gate found out (semantics 37, 39); without one, every error that
    /// may mean it does.
    pub fn is_away(&self, error: &Error) -> bool {
        match &self.inner.transport.gate {
            Some(gate) => {
                error.is_waiting() || (gate.is_closed() && (error.may_be_away() || error.server_fails()))
            }
            None => error.may_be_away(),
        }
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    /// What was learned of its oddities.
    pub(crate) fn learned(&self) -> &Learned {
        &self.inner.learned
    }

    /// Scheme, host and port where the distribution API is served.
    pub(crate) fn api(&self) -> &Url {
        &self.inner.api
    }

    /// The most that it was seen to take in one request.
    pub(crate) fn request_limit(&self) -> &RequestLimit {
        &self.inner.request_limit
    }

    /// The address of something below `/v2/`.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.inner.api.clone();
        url.set_path(&format!("/v2/{path}"));
        url
    }

    /// An address of a repository, as the registry calls it.
    pub(crate) fn repository_url(&self, repository: &RemoteName, path: &str) -> Url {
        self.url(&format!("{}/{path}", self.inner.endpoint.repository(repository)))
    }

    /// The scope for a repository, as the registry calls it.
    pub(crate) fn scope(&self, repository: &RemoteName, actions: &[ScopeAction]) -> Scope {
        Scope::repository(self.inner.endpoint.repository(repository), actions.iter().copied())
    }

    /// Asks `GET /v2/` without credentials and follows no redirect.
    pub async fn ping(&self) -> Result<Ping, Error> {
        let url = self.url("");
        let doing = "asking whether it is a registry".to_owned();
        let mut call = Call::new(Method::GET, url.clone(), Vec::new(), doing);
        let begun = Instant::now();
        let mut response = self.inner.transport.once(&mut call, url.clone(), None).await?;
        let latency = begun.elapsed();
        let tls = response.extensions().get::<reqwest::tls::TlsInfo>().map(tls_version);
        // A body that is too long or breaks off is no reason to fail here.
        let body = read_body(&mut response, &self.inner.host, &call.doing, MAX_PING_BODY).await;
        Ok(Ping {
            status: response.status(),
            redirect: response
                .status()
                .is_redirection()
                .then(|| crate::transport::location(&url, &response))
                .flatten(),
            headers: response.headers().clone(),
            body: body.unwrap_or_default(),
            latency,
            http: response.version(),
            tls: tls.filter(|_| url.scheme() == "https"),
        })
    }

    /// Makes sure that it is known how the registry wants to be asked, where there are credentials
    /// to send: a registry that shows less to strangers might else answer 404 instead of 401.
    async fn learn(&self) -> Result<(), Error> {
        if self.inner.auth.credentials().is_none() || self.inner.auth.scheme().is_some() {
            return Ok(());
        }
        let learn = || async {
            let ping = self.ping().await?;
            self.inner.auth.learn(ping.status, &ping.headers).map(drop)
        };
        self.inner.scheme_asked.get_or_try_init(learn).await.copied()
    }

    /// Sends a call with the authority that it needs, and gives back whatever is answered but 401.
    pub(crate) async fn send(&self, mut call: Call) -> Result<Response, Error> {
        self.learn().await?;
        let own = crate::transport::same_origin(&call.url, &self.inner.api);
        crate::transport::check_downgrade(&call, &self.inner.api, &call.url)?;
        let (mut renewed, mut asked_again) = (false, false);
        loop {
            let authorization = self.authorization(&call, own).await?;
            let answer = self.inner.transport.follow(&mut call, authorization.clone()).await?;
            let Answer { mut response, redirected } = answer;
            if own && !redirected && authorization.is_some() {
                let says;
                (response, says) = self.says_expired(response, &call.doing).await;
                if says && !renewed && call.payload.can_be_sent() {
                    renewed = true;
                    let (auth, transport) = (&self.inner.auth, &self.inner.transport);
                    auth.renew(transport, response.headers(), &call.scopes, authorization.as_ref()).await?;
                    continue;
                }
                if says {
                    return Err(self.unauthorized(response, &call.doing, true).await);
                }
            }
            let denied = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            if denied && redirected && !asked_again && call.payload.can_be_sent() {
                // The address it was sent to has run out; the registry gives a new one.
                asked_again = true;
                continue;
            }
            if response.status() != StatusCode::UNAUTHORIZED || !own || redirected {
                return Ok(response);
            }
            if !renewed && call.payload.can_be_sent() {
                renewed = true;
                let auth = &self.inner.auth;
                let renewal = auth.renew(
                    &self.inner.transport,
                    response.headers(),
                    &call.scopes,
                    authorization.as_ref(),
                );
                if renewal.await? {
                    continue;
                }
            }
            return Err(self.unauthorized(response, &call.doing, authorization.is_some()).await);
        }
    }

    /// Whether an answer is about a token that has ended, though it is no 401: some registries say so with 400 or
    /// 403.
    async fn says_expired(&self, response: Response, doing: &str) -> (Response, bool) {
        let may = matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN);
        if !may || !matches!(self.inner.auth.scheme(), Some(Scheme::Bearer { .. })) {
            return (response, false);
        }
        let (response, body) = peeked(response, self.host(), doing).await;
        let says = is_about_token(response.headers(), &body);
        (response, says)
    }

    async fn authorization(&self, call: &Call, own: bool) -> Result<Option<HeaderValue>, Error> {
        if own { self.inner.auth.header(&self.inner.transport, &call.scopes).await } else { Ok(None) }
    }

    async fn unauthorized(&self, response: Response, doing: &str, authorized: bool) -> Error {
        let host = self.host().to_owned();
        let message = refusal(response, &host, doing).await.words();
        match (self.inner.auth.scheme(), self.inner.auth.credentials()) {
            (Some(Scheme::Basic), Some(credentials)) if authorized => {
                Error::WrongCredentials { host, username: credentials.username.clone(), message }
            }
            (_, credentials) => Error::Unauthorized {
                host,
                doing: doing.to_owned(),
                anonymous: credentials.is_none(),
                message,
            },
        }
    }

    /// Sends a call and makes an error of every answer but those with an `expected` status.
    pub(crate) async fn expect(&self, call: Call, expected: &[StatusCode]) -> Result<Response, Error> {
        let doing = call.doing.clone();
        let response = self.send(call).await?;
        if expected.contains(&response.status()) {
            return Ok(response);
        }
        Err(self.refused(response, &doing).await)
    }

    /// An error answer as an error.
    pub(crate) async fn refused(&self, response: Response, doing: &str) -> Error {
        Error::Refused(Box::new(self.refusal_of(response, doing).await))
    }

    /// An error answer in the registry's words.
    pub(crate) async fn refusal_of(&self, response: Response, doing: &str) -> Refusal {
        refusal(response, self.host(), doing).await
    }

    pub(crate) fn bad_answer(&self, doing: &str, what: impl Into<String>) -> Error {
        Error::BadAnswer { host: self.host().to_owned(), doing: doing.to_owned(), what: what.into() }
    }
}

impl Call {
    pub(crate) fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// It is for the origin that it is sent to: a redirect elsewhere is an error.
    pub(crate) fn stays(mut self) -> Self {
        self.stays = true;
        self
    }

    /// The answer is checked against a digest.
    pub(crate) fn content_addressed(mut self, yes: bool) -> Self {
        self.content_addressed = yes;
        self
    }
}

fn tls_version(info: &reqwest::tls::TlsInfo) -> &'static str {
    match info.version() {
        Some(version) if version == reqwest::tls::Version::TLS_1_2 => "TLS 1.2",
        Some(version) if version == reqwest::tls::Version::TLS_1_3 => "TLS 1.3",
        _ => "TLS",
    }
}
