//! Event streams as clients see them: when they end, how many may be open, and what they cost.

use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use longshore_testkit::{ADMIN_PASSWORD, Longshore, Site, corpus, eventually};
use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{SOON, longshore, user};

/// The number of concurrent followers.
const MANY: usize = 1000;

async fn follow(server: &Longshore, what: &str, user: &str, password: &str) -> Response {
    let address = format!("{}/events?{what}", server.url());
    Client::new().get(address).basic_auth(user, Some(password)).send().await.expect("a response")
}

/// Waits until the server has ended a stream.
async fn ends(stream: Response) {
    assert_eq!(stream.status(), StatusCode::OK);
    timeout(SOON, stream.bytes()).await.expect("the stream ends").expect("the stream is complete");
}

/// Waits for an event about tags.
async fn says_tags(stream: &mut Response) {
    let says = async {
        let mut said = String::new();
        while let Some(part) = stream.chunk().await.expect("the stream continues") {
            said.push_str(&String::from_utf8_lossy(&part));
            if said.contains("tags") {
                return;
            }
        }
        panic!("the stream ended: {said}");
    };
    timeout(SOON, says).await.expect("an event arrives");
}

async fn loads(server: &Longshore) -> u64 {
    let registry = server.registry().anonymous();
    let answer = registry.send(registry.request(Method::GET, "/metrics")).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let sample = text.lines().find_map(|line| line.strip_prefix("longshore_event_loads_total "));
    sample.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_number_of_a_log_line_is_rejected() {
    let server = longshore().await;
    for after in ["-1", "-9223372036854775808", "many"] {
        let job = uuid::Uuid::nil();
        let refused = follow(&server, &format!("job={job}&after={after}"), "admin", ADMIN_PASSWORD).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_45_an_event_stream_ends_with_its_session() {
    let server = longshore().await;
    let sign_in = async || server.site().sign_in("admin", ADMIN_PASSWORD).await;
    let (leaving, staying) = (sign_in().await, sign_in().await);
    let open = async |site: &Site| site.request("/events?jobs=1").send().await.expect("a response");
    let (mut stream, untouched) = (open(&leaving).await, open(&staying).await);
    let quiet = timeout(Duration::from_millis(200), stream.chunk()).await;
    assert!(quiet.is_err(), "nothing happens yet: {quiet:?}");
    leaving.call("sign_out", &[]).await;
    ends(stream).await;
    assert_eq!(open(&leaving).await.status(), StatusCode::UNAUTHORIZED);

    // The other session continues until the password is changed.
    let change = json!({"oldPassword": ADMIN_PASSWORD, "newPassword": "another password"});
    server.rest().post("/accounts/admin/changePassword", change).await;
    ends(untouched).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_45_an_event_stream_ends_with_the_password_it_was_opened_with() {
    let server = longshore().await;
    user(&server.rest(), "dev").await;
    let theirs = follow(&server, "jobs=1", "dev", "dev has a password").await;
    let mut mine = follow(&server, "jobs=1", "admin", ADMIN_PASSWORD).await;
    let change = json!({"newPassword": "another password"});
    server.rest().post("/accounts/dev/changePassword", change).await;
    ends(theirs).await;
    let quiet = timeout(Duration::from_millis(200), mine.chunk()).await;
    assert!(quiet.is_err(), "the streams of others continue: {quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_stream_of_a_repository_that_is_no_longer_public_ends() {
    let server = longshore().await;
    let registry = server.registry();
    registry.push(&corpus::image(1, 1, 100), "admin/app", Some("1.0")).await;
    let rest = server.rest();
    rest.patch("/repositories/admin/app", json!({"visibility": "public"})).await.expect(200);
    let address = format!("{}/events?repository=admin/app", server.url());
    let stream = Client::new().get(address).send().await.expect("a response");
    rest.patch("/repositories/admin/app", json!({"visibility": "private"})).await.expect(200);
    registry.push(&corpus::image(2, 1, 100), "admin/app", Some("2.0")).await;
    let said = timeout(SOON, stream.bytes()).await.expect("the stream ends").expect("the stream is complete");
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("tags"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seventeenth_event_stream_of_a_user_is_rejected_until_another_one_ends() {
    let server = longshore().await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        let stream = follow(&server, "jobs=1", "admin", ADMIN_PASSWORD).await;
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let refused = follow(&server, "jobs=1", "admin", ADMIN_PASSWORD).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    user(&server.rest(), "dev").await;
    let other = follow(&server, "jobs=1", "dev", "dev has a password").await;
    assert_eq!(other.status(), StatusCode::OK);
    streams.pop();
    eventually("another stream to be allowed", SOON, async || {
        let status = follow(&server, "jobs=1", "admin", ADMIN_PASSWORD).await.status();
        (status == StatusCode::OK).then_some(()).ok_or(status)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seventeenth_anonymous_event_stream_from_one_address_is_rejected() {
    let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore"));
    let server = builder.argument("--trusted-proxies=127.0.0.0/8").start().await;
    server.registry().push(&corpus::image(1, 1, 100), "admin/app", Some("1.0")).await;
    let rest = server.rest();
    rest.patch("/repositories/admin/app", json!({"visibility": "public"})).await.expect(200);
    // One HTTP/2 connection, where the few connections of a browser are no limit.
    let client = Client::builder().http2_prior_knowledge().build().expect("a client");
    let address = format!("{}/events?repository=admin/app", server.url());
    let from = async |peer: &str| {
        let request = client.get(&address).header("x-forwarded-for", peer);
        request.send().await.expect("a response")
    };
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(from("203.0.113.7").await);
    }
    assert!(streams.iter().all(|stream| stream.status() == StatusCode::OK));
    let refused = from("203.0.113.7").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(from("203.0.113.8").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_followers_cost_no_more_queries_than_one() {
    let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore"));
    let server = builder.argument("--limit-event-streams=0").start().await;
    let registry = server.registry();
    registry.push(&corpus::image(1, 1, 100), "admin/app", Some("first")).await;
    let follow = || follow(&server, "repository=admin/app", "admin", ADMIN_PASSWORD);

    let mut one = follow().await;
    let before = loads(&server).await;
    registry.push(&corpus::image(2, 1, 100), "admin/app", Some("second")).await;
    says_tags(&mut one).await;
    let for_one = loads(&server).await - before;
    assert!(for_one > 0);

    let opening = futures::stream::iter(0..MANY).map(|_| follow()).buffered(32);
    let mut many: Vec<Response> = opening.collect().await;
    assert!(many.iter().all(|stream| stream.status() == StatusCode::OK));
    let before = loads(&server).await;
    registry.push(&corpus::image(3, 1, 100), "admin/app", Some("third")).await;
    join_all(many.iter_mut().map(says_tags)).await;
    let for_many = loads(&server).await - before;
    // The job of a push causes up to four events a second while it runs.
    assert!(for_many <= for_one + 20, "{for_many} for {MANY} followers, {for_one} for one");
}
