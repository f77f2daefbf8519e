//! A minimal registry: it knows one user, lists two tags, starts uploads, and records every credential that was sent to
//! it.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

pub(crate) const ROBOT: &str = "robot";
pub(crate) const SECRET: &str = "s3cret-of-the-robot";

pub(crate) struct Registry {
    pub(crate) url: String,
    shown: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shown));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, shown, server }
    }

    /// Whether the robot's secret was ever sent to this registry.
    pub(crate) fn was_shown_the_secret(&self) -> bool {
        self.shown.lock().unwrap().contains(&basic(ROBOT, SECRET))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn answer(
    State(shown): State<Arc<Mutex<Vec<String>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let given = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let known = given.as_deref() == Some(&basic(ROBOT, SECRET));
    shown.lock().unwrap().extend(given);
    let (path, plain) =
        (uri.path(), Response::builder().header("Docker-Distribution-Api-Version", "registry/2.0"));
    let json = |status: StatusCode, body: &str| {
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
        response.body(Body::from(body.to_owned())).unwrap()
    };
    match (&method, path) {
        _ if !known => plain
            .status(StatusCode::UNAUTHORIZED)
            .header(header::WWW_AUTHENTICATE, "Basic realm=\"scripted\"")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#))
            .unwrap(),
        (_, "/v2/") => plain.header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap(),
        (&Method::POST, path) if path.ends_with("/blobs/uploads/") => plain
            .status(StatusCode::ACCEPTED)
            .header(header::LOCATION, format!("{path}1"))
            .header("Range", "0-0")
            .body(Body::empty())
            .unwrap(),
        (&Method::DELETE, _) => plain.status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap(),
        (_, path) if path.ends_with("/tags/list") => {
            json(StatusCode::OK, r#"{"name":"there/app","tags":["1.0","2.0"]}"#)
        }
        _ => json(StatusCode::NOT_FOUND, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no"}]}"#),
    }
}
