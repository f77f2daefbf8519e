//! The limits, as seen by clients that exceed them and in the metrics.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use longshore_testkit::{ADMIN_PASSWORD, Answer, Longshore, RegistryClient, corpus, eventually};
use reqwest::{Method, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{SOON, user};

async fn server(arguments: &[&str]) -> Longshore {
    let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore"));
    arguments.iter().fold(builder, |builder, argument| builder.argument(argument)).start().await
}

/// The number of rejections because of a limit.
async fn refusals(server: &Longshore, limit: &str) -> f64 {
    metric(server, &format!("longshore_limit_refusals_total{{limit=\"{limit}\"}}")).await
}

async fn metric(server: &Longshore, name: &str) -> f64 {
    let registry = server.registry().anonymous();
    let answer = registry.send(registry.request(Method::GET, "/metrics")).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let sample = format!("{name} ");
    text.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok()).unwrap_or(0.0)
}

async fn refused(server: &Longshore, limit: &str) {
    eventually(&format!("the limit {limit} is counted"), SOON, async || {
        (refusals(server, limit).await > 0.0).then_some(())
    })
    .await;
}

/// Sends raw bytes, and returns the connection.
async fn raw(server: &Longshore, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.host()).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

/// Everything that arrives until the server closes the connection.
async fn rest_of(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = timeout(SOON, stream.read_to_end(&mut said)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&said).into_owned()
}

fn basic() -> String {
    use base64::Engine;
    let pair = format!("admin:{ADMIN_PASSWORD}");
    format!("Authorization: Basic {}\r\n", base64::prelude::BASE64_STANDARD.encode(pair))
}

/// Begins an upload and returns its location.
async fn begin_upload(server: &Longshore) -> String {
    let registry = server.registry();
    let answer = registry.send(registry.request(Method::POST, "/v2/admin/app/blobs/uploads/")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    answer.headers[header::LOCATION].to_str().expect("text").to_owned()
}

/// The head of a request that uploads a part of a blob.
fn patch(server: &Longshore, upload: &str, length: usize) -> String {
    let (host, basic) = (server.host(), basic());
    format!("PATCH {upload} HTTP/1.1\r\nHost: {host}\r\n{basic}Content-Length: {length}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_an_endless_head_is_closed() {
    let server = server(&["--limit-head-seconds=1"]).await;
    let mut dripping = raw(&server, "GET /v2/ HTTP/1.1\r\n").await;
    let dripped = timeout(SOON, async {
        while dripping.write_all(b"X-A: b\r\n").await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    dripped.await.expect("the server closes the connection");
    refused(&server, "slow_head").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_tls_handshake_is_closed() {
    let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore")).tls_private_ca();
    let server = builder.argument("--limit-head-seconds=1").start().await;
    assert_eq!(rest_of(raw(&server, "").await).await, "");
    refused(&server, "slow_handshake").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_a_head_is_counted_under_the_right_limit() {
    let server = server(&[]).await;
    let long = "a".repeat(1_000_000);
    let mut stream = TcpStream::connect(server.host()).await.expect("a connection");
    // The server may close the connection before the end.
    let _ = stream.write_all(format!("GET /v2/ HTTP/1.1\r\nX-Long: {long}\r\n\r\n").as_bytes()).await;
    rest_of(stream).await;
    refused(&server, "header_bytes").await;
    assert_eq!(refusals(&server, "headers").await.to_string(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_upload_is_aborted_and_the_received_bytes_are_kept() {
    let server = server(&["--limit-slow-seconds=1", "--limit-slow-rate=1000"]).await;
    let upload = begin_upload(&server).await;
    let standing = raw(&server, &format!("{}0123456789", patch(&server, &upload, 1_000_000))).await;
    let said = rest_of(standing).await;
    assert!(said.contains("1000 bytes per second"), "{said}");
    refused(&server, "slow_request").await;
    let registry = server.registry();
    let status = registry.send(registry.request(Method::GET, &upload)).await;
    assert_eq!(status.headers[header::RANGE], "0-9");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_pull_is_aborted_and_a_slow_one_continues() {
    let server = server(&["--limit-slow-seconds=2", "--limit-slow-rate=10000"]).await;
    let registry = server.registry();
    // More than the kernel buffers for a connection.
    let blob = vec![7; 40_000_000];
    let digest = corpus::digest_of(&blob);
    let put = format!("/v2/admin/app/blobs/uploads/?digest={digest}");
    let answer = registry.send(registry.request(Method::POST, &put).body(blob.clone())).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let (host, basic) = (server.host(), basic());
    let get = format!("GET /v2/admin/app/blobs/{digest} HTTP/1.1\r\nHost: {host}\r\n{basic}\r\n");

    let mut slow = raw(&server, &get).await;
    let mut ignored = raw(&server, &get).await;
    let mut taken = 0;
    let mut buffer = vec![0; 256 * 1024];
    // A tenth of a second for each quarter of a megabyte, for longer than the limit.
    for _ in 0..50 {
        taken += slow.read(&mut buffer).await.expect("the slow pull continues");
        sleep(Duration::from_millis(100)).await;
    }
    refused(&server, "slow_response").await;
    while taken < blob.len() {
        let more = slow.read(&mut buffer).await.expect("the slow pull continues");
        assert_ne!(more, 0, "the slow pull ended after {taken} bytes");
        taken += more;
    }
    let mut rest = Vec::new();
    let _ = ignored.read_to_end(&mut rest).await;
    assert!(rest.len() < blob.len(), "the stalled pull was cut short");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_and_size_of_headers_are_limited() {
    let server = server(&["--limit-header-bytes=8000"]).await;
    let many: String = (0..150).map(|number| format!("X-{number}: a\r\n")).collect();
    let said = rest_of(raw(&server, &format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{many}\r\n")).await).await;
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    refused(&server, "headers").await;
    let registry = server.registry();
    let large = registry.request(Method::GET, "/v2/").header("x-large", "a".repeat(9000));
    assert_eq!(registry.send(large).await.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    refused(&server, "header_bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_bodies_is_limited() {
    let server = server(&["--limit-body-bytes=1000"]).await;
    let large = json!({"name": "a".repeat(1000), "isOrg": true});
    assert_eq!(server.rest().post("/accounts", large).await.expect_error(413), "REQUEST_TOO_LARGE");
    refused(&server, "body_bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tags_of_a_push_and_the_bytes_of_a_namespace_are_limited() {
    let server = server(&[]).await;
    let registry = server.registry();
    let tags: Vec<String> = (0..65).map(|number| format!("tag=v{number}")).collect();
    let many = format!("/v2/admin/app/manifests/{}?{}", corpus::digest_of(b"{}"), tags.join("&"));
    assert_eq!(
        registry.send(registry.request(Method::PUT, &many).body("{}")).await.status,
        StatusCode::URI_TOO_LONG
    );
    refused(&server, "tags").await;

    server.rest().put("/accounts/admin/quota", json!({"quotaBytes": 1000})).await.expect(200);
    let blob = vec![7; 1001];
    registry.put_blob("admin/app", &corpus::digest_of(&blob), blob).await.expect(403);
    refused(&server, "quota").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_concurrent_uploads_of_a_user_are_limited() {
    let server = server(&["--limit-uploads=1"]).await;
    let (first, second) = (begin_upload(&server).await, begin_upload(&server).await);
    let running = raw(&server, &format!("{}01234", patch(&server, &first, 10))).await;
    // Otherwise the second might overtake it, and the first would be rejected.
    eventually("the first to run", SOON, async || {
        (metric(&server, "longshore_uploads_running").await > 0.0).then_some(())
    })
    .await;
    let registry = server.registry();
    let answer = eventually("the second to be rejected", SOON, async || {
        let answer = registry.send(registry.request(Method::PATCH, &second).body("0")).await;
        (answer.status == StatusCode::TOO_MANY_REQUESTS).then_some(answer)
    })
    .await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert!(String::from_utf8_lossy(&answer.body).contains("TOOMANYREQUESTS"), "{answer:?}");
    refused(&server, "uploads").await;
    // Regardless of the form of the URL.
    let spelt = second.replace("/blobs/", "/%62lobs/");
    let answer = registry.send(registry.request(Method::PATCH, &spelt).body("0")).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    drop(running);
    eventually("another one to be allowed", SOON, async || {
        let status =
            registry.send(registry.request(Method::POST, "/v2/admin/app/blobs/uploads/")).await.status;
        (status == StatusCode::ACCEPTED).then_some(()).ok_or(status)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_rate_is_limited_per_user() {
    let server = server(&["--limit-user-rate=1"]).await;
    let other = user(&server.rest(), "grace").await;
    let answer = eventually("the burst to be used up", SOON, async || {
        let answer = server.rest().get("/accounts").await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(answer.expect_error(429), "TOO_MANY_ATTEMPTS");
    assert_eq!(other.get("/accounts").await.status, 200);
    refused(&server, "user_rate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_rate_is_limited_per_address_as_reported_by_a_trusted_proxy() {
    let server = server(&["--limit-address-rate=1", "--trusted-proxies=127.0.0.0/8"]).await;
    let registry = server.registry().anonymous();
    let ask = async |address: &str| {
        registry.send(registry.request(Method::GET, "/v2/").header("x-forwarded-for", address)).await
    };
    let answer = eventually("the burst to be used up", SOON, async || {
        let answer = ask("203.0.113.7").await;
        (answer.status == StatusCode::TOO_MANY_REQUESTS).then_some(answer)
    })
    .await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(ask("203.0.113.8").await.status, StatusCode::UNAUTHORIZED);
    refused(&server, "address_rate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_connections_is_limited() {
    let server = server(&["--limit-connections=5"]).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(TcpStream::connect(server.host()).await.expect("a connection"));
    }
    let last = open.pop().expect("eight were opened");
    assert_eq!(rest_of(last).await, "");
    drop(open);
    eventually("another one to be allowed", SOON, async || {
        reqwest::Client::new().get(format!("{}/healthz", server.url())).send().await.is_ok().then_some(())
    })
    .await;
    refused(&server, "connections").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessed_passwords_are_counted() {
    let server = server(&[]).await;
    let registry = server.registry().with_credentials("admin", "guess");
    let answer = eventually("guesses to be throttled", SOON, async || {
        let answer = registry.send(registry.request(Method::GET, "/v2/")).await;
        (answer.status == StatusCode::TOO_MANY_REQUESTS).then_some(answer)
    })
    .await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    refused(&server, "sign_in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_to_throttled_guesses_says_when_to_retry() {
    let server = server(&[]).await;
    let rest = server.rest();
    // A known user from now on, who is not locked out by guesses of others.
    rest.get("/accounts").await.expect(200);
    let sign_in = format!("{}/fn/sign_in", server.url());
    let browser = reqwest::Client::new();
    let answer = eventually("guesses to be throttled", SOON, async || {
        let guess =
            browser.post(&sign_in).header(header::ORIGIN, server.url()).body("username=admin&password=guess");
        let guess = guess.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = guess.header(header::ACCEPT, "application/json").send().await.expect("a response");
        (answer.status() == StatusCode::TOO_MANY_REQUESTS).then_some(answer)
    })
    .await;
    assert!(answer.headers().contains_key(header::RETRY_AFTER), "the form: {answer:?}");
    let text = answer.text().await.expect("a body");
    assert!(text.contains("too many wrong passwords"), "{text}");

    let change = json!({"oldPassword": "guess", "newPassword": "another password"});
    let answer = rest.post("/accounts/admin/changePassword", change).await;
    assert!(answer.headers.contains_key(header::RETRY_AFTER), "REST: {answer:?}");
    assert_eq!(answer.expect_error(429), "TOO_MANY_ATTEMPTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_rejected_while_sending_sees_the_response_and_keeps_the_connection() {
    const LENGTH: usize = 32 * 1024 * 1024;
    let server = server(&[]).await;
    let upload = begin_upload(&server).await;
    let range = format!("Content-Range: 50-{}\r\n", 50 + LENGTH - 1);
    let head = patch(&server, &upload, LENGTH).replacen("\r\n", &format!("\r\n{range}"), 1);
    let mut stream = raw(&server, &head).await;
    // More than fits into the buffers in between.
    stream.write_all(&vec![7; LENGTH]).await.expect("all of it is received");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
    let said = rest_of(stream).await;
    assert!(said.starts_with("HTTP/1.1 416 "), "{said}");
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_aborts_a_push_of_unknown_length_and_leaves_nothing_on_the_disk() {
    let server = server(&[]).await;
    server.rest().put("/accounts/admin/quota", json!({"quotaBytes": 1024 * 1024})).await.expect(200);
    let registry = server.registry();
    let upload = begin_upload(&server).await;
    let wrong = corpus::digest_of(b"something else");
    for (method, path) in [
        (Method::PATCH, upload.clone()),
        (Method::POST, format!("/v2/admin/app/blobs/uploads/?digest={wrong}")),
    ] {
        // Less than the server still reads after a rejection, so that the response always arrives.
        let pieces = futures::stream::iter(0..16).map(|_| Ok::<_, std::io::Error>(vec![7; 1024 * 1024]));
        let body = reqwest::Body::wrap_stream(pieces);
        let answer = registry.send(registry.request(method, &path).body(body)).await.expect(403);
        assert_eq!(answer.error_code(), "DENIED");
    }
    eventually("nothing to be left of it", SOON, async || {
        let left = size_of(&server.data().join("uploads"));
        (left == 0).then_some(()).ok_or(left)
    })
    .await;
    refused(&server, "quota").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_limits_manifests_too() {
    let server = server(&[]).await;
    server.rest().put("/accounts/admin/quota", json!({"quotaBytes": 10_000_000})).await.expect(200);
    let registry = server.registry();
    let mut refused = 0;
    for number in 0..8 {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [],
            "annotations": { "number": number.to_string(), "filler": "x".repeat(3_900_000) },
        });
        let path = format!("/v2/admin/app/manifests/v{number}");
        let put = registry.request(Method::PUT, &path).body(index.to_string());
        let put = put.header(header::CONTENT_TYPE, "application/vnd.oci.image.index.v1+json");
        match registry.send(put).await.status {
            201 => {}
            403 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 6);
    let held = server.rest().get("/accounts/admin/storage").await.expect(200);
    let used = held["usedBytes"].as_u64().expect("a number");
    assert!((7_800_000..=10_000_000).contains(&used), "{held}");
}

/// Requests `/v2/` from an address behind a trusted proxy.
async fn enter(registry: &RegistryClient, address: &str) -> Answer {
    registry.send(registry.request(Method::GET, "/v2/").header("x-forwarded-for", address)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_guesses_is_rejected_and_a_known_user_is_admitted() {
    let server = server(&["--trusted-proxies=127.0.0.0/8", "--limit-password-checks=4"]).await;
    let registry = server.registry();
    let home = "203.0.113.1";
    enter(&registry, home).await.expect(200);
    let guesses = (0..300).map(|n| {
        let guesser = registry.with_credentials(&format!("user{n}"), "guess");
        async move { enter(&guesser, &format!("198.51.{}.{}", n / 200, n % 200)).await }
    });
    let guessing = futures::future::join_all(guesses);
    let (answers, mine) = tokio::join!(guessing, enter(&registry, home));
    mine.expect(200);
    let (busy, wrong): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 429);
    assert!(!busy.is_empty() && wrong.iter().all(|answer| answer.status == 401));
    assert!(busy.iter().all(|answer| answer.headers.contains_key(header::RETRY_AFTER)));
    refused(&server, "password_checks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_concurrent_requests_of_an_address_are_limited() {
    let server = server(&["--limit-requests=3"]).await;
    let follow = async || {
        let request = reqwest::Client::new().get(format!("{}/events?jobs=1", server.url()));
        request.basic_auth("admin", Some(ADMIN_PASSWORD)).send().await.expect("a response")
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(follow().await);
    }
    let refusal = server.rest().get("/accounts").await;
    assert!(refusal.headers.contains_key(header::RETRY_AFTER));
    refusal.expect_error(429);
    refused(&server, "requests").await;
    // A response that has been received or dropped frees a place.
    held.clear();
    eventually("another one to be allowed", SOON, async || {
        (server.rest().get("/accounts").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_client_is_told_the_maximum_number_of_concurrent_requests() {
    const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
    let server = server(&["--limit-streams=7"]).await;
    let mut stream = raw(&server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    // An empty SETTINGS frame (RFC 9113 §6.5).
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("sent");
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "the first frame has the server's settings");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.expect("the settings");
    let told = settings.chunks(6).find(|setting| setting[..2] == MAX_CONCURRENT_STREAMS);
    assert_eq!(told.expect("the setting is sent")[2..], [0, 0, 0, 7]);
}

/// The number of bytes of all files below a folder.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.filter_map(Result::ok).map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size_of(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
