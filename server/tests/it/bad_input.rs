//! Bad input: each is rejected with a clear error that names the field, and leaves nothing behind.

use std::net::{Ipv4Addr, TcpListener as StdListener};

use longshore_testkit::{DockerRegistry, Rest, TestCa, corpus};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{longshore, organization, remote, repositories, repository, user, with};

/// The code, field and message of an error.
struct Refusal {
    code: String,
    field: String,
    message: String,
}

async fn refused(rest: &Rest, path: &str, body: Value) -> Refusal {
    let body = rest.post(path, body).await.expect(400);
    let error = &body["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Refusal {
        code: text(&error["code"]),
        field: text(&error["detail"]["field"]),
        message: text(&error["message"]),
    }
}

const PUSH: &str = "/repositories/dev/website/pushMirroringPolicies";
const POLL: &str = "/repositories/dev/website/pollMirroringPolicies";
const PROMOTE: &str = "/repositories/dev/website/promotionPolicies";

/// A push mirror over this connection is rejected with this field and a part of the message, and so is *Connect*;
/// nothing is left behind.
async fn no_mirror(rest: &Rest, connection: Value, field: &str, says: &str) {
    let mirror = with(connection.clone(), json!({"rules": [], "tagTemplate": "%n"}));
    for (path, body) in [(PUSH, mirror), ("/remote/registry", connection)] {
        let refusal = refused(rest, path, body).await;
        let seen = format!("{path}: {} {} {}", refusal.code, refusal.field, refusal.message);
        assert_eq!(refusal.field, field, "{seen}");
        assert!(refusal.message.to_lowercase().contains(says), "{seen} does not say {says}");
        assert!(
            ["REMOTE_REGISTRY_INVALID_PERMISSIONS", "INVALID_REMOTE", "INVALID_PUSH_MIRRORING_POLICY"]
                .contains(&refusal.code.as_str()),
            "{seen}"
        );
    }
    assert_eq!(rest.get(PUSH).await.expect(200), json!([]));
    assert_eq!(rest.get("/remotes").await.expect(200), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_cannot_work_are_rejected_with_the_reason() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website"]).await;
    let at = |url: &str| remote(url, "qa/website", "", "");

    no_mirror(&rest, at("ftp://example.com"), "remoteHost", "https://").await;
    no_mirror(&rest, at("https://user:secret@example.com"), "remoteHost", "username").await;
    no_mirror(&rest, at("not a url"), "remoteHost", "https://").await;
    no_mirror(&rest, at("https://no-such-host.invalid"), "remoteHost", "no-such-host.invalid").await;
    no_mirror(&rest, at("http://169.254.169.254"), "remoteHost", "169.254.169.254").await;
    no_mirror(&rest, at("http://[fe80::1]"), "remoteHost", "fe80::1").await;

    let free = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address");
    no_mirror(&rest, at(&format!("http://{free}")), "remoteHost", "refused").await;

    let html = html_server().await;
    no_mirror(&rest, at(&html), "remoteHost", "web page").await;

    let private = DockerRegistry::with_tls(&TestCa::new()).await;
    no_mirror(&rest, at(&private.url()), "remoteCA", "certificate").await;
    let other_ca = with(at(&private.url()), json!({"remoteCA": TestCa::new().pem()}));
    no_mirror(&rest, other_ca, "remoteCA", "certificate").await;
    let no_pem = with(at(&private.url()), json!({"remoteCA": "this is no certificate"}));
    no_mirror(&rest, no_pem, "remoteCA", "certificate").await;

    let accounts = DockerRegistry::with_account("bot", "right").await;
    no_mirror(&rest, remote(&accounts.url(), "qa/website", "bot", "wrong"), "password", "bot").await;
    no_mirror(
        &rest,
        remote(&accounts.url(), "Not A Repository", "bot", "right"),
        "remoteRepository",
        "lower",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_mirror_of_a_missing_repository_is_rejected() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website"]).await;
    let other = DockerRegistry::plain().await;
    let refusal = refused(&rest, POLL, remote(&other.url(), "no/such", "", "")).await;
    assert_eq!(refusal.code, "REMOTE_REGISTRY_INVALID_PERMISSIONS");
    assert_eq!(refusal.field, "remoteRepository");
    assert!(refusal.message.contains("no/such"), "{}", refusal.message);
    assert_eq!(rest.get(POLL).await.expect(200), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_mirror_with_read_only_credentials_is_rejected() {
    let (server, other) = (longshore().await, longshore().await);
    let rest = server.rest();
    repositories(&rest, &["dev/website"]).await;
    organization(&other.rest(), "qa").await;
    other
        .rest()
        .post("/repositories/qa", json!({"name": "website", "visibility": "public"}))
        .await
        .expect(201);
    user(&other.rest(), "reader").await;
    other.registry().push(&corpus::image(1, 1, 10), "qa/website", Some("1")).await;

    let connection = remote(&other.url(), "qa/website", "reader", "reader has a password");
    let mirror = with(connection.clone(), json!({"rules": [], "tagTemplate": "%n"}));
    let refusal = refused(&rest, PUSH, mirror).await;
    assert_eq!(refusal.code, "REMOTE_REGISTRY_INVALID_PERMISSIONS");
    assert!(refusal.message.contains("write"), "{}", refusal.message);
    // Connect reports the same without an error, because reading works.
    let report = rest.post("/remote/registry", connection.clone()).await.expect(201);
    assert_eq!(report["permissions"], json!({"read": true, "write": false}));
    rest.post(POLL, connection).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_promotion_policies_are_rejected_with_the_invalid_field() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website", "qa/website"]).await;
    let good = json!({
        "rules": [{"field": "tag", "operator": "ew", "values": ["stable"]}],
        "targetRepository": "qa/website", "tagTemplate": "%n", "enabled": true,
    });
    let rule = |field: &str, operator: &str, values: Value| json!({"rules": [{"field": field, "operator": operator, "values": values}]});
    let cases = [
        (json!({"tagTemplate": "%n-%Q"}), "tagTemplate", "%q"),
        (json!({"tagTemplate": "100%"}), "tagTemplate", "%"),
        (json!({"tagTemplate": "not a tag"}), "tagTemplate", "tag"),
        (json!({"tagTemplate": "-%n"}), "tagTemplate", "tag"),
        (rule("tag", "m", json!(["v(1"])), "rules[0].values", "v(1"),
        (rule("tag", "m", json!(["\\p{Greek}"])), "rules[0].values", "\\p"),
        (rule("tag", "ew", json!([])), "rules[0].values", "value"),
        (rule("tag", "ew", json!([""])), "rules[0].values", "value"),
        (rule("tag", "like", json!(["x"])), "rules[0].operator", "like"),
        (rule("vulnerability_critical", "eq", json!(["0"])), "rules[0].field", "vulnerability_critical"),
        (rule("license.name", "oo", json!(["MIT"])), "rules[0].field", "license.name"),
        (rule("colour", "eq", json!(["blue"])), "rules[0].field", "colour"),
        (json!({"targetRepository": "qa/nowhere"}), "targetRepository", "qa/nowhere"),
        (json!({"targetRepository": "Not A Name"}), "targetRepository", "lower"),
        (json!({"targetRepository": "dev/website"}), "targetRepository", "dev/website"),
    ];
    for (change, field, says) in cases {
        let body = with(good.clone(), change.clone());
        let answer = rest.post(PROMOTE, body).await;
        assert!([400, 404].contains(&answer.status), "{change}: {answer:?}");
        let error = &answer.body["errors"][0];
        assert_eq!(error["detail"]["field"], field, "{change}: {error}");
        let message = error["message"].as_str().unwrap_or_default().to_lowercase();
        assert!(message.contains(says), "{change}: {message}");
        assert_eq!(rest.get(PROMOTE).await.expect(200), json!([]), "{change} left a policy behind");
    }
    // An unknown member is rejected inside a rule and tolerated outside.
    let inside = with(
        good.clone(),
        json!({"rules": [{"field": "tag", "operator": "ew", "values": ["x"], "negate": true}]}),
    );
    rest.post(PROMOTE, inside).await.expect(400);
    let differing = format!("{PROMOTE}?initialEvaluation=true");
    rest.post(&differing, with(good.clone(), json!({"initialEvaluation": false}))).await.expect(400);
    rest.post(PROMOTE, with(good, json!({"comment": "tolerated"}))).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_rejects_incomplete_content() {
    let server = longshore().await;
    let rest = server.rest();
    organization(&rest, "dev").await;
    repository(&rest, "dev/website").await;
    let registry = server.registry();
    let image = corpus::image(1, 1, 1000);
    let manifest = image.root_manifest();

    // A manifest that references a missing blob.
    let answer =
        registry.put_manifest("dev/website", "1", &manifest.media_type, manifest.bytes.clone()).await;
    assert!([400, 404].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.error_code(), "MANIFEST_BLOB_UNKNOWN");
    assert!(registry.tags("dev/website").await.is_empty());

    // An upload with the wrong digest.
    let (digest, _) = &image.blobs[0];
    let answer = registry.put_blob("dev/website", digest, "something else").await.expect(400);
    assert_eq!(answer.error_code(), "DIGEST_INVALID");
    assert_eq!(registry.head_blob("dev/website", digest).await.status, 404);

    // A tag of 300 characters, in the registry and as a target.
    registry.push(&image, "dev/website", Some("1")).await;
    let long = "t".repeat(300);
    let answer = registry
        .put_manifest("dev/website", &long, &manifest.media_type, manifest.bytes.clone())
        .await
        .expect(400);
    assert!(["TAG_INVALID", "MANIFEST_INVALID", "NAME_INVALID"].contains(&answer.error_code().as_str()));
    let body = json!({"targetRepository": "dev/website", "targetTag": long});
    let answer = rest.post("/repositories/dev/website/tags/1/promotion", body).await;
    assert_eq!(answer.expect_error(400), "INVALID_TAG_NAME");
}

/// A web server that responds to every request with a page.
async fn html_server() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let page = "<!doctype html><title>Welcome</title>";
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    page.len()
                );
                let _ = connection.write_all(format!("{head}{page}").as_bytes()).await;
            });
        }
    });
    format!("http://{address}")
}
