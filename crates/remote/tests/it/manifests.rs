//! Manifests: digests that are missing, wrong, or right.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use longshore_oci::{Digest, Reference, media_type};
use longshore_remote::Error;

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
