//! Token services as they are: what they answer, what challenges leave out, and what ends when.

use http::Method;
use longshore_model::RemoteKind;
use longshore_oci::Digest;
use longshore_remote::{Endpoint, Error, Registry};
use longshore_testkit::ScriptedRegistry;
use longshore_testkit::scripted::{Tokens, any, on, reply};
use serde_json::json;
use std::time::Duration;

use crate::fake::{basic, reference, repo, signed_in};

async fn guarded(tokens: Tokens) -> ScriptedRegistry {
    let registry = ScriptedRegistry::start().await;
    registry.hold("dev/web", Some("v1"), &longshore_testkit::corpus::image(1, 1, 10));
    registry.require_tokens(tokens);
    registry
}

fn endpoint(registry: &ScriptedRegistry) -> Endpoint {
    Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other)
}

fn stranger(registry: &ScriptedRegistry) -> Registry {
    Registry::connect_to(endpoint(registry)).unwrap()
}

fn me(registry: &ScriptedRegistry) -> Registry {
    Registry::connect_to(signed_in(endpoint(registry), "me", "secret")).unwrap()
}

async fn looks(client: &Registry) -> Result<Option<Digest>, Error> {
    Ok(client.head_manifest(&repo(), &reference("v1")).await?.map(|head| head.digest))
}

#[tokio::test]
async fn semantics_40_a_token_that_ended_is_renewed_though_the_answer_is_no_401() {
    let ended = [
        reply(400).error("DENIED", "Your Authorization Token is invalid."),
        reply(403).error("DENIED", "Your authorization token has expired. Reauthenticate and try again."),
        reply(403).header("www-authenticate", r#"Bearer realm="/token",error="invalid_token""#),
    ];
    for answer in ended {
        let registry = guarded(Tokens::new()).await;
        registry.script([on(Method::GET, "*/manifests/v1").times(1).answer(answer.clone())]);
        let client = me(&registry);
        client.get_manifest(&repo(), &reference("v1")).await.unwrap();
        assert_eq!(registry.scopes_asked().len(), 2, "a new token, and the question again");
        // What says so for ever is an error, and not asked for ever.
        registry.script([on(Method::GET, "*/manifests/v1").answer(answer)]);
        let error = client.get_manifest(&repo(), &reference("v1")).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        assert_eq!(registry.scopes_asked().len(), 3);
    }
    let registry = guarded(Tokens::new()).await;
    registry.script([on(Method::GET, "*/manifests/v1").answer(reply(403).error("DENIED", "not yours"))]);
    let error = me(&registry).get_manifest(&repo(), &reference("v1")).await.unwrap_err();
    assert!(error.to_string().contains("not yours"), "{error}");
    assert_eq!(registry.scopes_asked().len(), 1);
}

#[tokio::test]
async fn semantics_40_an_upload_whose_token_ended_with_a_400_is_sent_anew() {
    let registry = guarded(Tokens::new()).await;
    let ended = reply(400).error("DENIED", "Your Authorization Token is invalid.");
    registry.script([on(Method::PUT, "*/blobs/uploads/*").times(1).answer(ended)]);
    let body = bytes::Bytes::from_static(b"hello");
    let digest = longshore_testkit::corpus::digest_of(&body);
    me(&registry).push_blob(&repo(), &digest, &body, None).await.unwrap();
    assert_eq!(registry.count(Method::PUT, "/blobs/uploads/"), 2);
}

#[tokio::test]
async fn semantics_40_a_challenge_that_names_only_pull_does_not_keep_a_push_from_asking_for_more() {
    let registry = guarded(Tokens::new().challenge(|denied| {
        vec![format!(r#"Bearer realm="{}",scope="repository:dev/web:pull""#, denied.realm)]
    }))
    .await;
    for client in [stranger(&registry), me(&registry)] {
        let _upload = client.start_upload(&repo()).await.unwrap();
    }
    assert!(registry.scopes_asked().iter().all(|scopes| *scopes == ["repository:dev/web:pull,push"]));
}

#[tokio::test]
async fn semantics_40_another_name_in_a_challenge_is_asked_for_too_and_from_then_on_at_once() {
    let registry = guarded(Tokens::new().challenge(|denied| {
        vec![format!(r#"Bearer realm="{}",scope="repository:inner/dev/web:pull""#, denied.realm)]
    }))
    .await;
    let client = stranger(&registry);
    looks(&client).await.unwrap().unwrap();
    registry.kill_tokens();
    looks(&client).await.unwrap().unwrap();
    let both = ["repository:dev/web:pull", "repository:inner/dev/web:pull"];
    assert_eq!(registry.scopes_asked(), [both, both]);
}

#[tokio::test]
async fn semantics_40_a_named_scope_that_is_refused_does_not_cost_the_needed_one() {
    let registry = guarded(Tokens::new().challenge(|denied| {
        vec![format!(r#"Bearer realm="{}",scope="repository:inner/dev/web:pull""#, denied.realm)]
    }))
    .await;
    registry.script([any("/token?*inner*").unchecked().status(403)]);
    looks(&stranger(&registry)).await.unwrap().unwrap();
    assert_eq!(registry.scopes_asked(), [["repository:dev/web:pull"]]);
}

#[tokio::test]
async fn semantics_24_one_new_token_and_then_the_answer_stands() {
    let registry = guarded(Tokens::new()).await;
    let client = me(&registry);
    looks(&client).await.unwrap().unwrap();
    registry.kill_tokens();
    looks(&client).await.unwrap().unwrap();
    assert_eq!(registry.scopes_asked().len(), 2);

    let registry = guarded(Tokens::new().grant(|_| false)).await;
    let error = me(&registry).get_manifest(&repo(), &reference("v1")).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { anonymous: false, .. }), "{error}");
    assert_eq!(registry.scopes_asked().len(), 2);
}

#[tokio::test]
async fn semantics_40_odd_token_documents_are_taken() {
    let registry = guarded(Tokens::new().document(|token, _| {
        reply(200)
            .typed("text/plain", json!({"token": "", "access_token": token, "expires_in": "300"}).to_string())
    }))
    .await;
    let client = stranger(&registry);
    looks(&client).await.unwrap().unwrap();
    looks(&client).await.unwrap().unwrap();
    assert_eq!(registry.scopes_asked().len(), 1);

    let registry = guarded(Tokens::new().document(|_, _| reply(200).json(&json!({"token": null})))).await;
    let error = looks(&stranger(&registry)).await.unwrap_err();
    assert!(error.to_string().contains("no token"), "{error}");
}

#[tokio::test]
async fn a_token_is_used_while_it_lives_and_not_after_its_end() {
    // One lives a nanosecond, and has ended before the next request is made.
    for (lifetime, is_kept) in [(300.0, true), (1e-9, false)] {
        let document =
            move |token: &str, _: &_| reply(200).json(&json!({"token": token, "expires_in": lifetime}));
        let registry = guarded(Tokens::new().document(document)).await;
        let client = stranger(&registry);
        looks(&client).await.unwrap();
        let fetched = registry.scopes_asked().len();
        looks(&client).await.unwrap();
        assert_eq!(registry.scopes_asked().len() == fetched, is_kept, "{lifetime}");
    }
}

#[tokio::test]
async fn semantics_39_a_token_service_that_is_too_busy_is_no_wrong_password() {
    for status in [429, 503] {
        let registry = guarded(Tokens::new().account("me", "secret")).await;
        registry.script([any("/token").unchecked().times(1).answer(reply(status).retry_after(7))]);
        let client = me(&registry);
        let error = looks(&client).await.unwrap_err();
        assert!(error.is_transient() && error.may_be_away(), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        looks(&client).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn semantics_40_a_token_service_that_takes_only_post_gets_the_password_grant() {
    for status in [404, 405] {
        let registry = guarded(Tokens::new().account("me", "secret")).await;
        registry.script([on(Method::GET, "/token").unchecked().status(status)]);
        looks(&me(&registry)).await.unwrap().unwrap();
        let posted = registry.log().iter().find(|asked| asked.method == Method::POST).unwrap().clone();
        assert_eq!(posted.authorization(), None);
        assert!(
            String::from_utf8_lossy(&posted.body()).starts_with("grant_type=password&client_id=longshore")
        );
        let error = looks(&stranger(&registry)).await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
    }
}

#[tokio::test]
async fn semantics_40_a_refused_scope_is_no_wrong_password() {
    let registry = guarded(Tokens::new()).await;
    registry.script([any("/token").unchecked().status(403)]);
    let error = looks(&me(&registry)).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { anonymous: false, .. }), "{error}");
}

#[tokio::test]
async fn semantics_40_a_401_without_a_word_is_offered_the_credentials_and_keeps_a_known_scheme() {
    let registry = ScriptedRegistry::start().await;
    registry.hold("dev/web", Some("v1"), &longshore_testkit::corpus::image(1, 1, 10));
    let own = basic("me", "secret");
    registry.script([any("/v2/*").when(move |asked| asked.authorization() != Some(&own)).status(401)]);
    looks(&me(&registry)).await.unwrap().unwrap();

    let registry = guarded(Tokens::new()).await;
    registry.script([on(Method::HEAD, "/v2/*").nth(2).status(401)]);
    let client = me(&registry);
    for _ in 0..3 {
        looks(&client).await.unwrap().unwrap();
    }
    assert_eq!(registry.scopes_asked().len(), 2);
}

#[tokio::test]
async fn semantics_40_a_token_service_may_redirect_within_its_origin_and_nowhere_else() {
    for status in [307, 308] {
        let registry = guarded(Tokens::new()).await;
        registry.script([any("/token").unchecked().times(1).with(move |asked| {
            let to = format!("/token?{}", asked.query);
            Some(reply(status).header("location", to))
        })]);
        assert!(looks(&me(&registry)).await.unwrap().is_some(), "{status}");
    }
    let elsewhere = ScriptedRegistry::start().await;
    let registry = guarded(Tokens::new()).await;
    let away = reply(307).header("location", format!("{}/token", elsewhere.url()));
    registry.script([any("/token").unchecked().answer(away)]);
    let error = looks(&me(&registry)).await.unwrap_err();
    assert!(matches!(&error, Error::BadAnswer { what, .. } if what.contains(&elsewhere.host())), "{error}");
    assert!(elsewhere.log().is_empty());
}

#[tokio::test]
async fn semantics_39_a_403_that_says_when_to_come_back_may_pass() {
    let registry = guarded(Tokens::new()).await;
    registry.script([any("/token").unchecked().answer(reply(403).retry_after(9))]);
    let error = looks(&me(&registry)).await.unwrap_err();
    assert!(error.is_transient() && error.may_be_away() && !error.is_denied(), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
}
