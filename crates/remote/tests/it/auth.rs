//! Authentication, and where credentials are never sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_remote::{Error, Registry};
use url::Url;

use crate::fake::{Fake, answer, basic, error, ok_json, repo, signed_in};

const TAGS: &str = r#"{"name":"dev/web","tags":["v1"]}"#;

/// A registry that takes tokens of its own service at `/token`, for `me` with `secret`.
async fn with_tokens(lifetime: u64) -> Fake {
    let issued = AtomicUsize::new(0);
    Fake::with_own_address(move |url: Url| {
        move |seen: &crate::fake::Seen| {
            if seen.path == "/token" {
                if seen.authorization().is_some_and(|value| value != basic("me", "secret")) {
                    return answer(
                        401,
                        &[],
                        r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#,
                    );
                }
                let number = issued.fetch_add(1, Ordering::Relaxed);
                return ok_json(&format!(r#"{{"token":"t{number}","expires_in":{lifetime}}}"#));
            }
            let challenge = format!(r#"Bearer realm="{url}token",service="fake""#);
            match seen.authorization() {
                Some(value) if value.starts_with("Bearer t") => ok_json(TAGS),
                _ => answer(401, &[("www-authenticate", &challenge)], ""),
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_once_for_each_scope_and_used_until_it_expires() {
    let fake = with_tokens(300).await;
    let registry = fake.registry_as("me", "secret");
    registry.list_tags(&repo(), 10).await.unwrap();
    registry.list_tags(&repo(), 10).await.unwrap();
    registry.list_tags(&"dev/other".parse().unwrap(), 10).await.unwrap();
    let tokens: Vec<_> = fake.seen().into_iter().filter(|seen| seen.path == "/token").collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0].query, "service=fake&scope=repository%3Adev%2Fweb%3Apull&account=me");
    assert_eq!(tokens[0].authorization(), Some(basic("me", "secret").as_str()));
    for seen in fake.seen().iter().filter(|seen| seen.path != "/token") {
        assert!(!seen.authorization().is_some_and(|value| value.starts_with("Basic")), "{seen:?}");
    }
}

#[tokio::test]
async fn concurrent_requests_share_one_token_fetch() {
    let fake = with_tokens(300).await;
    let registry = fake.registry_as("me", "secret");
    let name = repo();
    futures::future::join_all((0..20).map(|_| registry.list_tags(&name, 10)))
        .await
        .into_iter()
        .for_each(|listing| assert!(listing.is_ok()));
    assert_eq!(fake.lines().iter().filter(|line| *line == "GET /token").count(), 1);
}

#[tokio::test]
async fn semantics_24_a_rejected_token_is_renewed_once() {
    let fake = Fake::with_own_address(|url| {
        let issued = AtomicUsize::new(0);
        move |seen: &crate::fake::Seen| {
            if seen.path == "/token" {
                return ok_json(&format!(
                    r#"{{"access_token":"t{}"}}"#,
                    issued.fetch_add(1, Ordering::Relaxed)
                ));
            }
            let challenge = format!(r#"Bearer realm="{url}token",error="invalid_token""#);
            match seen.authorization() {
                Some("Bearer t1") => ok_json(TAGS),
                _ => answer(401, &[("www-authenticate", &challenge)], ""),
            }
        }
    })
    .await;
    let registry = fake.registry_as("me", "secret");
    assert_eq!(registry.list_tags(&repo(), 10).await.unwrap().tags.len(), 1);
    assert_eq!(fake.lines().iter().filter(|line| *line == "GET /token").count(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_reported_with_the_registrys_message() {
    let fake = with_tokens(300).await;
    let error = fake.registry_as("me", "wrong").list_tags(&repo(), 10).await.unwrap_err();
    assert!(matches!(&error, Error::WrongCredentials { username, .. } if username == "me"), "{error}");
    assert!(error.to_string().contains("incorrect username or password"), "{error}");
    assert!(!error.to_string().contains("wrong") && !error.is_transient());
}

#[tokio::test]
async fn basic_credentials_go_with_each_request_once_they_are_asked_for() {
    let fake = Fake::start(|seen| match seen.authorization() {
        Some(value) if value == basic("me", "secret") => ok_json(TAGS),
        _ => answer(401, &[("www-authenticate", "Basic realm=\"Registry\"")], ""),
    })
    .await;
    fake.registry_as("me", "secret").list_tags(&repo(), 10).await.unwrap();
    assert_eq!(fake.lines()[..2], ["GET /v2/", "GET /v2/dev/web/tags/list"]);
    assert!(fake.seen()[1..].iter().all(|seen| seen.authorization().is_some()));
    let error = fake.registry_as("me", "no").list_tags(&repo(), 10).await.unwrap_err();
    assert!(matches!(error, Error::WrongCredentials { .. }), "{error}");
    let error = fake.registry().list_tags(&repo(), 10).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { anonymous: true, .. }), "{error}");
}

#[tokio::test]
async fn an_anonymous_token_needs_no_credentials() {
    let fake = with_tokens(300).await;
    assert!(fake.registry().list_tags(&repo(), 10).await.unwrap().is_complete());
    assert!(fake.seen().iter().all(|seen| seen.path != "/token" || seen.authorization().is_none()));
}

#[tokio::test]
async fn semantics_15_a_changed_realm_gets_no_credentials() {
    let fake = with_tokens(300).await;
    let mut endpoint = signed_in(fake.endpoint(), "me", "secret");
    endpoint.pinned_realm = Some("https://auth.example/token".into());
    let error = Registry::connect_to(endpoint).unwrap().list_tags(&repo(), 10).await.unwrap_err();
    assert!(matches!(&error, Error::RealmChanged { pinned, .. } if pinned == "https://auth.example/token"));
    assert!(fake.seen().iter().all(|seen| seen.authorization().is_none()));

    let mut endpoint = signed_in(fake.endpoint(), "me", "secret");
    endpoint.pinned_realm = Some(fake.url.join("/token").unwrap().to_string());
    assert!(Registry::connect_to(endpoint).unwrap().list_tags(&repo(), 10).await.is_ok());
}

#[tokio::test]
async fn semantics_15_credentials_do_not_follow_a_redirect() {
    let storage = Fake::start(|_| answer(200, &[("content-length", "2")], "ok")).await;
    let target = storage.url.join("/bucket/blob?signature=x").unwrap().to_string();
    let fake = Fake::start(move |seen| match (seen.path.as_str(), seen.authorization()) {
        (_, None) => answer(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        ("/v2/", _) => ok_json("{}"),
        _ => answer(307, &[("location", &target)], ""),
    })
    .await;
    let digest = longshore_oci::Digest::sha256([1; 32]);
    assert!(fake.registry_as("me", "secret").has_blob(&repo(), &digest).await.unwrap());
    assert_eq!(storage.seen().len(), 1);
    assert_eq!(storage.seen()[0].query, "signature=x");
    assert_eq!(storage.seen()[0].authorization(), None);
}

#[tokio::test]
async fn semantics_24_an_expired_redirect_is_requested_again_once() {
    let calls = AtomicUsize::new(0);
    let storage = Fake::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => answer(403, &[], "expired"),
        _ => answer(200, &[("content-length", "2")], "ok"),
    })
    .await;
    let target = storage.url.join("/blob").unwrap().to_string();
    let fake = Fake::start(move |_| answer(307, &[("location", &target)], "")).await;
    let digest = longshore_oci::Digest::sha256([1; 32]);
    assert!(fake.registry().has_blob(&repo(), &digest).await.unwrap());
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn semantics_27_a_redirect_to_a_metadata_address_is_refused() {
    let fake =
        Fake::start(|_| answer(302, &[("location", "http://169.254.169.254/latest/meta-data")], "")).await;
    let error = fake.registry().list_tags(&repo(), 10).await.unwrap_err();
    assert!(matches!(&error, Error::AddressRefused(refused) if refused.host == "169.254.169.254"), "{error}");
}

#[tokio::test]
async fn a_redirect_loop_is_an_error() {
    let fake = Fake::start(|seen| answer(302, &[("location", &seen.path)], "")).await;
    let error = fake.registry().list_tags(&repo(), 10).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
    assert_eq!(fake.seen().len(), 6);
}

#[tokio::test]
async fn a_rate_limit_keeps_its_retry_after() {
    let fake = Fake::start(|_| {
        let mut response = error(429, "TOOMANYREQUESTS", "slow down");
        response.headers_mut().insert("retry-after", "17".parse().unwrap());
        response
    })
    .await;
    let error = fake.registry().list_tags(&repo(), 10).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
    let host = fake.registry().host().to_owned();
    assert_eq!(
        error.to_string(),
        format!(
            "listing the tags of dev/web: {host} answered 429 Too Many Requests (TOOMANYREQUESTS: slow down)"
        )
    );
}
