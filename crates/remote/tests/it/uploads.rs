//! Uploads to registries, and the proxies in front of them, as found in the wild.

use bytes::Bytes;
use http::Method;
use longshore_model::RemoteKind;
use longshore_model::remote::Quirks;
use longshore_oci::Digest;
use longshore_remote::{Credentials, Endpoint, Registry};
use longshore_testkit::corpus::digest_of;
use longshore_testkit::scripted::{Asked, Reply, ScriptedRegistry, Tokens, any, on, reply};
use serde_json::json;

use crate::fake::{Fake, answer, repo};

const MB: usize = 1024 * 1024;

fn client(registry: &ScriptedRegistry) -> Registry {
    let mut endpoint = Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other);
    endpoint.credentials = Some(Credentials { username: "me".into(), secret: "secret".to_owned().into() });
    Registry::connect_to(endpoint).unwrap()
}

fn content(size: usize) -> (Digest, Bytes) {
    let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    (digest_of(&bytes), bytes.into())
}

async fn is_stored(client: &Registry, digest: &Digest) -> bool {
    client.has_blob(&repo(), digest).await.unwrap()
}

fn length(asked: &Asked) -> usize {
    asked.header("content-length").map_or(0, |length| length.parse().unwrap())
}

/// What a proxy says that takes no more than so much in one request.
fn at_most(limit: usize) -> impl Fn(&Asked) -> Option<Reply> {
    move |asked| (length(asked) > limit).then(|| reply(413).typed("text/html", "<h1>413</h1>"))
}

#[tokio::test]
async fn semantics_40_a_token_that_ends_during_an_upload_means_a_new_token_and_a_new_upload() {
    for method in [Method::PUT, Method::PATCH] {
        let registry = ScriptedRegistry::start().await;
        registry.require_tokens(Tokens::new());
        let challenge = format!(r#"Bearer realm="{}/token",service="it""#, registry.url());
        registry.script([
            on(method, "*/uploads/*").times(1).answer(reply(401).header("www-authenticate", challenge)),
            on(Method::PUT, "*").times(1).with(at_most(MB)),
        ]);
        let (digest, bytes) = content(3 * MB);
        let client = client(&registry);
        client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
        assert!(is_stored(&client, &digest).await);
        assert!(registry.scopes_asked().len() >= 2, "{:?}", registry.scopes_asked());
    }
}

#[tokio::test]
async fn semantics_40_credentials_that_never_suffice_end_an_upload_after_a_few_tries() {
    let registry = ScriptedRegistry::start().await;
    registry.require_tokens(Tokens::new());
    registry.script([on(Method::PUT, "*/uploads/*").status(401)]);
    let (digest, bytes) = content(100);
    let error = client(&registry).push_blob(&repo(), &digest, &bytes, None).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(registry.count(Method::PUT, "/uploads/") <= 8, "{:#?}", registry.requests());
}

#[tokio::test]
async fn semantics_40_what_is_too_large_for_one_request_goes_in_pieces_and_the_limit_is_remembered() {
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/uploads/*").with(at_most(4 * MB))]);
    let client = client(&registry);
    let (digest, bytes) = content(10 * MB);
    client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    assert!(is_stored(&client, &digest).await);
    let ranges: Vec<String> = registry.headers_seen("content-range");
    assert_eq!(ranges.last().unwrap(), "7864320-10485759", "{ranges:?}");

    registry.forget_requests();
    let (digest, bytes) = content(10 * MB + 1);
    client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    assert!(is_stored(&client, &digest).await);
    assert!(registry.log().iter().all(|asked| length(asked) <= 4 * MB), "the limit is known by now");
    // What fits goes in one request.
    registry.forget_requests();
    let (digest, bytes) = content(MB);
    client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    assert_eq!(registry.count(Method::PATCH, ""), 0);
}

#[tokio::test]
async fn semantics_40_what_is_known_of_a_kind_is_not_learned_by_refusals() {
    static QUIRKS: Quirks =
        Quirks { largest_request: Some(4 * MB as u64), content_apart: true, ..Quirks::NONE };
    let registry = ScriptedRegistry::start().await;
    let url = registry.url().parse().unwrap();
    let endpoint = Endpoint { quirks: &QUIRKS, ..Endpoint::new(url, RemoteKind::Other) };
    let client = Registry::connect_to(endpoint).unwrap();
    for (size, pieces) in [(10 * MB, 3), (100, 1)] {
        registry.forget_requests();
        let (digest, bytes) = content(size);
        client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
        assert!(is_stored(&client, &digest).await);
        assert_eq!(registry.count(Method::PATCH, ""), pieces);
        for asked in registry.log() {
            let most = if asked.method == Method::PUT { 0 } else { 4 * MB };
            assert!(length(&asked) <= most, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn semantics_40_a_size_that_is_refused_in_other_words_means_pieces_too() {
    let too_long = json!({"errors": [{"code": "SIZE_INVALID", "message": "provided length too large"}]});
    for refusal in [reply(416), reply(400).json(&too_long)] {
        let registry = ScriptedRegistry::start().await;
        registry.script([
            any("*/uploads/*").when(|asked| length(asked) > 4 * MB).answer(refusal),
            // It need not tell how far an upload has come.
            on(Method::GET, "*/uploads/*").status(404),
        ]);
        let client = client(&registry);
        let (digest, bytes) = content(10 * MB);
        client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
        assert!(is_stored(&client, &digest).await);
    }
}

#[tokio::test]
async fn semantics_40_a_proxy_that_breaks_the_connection_over_a_large_body_gets_pieces() {
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/uploads/*").when(|asked| length(asked) > MB).disconnect()]);
    let client = client(&registry);
    let (digest, bytes) = content(5 * MB);
    client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    assert!(is_stored(&client, &digest).await);
}

#[tokio::test]
async fn semantics_40_where_no_size_is_small_enough_the_refusal_is_the_error() {
    let registry = ScriptedRegistry::start().await;
    registry.script([any("*/uploads/*").with(at_most(1_000))]);
    let (digest, bytes) = content(2 * MB);
    let error = client(&registry).push_blob(&repo(), &digest, &bytes, None).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 413, "{error}");
    assert!(!error.is_transient());
    assert!(registry.count(Method::POST, "/uploads/") <= 6);
}

#[tokio::test]
async fn pieces_are_as_large_as_the_registry_asks_for() {
    let registry = ScriptedRegistry::start().await;
    registry.script([
        on(Method::POST, "*").headers(|headers| {
            headers.insert("oci-chunk-min-length", (2 * MB).into());
        }),
        any("*/uploads/*").with(at_most(2 * MB)),
    ]);
    let client = client(&registry);
    let (digest, bytes) = content(5 * MB);
    client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    assert!(is_stored(&client, &digest).await);
    for asked in registry.log().iter().filter(|asked| asked.method == Method::PATCH) {
        assert!(length(asked) >= 2 * MB || asked.header("content-range").unwrap().ends_with("5242879"));
    }
}

#[tokio::test]
async fn semantics_40_ranges_that_say_little_or_nonsense_do_not_stop_an_upload() {
    for said in ["", "0-0", "bytes=0-1310719", "nonsense", "0-99999999999"] {
        let registry = ScriptedRegistry::start().await;
        registry.script([
            any("*/uploads/*").with(at_most(2 * MB)),
            on(Method::PATCH, "*").headers(move |headers| {
                headers.remove("range");
                if !said.is_empty() {
                    headers.insert("range", said.parse().unwrap());
                }
            }),
        ]);
        let client = client(&registry);
        let (digest, bytes) = content(5 * MB / 2);
        client
            .push_blob(&repo(), &digest, &bytes, None)
            .await
            .unwrap_or_else(|error| panic!("{said}: {error}"));
        assert!(is_stored(&client, &digest).await, "{said}");
    }
}

#[tokio::test]
async fn semantics_40_an_upload_that_stands_elsewhere_is_asked_and_goes_on_or_begins_anew() {
    for knows in [true, false] {
        let registry = ScriptedRegistry::start().await;
        // The second piece arrives, and the answer says that it was not expected.
        let at = if knows { "0-2621439" } else { "0-0" };
        registry.script([
            any("*/uploads/*").with(at_most(3 * MB)),
            on(Method::PATCH, "*").nth(1).answer(reply(416)),
            on(Method::GET, "*/uploads/*").answer(reply(204).header("range", at)),
        ]);
        let client = client(&registry);
        let (digest, bytes) = content(5 * MB);
        let outcome = client.push_blob(&repo(), &digest, &bytes, None).await;
        // It believed to have had the piece, which is not true here: the digest shows that, and it begins anew, too.
        assert!(outcome.is_ok(), "{knows}: {outcome:?}");
        assert_eq!(registry.count(Method::POST, "/uploads/"), 3, "{knows}");
    }
}

#[tokio::test]
async fn an_upload_that_the_registry_has_forgotten_is_restarted() {
    let registry = ScriptedRegistry::start().await;
    registry.script([on(Method::PUT, "*").times(2).answer(reply(404).error("BLOB_UPLOAD_UNKNOWN", "gone"))]);
    let client = client(&registry);
    let (digest, bytes) = content(1_000);
    client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    assert!(is_stored(&client, &digest).await);
    assert_eq!(registry.count(Method::POST, "/uploads/"), 3);
}

#[tokio::test]
async fn content_goes_before_the_last_request_where_that_takes_none_and_this_is_remembered() {
    let dropped = |asked: &Asked| {
        (length(asked) > 0).then(|| reply(400).error("DIGEST_INVALID", "provided digest did not match"))
    };
    for status in [400, 405, 411, 501] {
        let registry = ScriptedRegistry::start().await;
        registry.script([on(Method::PUT, "*/uploads/*").with(move |asked| match status {
            400 => dropped(asked),
            status => (length(asked) > 0).then(|| reply(status)),
        })]);
        let client = client(&registry);
        let (digest, bytes) = content(1_000);
        client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
        assert!(is_stored(&client, &digest).await, "{status}");
        registry.forget_requests();
        let (digest, bytes) = content(1_001);
        client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
        assert!(is_stored(&client, &digest).await, "{status}");
        assert_eq!(registry.count(Method::POST, "/uploads/"), 1, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_seldom_passes_is_doubted_twice_and_then_final() {
    let answers = [
        reply(400).error("DIGEST_INVALID", "no"),
        reply(400).error("BLOB_UPLOAD_INVALID", "no"),
        reply(409).error("CONFLICT", "no"),
    ];
    for answer in answers {
        let registry = ScriptedRegistry::start().await;
        registry.script([on(Method::PUT, "*/uploads/*").times(1).answer(answer.clone())]);
        let (digest, bytes) = content(1_000);
        let client = client(&registry);
        client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
        assert!(is_stored(&client, &digest).await);
        assert_eq!(registry.count(Method::PATCH, "/uploads/"), 0, "one failure says nothing of the registry");

        registry.script([on(Method::PUT, "*/uploads/*").answer(answer)]);
        registry.forget_requests();
        let (digest, bytes) = content(1_001);
        let error = client.push_blob(&repo(), &digest, &bytes, None).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        assert_eq!(registry.count(Method::POST, "/uploads/"), 3);
    }
}

#[tokio::test]
async fn any_success_status_completes_an_upload() {
    for status in [200, 201, 202, 204] {
        let registry = ScriptedRegistry::start().await;
        registry.script([on(Method::PUT, "*").status(status)]);
        let (digest, bytes) = content(10);
        client(&registry).push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    }
}

#[tokio::test]
async fn semantics_15_no_credentials_go_where_an_upload_is_led_and_nothing_is_deleted_there() {
    let inner = Fake::start(|_| answer(201, &[], "")).await;
    let registry = ScriptedRegistry::start().await;
    registry.require_tokens(Tokens::new());
    let there = inner.url.join("/inner/service?x=1").unwrap().to_string().replace("127.0.0.1", "localhost");
    registry.script([on(Method::POST, "*/uploads/").answer(reply(202).header("location", &there))]);
    let client = client(&registry);
    let upload = client.start_upload(&repo()).await.unwrap();
    client.cancel_upload(&repo(), upload).await.unwrap();
    assert!(inner.seen().is_empty());
    let (digest, bytes) = content(10);
    let _ = client.push_blob(&repo(), &digest, &bytes, None).await;
    assert!(inner.seen().iter().all(|seen| seen.authorization().is_none()));
}

#[tokio::test]
async fn semantics_40_an_address_to_upload_to_may_have_names_as_they_are() {
    let registry = ScriptedRegistry::start().await;
    registry.script([on(Method::POST, "*/uploads/").with(|asked| {
        let session = format!("{}größe?file=ä", asked.path);
        Some(reply(202).header("location", session))
    })]);
    registry.script([on(Method::PUT, "*/uploads/gr%C3%B6%C3%9Fe?file=%C3%A4&*").status(201)]);
    let (digest, bytes) = content(10);
    client(&registry).push_blob(&repo(), &digest, &bytes, None).await.unwrap();
}

#[tokio::test]
async fn an_address_to_upload_to_must_be_one_without_credentials() {
    for location in
        ["ftp://registry.example/", "http://me:secret@127.0.0.1/x", "http://[", "file:///etc/passwd"]
    {
        let registry = ScriptedRegistry::start().await;
        registry.script([on(Method::POST, "*/uploads/").answer(reply(202).header("location", location))]);
        let error = client(&registry).start_upload(&repo()).await.unwrap_err();
        assert!(matches!(error, longshore_remote::Error::BadAnswer { .. }), "{location}: {error}");
    }
}

#[tokio::test]
async fn semantics_40_whether_a_blob_is_there_needs_no_length() {
    let registry = ScriptedRegistry::start().await;
    registry.script([on(Method::HEAD, "*/blobs/*").without("content-length")]);
    let client = client(&registry);
    let (digest, bytes) = content(10);
    assert!(!is_stored(&client, &digest).await);
    client.push_blob(&repo(), &digest, &bytes, None).await.unwrap();
    assert!(is_stored(&client, &digest).await);
    registry.script([on(Method::HEAD, "*/blobs/*").status(403)]);
    assert!(!client.has_blob(&repo(), &digest_of(b"other")).await.unwrap());
}
