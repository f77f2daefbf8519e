//! Manifests: digests that are missing, wrong, or right.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use longshore_model::RemoteKind;
use longshore_oci::{Digest, Reference, media_type};
use longshore_remote::Error;

use http::Method;
use longshore_remote::{Endpoint, Registry};
use longshore_testkit::scripted::{ScriptedRegistry, any, on, reply};
use longshore_testkit::{Package, corpus};

use crate::fake::{Fake, answer, error, reference, repo};

const BODY: &str = r#"{"schemaVersion":2}"#;
const WRONG_DIGEST: &str = "sha256:86a8dc4cb6ed0a3ae79044a2c3bd9dfbd7a2aa1f4ea8c5a9c6ef1f9c1c3f8b00";
const TYPE: (&str, &str) = ("content-type", media_type::OCI_MANIFEST);

fn body_digest() -> Digest {
    use sha2::Digest as _;
    Digest::sha256(sha2::Sha256::digest(BODY.as_bytes()).into())
}

#[tokio::test]
async fn semantics_04_an_unchanged_tag_costs_one_head_with_the_one_accept_list() {
    let digest = body_digest().to_string();
    let fake = Fake::start(move |_| answer(200, &[TYPE, ("docker-content-digest", &digest)], BODY)).await;
    let head = fake.registry().head_manifest(&repo(), &reference("v1")).await.unwrap().unwrap();
    assert_eq!((head.digest, head.media_type.as_deref()), (body_digest(), Some(media_type::OCI_MANIFEST)));
    assert_eq!(head.size, Some(BODY.len() as u64));
    assert_eq!(fake.lines(), ["HEAD /v2/dev/web/manifests/v1"]);
    assert_eq!(fake.seen()[0].header("accept"), Some(media_type::ACCEPT_MANIFESTS));
}

#[tokio::test]
async fn semantics_04_a_head_without_digest_falls_back_to_get_and_is_remembered() {
    let fake = Fake::start(|_| answer(200, &[TYPE], BODY)).await;
    let registry = fake.registry();
    for _ in 0..2 {
        let head = registry.head_manifest(&repo(), &reference("v1")).await.unwrap().unwrap();
        assert_eq!(head.digest, body_digest());
    }
    let methods: Vec<_> = fake.seen().into_iter().map(|seen| seen.method.to_string()).collect();
    assert_eq!(methods, ["HEAD", "GET", "GET"]);
}

#[tokio::test]
async fn semantics_04_a_digest_header_that_lies_is_not_believed_again() {
    let fake = Fake::start(|_| answer(200, &[TYPE, ("docker-content-digest", WRONG_DIGEST)], BODY)).await;
    let registry = fake.registry();
    let fetched = registry.get_manifest(&repo(), &reference("v1")).await.unwrap();
    assert_eq!(fetched.digest, body_digest());
    let head = registry.head_manifest(&repo(), &reference("v1")).await.unwrap().unwrap();
    assert_eq!(head.digest, body_digest());
}

#[tokio::test]
async fn a_manifest_asked_by_digest_must_have_it() {
    let fake = Fake::start(|_| answer(200, &[TYPE], BODY)).await;
    let registry = fake.registry();
    let right = Reference::Digest(body_digest());
    assert_eq!(registry.get_manifest(&repo(), &right).await.unwrap().bytes, BODY);
    let wrong = Reference::Digest(Digest::sha256([3; 32]));
    let error = registry.get_manifest(&repo(), &wrong).await.unwrap_err();
    assert!(matches!(&error, Error::DigestMismatch { actual, .. } if *actual == body_digest()), "{error}");
}

#[tokio::test]
async fn a_manifest_that_is_not_there_is_none_to_head_and_an_error_to_get() {
    let fake = Fake::start(|_| error(404, "MANIFEST_UNKNOWN", "manifest unknown")).await;
    assert_eq!(fake.registry().head_manifest(&repo(), &reference("v1")).await.unwrap(), None);
    let error = fake.registry().get_manifest(&repo(), &reference("v1")).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_transient(), "{error}");
    assert!(!fake.registry().delete_manifest(&repo(), &reference("v1")).await.unwrap());
}

#[tokio::test]
async fn a_manifest_without_end_is_cut_off() {
    let fake = Fake::start(|_| answer(200, &[TYPE], vec![b' '; 5 * 1024 * 1024])).await;
    let error = fake.registry().get_manifest(&repo(), &reference("v1")).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
}

#[tokio::test]
async fn a_manifest_is_put_as_it_is_with_the_callers_headers() {
    let subject = Digest::sha256([5; 32]);
    let said = subject.to_string();
    let fake = Fake::start(move |_| answer(201, &[("oci-subject", &said)], "")).await;
    let lineage = (HeaderName::from_static("longshore-lineage"), HeaderValue::from_static("a,b"));
    let outcome = fake
        .registry()
        .put_manifest(&repo(), &reference("v1"), media_type::OCI_MANIFEST, Bytes::from(BODY), &[lineage])
        .await
        .unwrap();
    assert_eq!((outcome.digest, outcome.oci_subject), (body_digest(), Some(subject)));
    let seen = &fake.seen()[0];
    assert_eq!((seen.line().as_str(), &seen.body[..]), ("PUT /v2/dev/web/manifests/v1", BODY.as_bytes()));
    assert_eq!(seen.header("content-type"), Some(media_type::OCI_MANIFEST));
    assert_eq!(seen.header("longshore-lineage"), Some("a,b"));
}

#[tokio::test]
async fn a_missing_blob_is_recognised_by_its_code() {
    let fake = Fake::start(|_| error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown")).await;
    let error = fake
        .registry()
        .put_manifest(&repo(), &reference("v1"), media_type::OCI_MANIFEST, Bytes::from(BODY), &[])
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(&longshore_oci::ErrorCode::ManifestBlobUnknown));
}

/// A registry that holds one image under `v1`, and a client of it.
async fn with_one() -> (ScriptedRegistry, Registry, Package) {
    let registry = ScriptedRegistry::start().await;
    let image = corpus::image(1, 1, 10);
    registry.hold("dev/web", Some("v1"), &image);
    let client =
        Registry::connect_to(Endpoint::new(registry.url().parse().unwrap(), RemoteKind::Other)).unwrap();
    (registry, client, image)
}

#[tokio::test]
async fn semantics_40_whatever_refuses_a_head_is_confirmed_by_a_get() {
    for status in [204, 302, 400, 401, 403, 404, 405, 410, 500, 501] {
        let (registry, client, image) = with_one().await;
        registry.script([on(Method::HEAD, "*/manifests/*").answer(match status {
            401 => reply(401).header("www-authenticate", "Basic realm=\"x\""),
            302 => reply(302).header("location", "/elsewhere"),
            _ => reply(status),
        })]);
        for _ in 0..4 {
            let head = client.head_manifest(&repo(), &reference("v1")).await.unwrap();
            assert_eq!(head.map(|head| head.digest), Some(image.root.clone()), "{status}");
        }
    }
}

#[tokio::test]
async fn semantics_39_a_head_at_an_overloaded_registry_is_not_followed_by_a_get() {
    for answer in [reply(429), reply(502), reply(503), reply(504), reply(403).retry_after(9)] {
        let (registry, client, _) = with_one().await;
        registry.script([on(Method::HEAD, "*/manifests/*").answer(answer)]);
        let error = client.head_manifest(&repo(), &reference("v1")).await.unwrap_err();
        assert!(error.is_transient() && error.may_be_away(), "{error}");
        assert_eq!(registry.log().len(), 1);
    }
}

#[tokio::test]
async fn semantics_40_a_head_that_finds_nothing_is_believed_once_gets_have_agreed() {
    let (registry, client, _) = with_one().await;
    for asked in [2, 2, 2, 1] {
        registry.forget_requests();
        assert_eq!(client.head_manifest(&repo(), &reference("none")).await.unwrap(), None);
        assert_eq!(registry.log().len(), asked);
    }
    registry.forget_requests();
    let optional = client.look_at_manifest(&repo(), &reference("other")).await.unwrap().optional();
    assert_eq!((optional, registry.log().len()), (None, 1), "what need not exist costs one request");
}

#[tokio::test]
async fn semantics_04_a_digest_that_only_head_tells_is_found_out() {
    let (registry, client, image) = with_one().await;
    registry.script([on(Method::HEAD, "*/manifests/v1").headers(|headers| {
        headers.insert("docker-content-digest", HeaderValue::from_static(WRONG_DIGEST));
    })]);
    let told = client.head_manifest(&repo(), &reference("v1")).await.unwrap().unwrap().digest;
    let tag = "v1".parse().unwrap();
    let behind = client.get_behind(&repo(), &tag, &told).await.unwrap().unwrap();
    assert_eq!(behind.digest, image.root);
    let head = client.head_manifest(&repo(), &reference("v1")).await.unwrap().unwrap();
    assert_eq!(head.digest, image.root, "it is not believed again");
    assert_eq!(client.get_behind(&repo(), &"none".parse().unwrap(), &told).await.unwrap(), None);
}

#[tokio::test]
async fn semantics_04_digests_of_a_kind_by_which_nothing_is_found_are_not_gone_by() {
    use sha2::Digest as _;
    let (registry, client, image) = with_one().await;
    let bytes = &image.root_manifest().bytes;
    let told = format!("sha512:{:x}", Bytes::copy_from_slice(&sha2::Sha512::digest(bytes)));
    let header = HeaderValue::from_str(&told).unwrap();
    registry.script([any("*/manifests/*").headers(move |headers| {
        headers.insert("docker-content-digest", header.clone());
    })]);
    let told: Digest = told.parse().unwrap();
    let head = client.head_manifest(&repo(), &reference("v1")).await.unwrap().unwrap();
    assert_eq!(head.digest, told);
    let behind = client.get_behind(&repo(), &"v1".parse().unwrap(), &told).await.unwrap().unwrap();
    assert_eq!(behind.digest, image.root);
    let head = client.head_manifest(&repo(), &reference("v1")).await.unwrap().unwrap();
    assert_eq!(head.digest, image.root, "from then on");
}

#[tokio::test]
async fn nothing_is_asked_for_in_an_encoding() {
    let (registry, client, _) = with_one().await;
    client.get_manifest(&repo(), &reference("v1")).await.unwrap();
    client.list_tags(&repo(), 10).await.unwrap();
    assert!(registry.log().iter().all(|asked| asked.header("accept-encoding") == Some("identity")));
}
