//! The report of Connect for good and bad settings.

use axum::response::Response;
use longshore_model::RemoteKind;
use longshore_model::connect::{CheckKind, CheckStatus, ConnectReport, Direction};
use longshore_model::remote::Quirks;
use longshore_remote::{Endpoint, PrivateRemotes, connect};
use url::Url;

use crate::fake::{Fake, Seen, answer, basic, error, ok_json, repo, signed_in};

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(Url::parse(url).unwrap(), RemoteKind::Other)
}

/// Asserts which check failed, in which field, and returns what was said.
fn failed(report: &ConnectReport, kind: CheckKind, field: &str) -> String {
    assert!(!report.usable);
    assert_eq!(report.checks.len(), CheckKind::ALL.len());
    let check = report.failure().unwrap();
    assert_eq!((check.kind, check.field.as_deref()), (kind, Some(field)), "{check:?}");
    assert!(check.remedy.is_some(), "{check:?}");
    check.message.clone()
}

fn status(report: &ConnectReport, kind: CheckKind) -> CheckStatus {
    report.checks.iter().find(|check| check.kind == kind).unwrap().status
}

/// A registry with Basic authentication: `reader` may pull, `writer` may push, `dev/web` is there.
fn htpasswd(seen: &Seen) -> Response {
    let user = match seen.authorization() {
        Some(value) if value == basic("reader", "secret") => "reader",
        Some(value) if value == basic("writer", "secret") => "writer",
        _ => {
            let mut refused = error(401, "UNAUTHORIZED", "authentication required");
            refused.headers_mut().insert("www-authenticate", "Basic realm=\"Fake\"".parse().unwrap());
            return refused;
        }
    };
    match (seen.line().as_str(), user) {
        ("GET /v2/", _) => ok_json("{}"),
        ("GET /v2/dev/web/tags/list", _) => ok_json(r#"{"tags":["v1"]}"#),
        ("POST /v2/dev/web/blobs/uploads/" | "POST /v2/dev/new/blobs/uploads/", "writer") => {
            answer(202, &[("location", "/v2/dev/web/blobs/uploads/1")], "")
        }
        ("DELETE /v2/dev/web/blobs/uploads/1", "writer") => answer(204, &[], ""),
        ("POST /v2/dev/web/blobs/uploads/", _) => error(403, "DENIED", "read-only user"),
        _ => error(404, "NAME_UNKNOWN", "repository name not known to registry"),
    }
}

#[tokio::test]
async fn semantics_27_the_right_to_push_is_proved_by_an_upload_that_is_cancelled() {
    let fake = Fake::start(htpasswd).await;
    let report = connect(signed_in(fake.endpoint(), "writer", "secret"), &repo(), Direction::Push).await;
    assert!(report.usable, "{report:?}");
    assert!(report.permissions.read && report.permissions.write);
    assert!(report.checks.iter().all(|check| check.status == CheckStatus::Ok), "{report:?}");
    assert_eq!(fake.lines().last().unwrap(), "DELETE /v2/dev/web/blobs/uploads/1");
}

#[tokio::test]
async fn semantics_27_credentials_that_may_pull_but_not_list_pass_with_a_warning() {
    let fake = Fake::start(|seen| match seen.line().as_str() {
        "GET /v2/" => ok_json("{}"),
        "GET /v2/dev/web/tags/list" => error(401, "UNAUTHORIZED", "metadata_read is missing"),
        line if line.ends_with("/v2/dev/web/manifests/latest") => {
            error(404, "MANIFEST_UNKNOWN", "no such tag")
        }
        _ => error(401, "UNAUTHORIZED", "authentication required"),
    })
    .await;
    let report = connect(fake.endpoint(), &repo(), Direction::Pull).await;
    assert!(report.usable && report.permissions.read, "{report:?}");
    let read = report.checks.iter().find(|check| check.kind == CheckKind::Read).unwrap();
    assert_eq!(read.status, CheckStatus::Warning);
    assert!(read.message.contains("not list its tags"), "{read:?}");
    let report = connect(fake.endpoint(), &"dev/hidden".parse().unwrap(), Direction::Pull).await;
    assert!(!report.usable, "{report:?}");
}

#[tokio::test]
async fn a_pull_writes_nothing() {
    let fake = Fake::start(htpasswd).await;
    let report = connect(signed_in(fake.endpoint(), "reader", "secret"), &repo(), Direction::Pull).await;
    assert!(report.usable && report.permissions.read && !report.permissions.write, "{report:?}");
    assert_eq!(status(&report, CheckKind::Write), CheckStatus::Skipped);
    assert!(fake.seen().iter().all(|seen| seen.method == "GET"));
}

#[tokio::test]
async fn credentials_that_may_only_read_are_refused_for_a_push() {
    let fake = Fake::start(htpasswd).await;
    let report = connect(signed_in(fake.endpoint(), "reader", "secret"), &repo(), Direction::Push).await;
    let message = failed(&report, CheckKind::Write, "username");
    assert!(message.contains("read-only user") && message.contains("403"), "{message}");
}

#[tokio::test]
async fn a_wrong_password_is_reported_at_the_password_field() {
    let fake = Fake::start(htpasswd).await;
    let report = connect(signed_in(fake.endpoint(), "writer", "nope"), &repo(), Direction::Push).await;
    let message = failed(&report, CheckKind::Credentials, "password");
    assert!(message.contains("\"writer\"") && message.contains("authentication required"), "{message}");
    assert!(!message.contains("nope"));
    let report = connect(fake.endpoint(), &repo(), Direction::Push).await;
    failed(&report, CheckKind::Credentials, "username");
}

#[tokio::test]
async fn semantics_27_a_missing_repository_is_an_error_to_pull_and_will_be_created_by_a_push() {
    let fake = Fake::start(htpasswd).await;
    let new = "dev/new".parse().unwrap();
    let writer = signed_in(fake.endpoint(), "writer", "secret");
    let report = connect(writer.clone(), &new, Direction::Pull).await;
    failed(&report, CheckKind::Repository, "remoteRepository");
    let report = connect(writer.clone(), &new, Direction::Push).await;
    assert!(report.usable, "{report:?}");
    let repository = report.checks.iter().find(|check| check.kind == CheckKind::Repository).unwrap();
    assert!(repository.message.contains("the first push creates it"), "{repository:?}");
    // A registry that does not create repositories.
    let report = connect(writer, &"dev/never".parse().unwrap(), Direction::Push).await;
    failed(&report, CheckKind::Repository, "remoteRepository");
}

#[tokio::test]
async fn a_kind_that_creates_no_repositories_on_push_says_what_to_do_instead() {
    static QUIRKS: Quirks = Quirks {
        creates_on_push: false,
        missing_repository: "Create the repository in the console first",
        ..Quirks::NONE
    };
    let fake = Fake::start(htpasswd).await;
    let endpoint = Endpoint { quirks: &QUIRKS, ..signed_in(fake.endpoint(), "writer", "secret") };
    let report = connect(endpoint.clone(), &"dev/never".parse().unwrap(), Direction::Push).await;
    failed(&report, CheckKind::Repository, "remoteRepository");
    assert_eq!(report.failure().unwrap().remedy.as_deref(), Some(QUIRKS.missing_repository));
    // An upload that begins proves that the repository exists.
    let report = connect(endpoint, &"dev/new".parse().unwrap(), Direction::Push).await;
    let repository = report.checks.iter().find(|check| check.kind == CheckKind::Repository).unwrap();
    assert!(report.usable && repository.message.contains("has no tags yet"), "{report:?}");
}

#[tokio::test]
async fn the_token_realm_is_reported() {
    let fake = Fake::with_own_address(|url| {
        move |seen: &Seen| {
            let challenge = format!(r#"Bearer realm="{url}v2/token",service="s""#);
            match (seen.path.as_str(), seen.authorization()) {
                ("/v2/token", _) => ok_json(r#"{"token":"t"}"#),
                (_, Some("Bearer t")) => ok_json(r#"{"tags":[]}"#),
                _ => answer(401, &[("www-authenticate", &challenge)], ""),
            }
        }
    })
    .await;
    let report = connect(signed_in(fake.endpoint(), "me", "secret"), &repo(), Direction::Pull).await;
    assert!(report.usable, "{report:?}");
    assert_eq!(report.realm, Some(fake.url.join("/v2/token").unwrap().to_string()));
    assert_eq!(report.registry_type, "Longshore");
}

#[tokio::test]
async fn a_server_that_is_not_a_registry_is_reported() {
    let site = Fake::start(|_| answer(200, &[("content-type", "text/html")], "<!doctype html>")).await;
    let message =
        failed(&connect(site.endpoint(), &repo(), Direction::Pull).await, CheckKind::Registry, "remoteHost");
    assert!(message.contains("web page"), "{message}");
    let nothing = Fake::start(|_| answer(404, &[], "not found")).await;
    let report = connect(nothing.endpoint(), &repo(), Direction::Pull).await;
    failed(&report, CheckKind::Registry, "remoteHost");
    let moved = Fake::start(|_| answer(301, &[("location", "https://registry.example/v2/")], "")).await;
    let report = connect(moved.endpoint(), &repo(), Direction::Pull).await;
    failed(&report, CheckKind::Registry, "remoteHost");
    assert_eq!(report.failure().unwrap().remedy.as_deref(), Some("Write https://registry.example"));
    let kerberos = Fake::start(|_| answer(401, &[("www-authenticate", "Negotiate")], "")).await;
    let report = connect(kerberos.endpoint(), &repo(), Direction::Pull).await;
    assert!(failed(&report, CheckKind::Registry, "remoteHost").contains("Negotiate"));
}

#[tokio::test]
async fn an_unknown_host_a_refused_port_and_a_forbidden_address_are_told_apart() {
    let report = connect(endpoint("https://no-such-host.invalid"), &repo(), Direction::Pull).await;
    let message = failed(&report, CheckKind::Reachable, "remoteHost");
    assert!(message.contains("no host named no-such-host.invalid"), "{message}");

    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let report = connect(endpoint(&format!("http://{free}")), &repo(), Direction::Pull).await;
    let message = failed(&report, CheckKind::Reachable, "remoteHost");
    assert!(message.contains("refused the connection"), "{message}");

    let report = connect(endpoint("http://169.254.169.254"), &repo(), Direction::Pull).await;
    let message = failed(&report, CheckKind::Reachable, "remoteHost");
    assert!(message.contains("metadata"), "{message}");

    let mut private = endpoint("http://localhost:1");
    private.network = PrivateRemotes::Administrators.policy(false);
    let report = connect(private, &repo(), Direction::Pull).await;
    let message = failed(&report, CheckKind::Reachable, "remoteHost");
    assert!(message.contains("private address"), "{message}");
}

#[tokio::test]
async fn https_to_a_port_that_speaks_plain_http_is_explained() {
    let fake = Fake::start(htpasswd).await;
    let url = fake.url.as_str().replace("http:", "https:");
    let report = connect(endpoint(&url), &repo(), Direction::Pull).await;
    failed(&report, CheckKind::Tls, "remoteHost");
    let remedy = report.failure().unwrap().remedy.clone().unwrap();
    assert!(remedy.contains(fake.url.as_str().trim_end_matches('/')), "{remedy}");
}
