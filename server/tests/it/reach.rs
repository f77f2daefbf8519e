//! Which addresses the server connects to for users, and which responses it shows them (semantics 44). `Inner` is a
//! local service that nobody may reach through Longshore; it records all requests.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use longshore_testkit::{DockerRegistry, Longshore, Rest, corpus, eventually};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{SOON, longshore, longshore_for_everybody, remote, repositories, user, with};

/// A server that responds with `answer`, and records the method and path of each request.
struct Inner {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Inner {
    async fn start(answer: impl Fn(&str, &str) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = seen.clone();
        let app = Router::new().fallback(move |request: Request| {
            let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
            noted.lock().expect("whole").push(format!("{method} {path}"));
            let answer = answer.clone();
            async move { answer(&method, &path) }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { port, seen }
    }

    /// A service whose responses nobody outside should read.
    async fn with_secrets() -> Self {
        Self::start(|_, _| ([("content-type", "text/plain")], "inner words").into_response()).await
    }

    /// A registry that begins every upload at `place`.
    async fn with_uploads_at(place: String) -> Self {
        Self::start(move |method, path| match (method, path) {
            ("POST", _) => (StatusCode::ACCEPTED, [("location", place.clone())]).into_response(),
            (_, "/v2/") => ([("docker-distribution-api-version", "registry/2.0")], "{}").into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Several forms of its URL.
    fn urls(&self) -> Vec<String> {
        let hosts = [
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:0:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b:1::127.0.0.1]",
            "[2002:7f00:1::]",
            "0.0.0.0",
            "0",
            "[::]",
            "[::1]",
            "[::ffff:0:0]",
        ];
        hosts.map(|host| format!("http://{host}:{}", self.port)).to_vec()
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let seen = self.seen.lock().expect("whole");
        assert!(seen.is_empty(), "{seen:?}");
    }
}

async fn for_nobody() -> Longshore {
    let binary = env!("CARGO_BIN_EXE_longshore");
    Longshore::builder(binary).variable("LONGSHORE_PRIVATE_REMOTES", "nobody").start().await
}

/// Tries every way to make the server connect to a URL. Returns the responses.
async fn try_all(rest: &Rest, repository: &str, url: &str, proxy: &str) -> Vec<(u16, String)> {
    let connection = with(remote(url, "inner/app", "", ""), json!({"proxy": proxy}));
    let push = with(connection.clone(), json!({"rules": [], "tagTemplate": "%n"}));
    let mut said = Vec::new();
    for (path, body) in [
        ("/remote/registry".to_owned(), connection.clone()),
        (format!("/repositories/{repository}/pushMirroringPolicies"), push),
        (format!("/repositories/{repository}/pollMirroringPolicies"), connection),
    ] {
        let answer = rest.post(&path, body).await;
        said.push((answer.status, answer.body.to_string()));
    }
    let saved = rest.post("/remotes", json!({"url": url, "proxy": proxy})).await;
    if let Some(id) = saved.body["id"].as_str() {
        let tested = rest.post(&format!("/remotes/{id}/test"), Value::Null).await;
        said.push((if tested.body["usable"] == true { 200 } else { 400 }, tested.body.to_string()));
        rest.delete(&format!("/remotes/{id}")).await;
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_44_ordinary_users_cannot_reach_services_of_the_machine_or_its_network() {
    let server = longshore().await;
    let inner = Inner::with_secrets().await;
    let alice = user(&server.rest(), "alice").await;
    alice.post("/repositories/alice", json!({"name": "app"})).await.expect(201);
    for url in inner.urls() {
        for (status, said) in try_all(&alice, "alice/app", &url, "").await {
            assert_eq!(status, 400, "{url}: {said}");
            assert!(!said.contains("inner words"), "{url}: {said}");
        }
    }
    for proxy in inner.urls() {
        for target in ["http://1.1.1.1", "https://registry.invalid"] {
            for (status, said) in try_all(&alice, "alice/app", target, &proxy).await {
                assert_eq!(status, 400, "{target} by {proxy}: {said}");
            }
        }
    }
    inner.assert_untouched();
    // It is not possible to find open ports either.
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let about = async |port: u16| {
        let url = format!("http://127.0.0.1:{port}");
        let said = alice.post("/remote/registry", remote(&url, "inner/app", "", "")).await.expect(400);
        said.to_string().replace(&port.to_string(), "")
    };
    assert_eq!(about(inner.port).await, about(closed.port()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_44_nobody_reaches_private_addresses_if_that_is_disabled() {
    let server = for_nobody().await;
    let inner = Inner::with_secrets().await;
    let admin = server.rest();
    repositories(&admin, &["dev/web"]).await;
    for (url, proxy) in [(inner.url(), String::new()), ("http://1.1.1.1".to_owned(), inner.url())] {
        for (status, said) in try_all(&admin, "dev/web", &url, &proxy).await {
            assert_eq!(status, 400, "{said}");
        }
    }
    inner.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_44_administrators_reach_private_addresses_but_see_no_foreign_content() {
    let server = longshore().await;
    let inner = Inner::with_secrets().await;
    let admin = server.rest();
    repositories(&admin, &["dev/web"]).await;
    for (status, said) in try_all(&admin, "dev/web", &inner.url(), "").await {
        assert_eq!(status, 400, "{said}");
        assert!(!said.contains("inner words"), "{said}");
    }
    assert!(!inner.seen.lock().expect("whole").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_44_addresses_that_nobody_may_reach_are_rejected_for_administrators_too() {
    let server = longshore().await;
    let admin = server.rest();
    repositories(&admin, &["dev/web"]).await;
    for host in [
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "[fe80::1]",
        "[ff02::1]",
        "[::]",
        "[::ffff:0:0]",
        "[::ffff:169.254.169.254]",
        "[::ffff:0:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "[fd00:42::42]",
        "[fd20:ce::254]",
        "metadata.google.internal",
    ] {
        let url = format!("http://{host}");
        for (place, proxy) in [(url.as_str(), ""), ("http://1.1.1.1", url.as_str())] {
            // Names are resolved here, and this one has no address outside Google's cloud.
            if place == "http://1.1.1.1" && host.ends_with("internal") {
                continue;
            }
            for (status, said) in try_all(&admin, "dev/web", place, proxy).await {
                assert_eq!(status, 400, "{host}: {said}");
                assert!(said.contains("did not connect"), "{host}: {said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_44_a_hostile_registry_cannot_redirect_uploads_into_the_network() {
    let server = longshore().await;
    let inner = Inner::with_secrets().await;
    let admin = server.rest();
    repositories(&admin, &["dev/web"]).await;
    server.registry().push(&corpus::image(1, 1, 1000), "dev/web", Some("1")).await;
    for url in [inner.url(), format!("http://localhost:{}", inner.port)] {
        let hostile = Inner::with_uploads_at(format!("{url}/delete/everything")).await;
        let connection = remote(&hostile.url(), "qa/web", "", "");
        admin.post("/remote/registry", connection.clone()).await;
        let mirror = with(connection, json!({"rules": [], "tagTemplate": "%n"}));
        let made =
            admin.post("/repositories/dev/web/pushMirroringPolicies?initialEvaluation=true", mirror).await;
        if made.status == 201 {
            eventually("the push that fails", SOON, async || {
                let jobs = admin.get("/jobs?action=push_mirror_tag").await.body.to_string();
                if jobs.contains("errored") { Ok(()) } else { Err(jobs) }
            })
            .await;
        }
        assert!(hostile.seen.lock().expect("whole").iter().any(|seen| seen.starts_with("POST")));
    }
    inner.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_44_a_remote_whose_author_may_no_longer_reach_it_fails_with_that_reason() {
    let mut server = longshore_for_everybody().await;
    let other = DockerRegistry::plain().await;
    other.client().push(&corpus::image(1, 1, 1000), "far/app", Some("1")).await;
    let alice = user(&server.rest(), "alice").await;
    alice.post("/repositories/alice", json!({"name": "app"})).await.expect(201);
    let mirror = remote(&other.url(), "far/app", "", "");
    let path = "/repositories/alice/app/pollMirroringPolicies";
    let made = alice.post(&format!("{path}?initialEvaluation=true"), mirror).await.expect(201);
    let registry = server.registry();
    eventually("the first poll", SOON, async || (registry.tags("alice/app").await.len() == 1).then_some(()))
        .await;

    server.restart_with("LONGSHORE_PRIVATE_REMOTES", "administrators").await;
    let asked = other.requests().len();
    let job = json!({"action": "poll_mirror"});
    server.rest().post("/jobs", job).await.expect(202);
    let id = made["id"].as_str().expect("an id");
    eventually("the poll that fails", SOON, async || {
        let mirror = alice.get(&format!("{path}/{id}")).await.body["lastStatus"].to_string();
        if mirror.contains("private_remotes") { Ok(()) } else { Err(mirror) }
    })
    .await;
    assert_eq!(other.requests().len(), asked, "the registry gets no requests");
}
