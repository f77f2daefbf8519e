//! A registry made of closures: each request is answered by the first rule that fits, and noted.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method};
use longshore_model::RemoteKind;
use longshore_oci::{Reference, RemoteName};
use longshore_remote::{Credentials, Endpoint, Registry};
use url::Url;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// `GET /v2/`, for comparing.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

type Handler = Arc<dyn Fn(&Seen) -> Response + Send + Sync>;

#[derive(Clone)]
struct Shared {
    handler: Handler,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub(crate) struct Fake {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap_or_default(),
    };
    let response = (shared.handler)(&seen);
    shared.seen.lock().unwrap().push(seen);
    response
}

/// The router of a fake, for servers that listen otherwise.
pub(crate) fn router(handler: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Router {
    let shared = Shared { handler: Arc::new(handler), seen: Arc::default() };
    Router::new().fallback(handle).with_state(shared)
}

impl Fake {
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        Self::with_own_address(|_| handler).await
    }

    /// For answers that name the server's own address.
    pub(crate) async fn with_own_address<H>(make: impl FnOnce(Url) -> H) -> Self
    where
        H: Fn(&Seen) -> Response + Send + Sync + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let shared = Shared { handler: Arc::new(make(url.clone())), seen: seen.clone() };
        let app = Router::new().fallback(handle).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.url.clone(), RemoteKind::Other)
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry::connect_to(self.endpoint()).unwrap()
    }

    pub(crate) fn registry_as(&self, username: &str, password: &str) -> Registry {
        Registry::connect_to(signed_in(self.endpoint(), username, password)).unwrap()
    }
}

pub(crate) fn signed_in(mut endpoint: Endpoint, username: &str, password: &str) -> Endpoint {
    endpoint.credentials =
        Some(Credentials { username: username.into(), secret: password.to_owned().into() });
    endpoint
}

/// An answer from a status, headers and a body.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

pub(crate) fn ok_json(body: &str) -> Response {
    answer(200, &[("content-type", "application/json")], body.to_owned())
}

pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    answer(status, &[("content-type", "application/json")], body)
}

pub(crate) fn repo() -> RemoteName {
    "dev/web".parse().unwrap()
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// `Basic` with these credentials.
pub(crate) fn basic(username: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {pair}")
}
