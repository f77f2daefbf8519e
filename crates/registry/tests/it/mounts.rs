//! Mounting blobs from other repositories.

use crate::fixture::{Answer, Client, House, sha256, sha512};
use http::StatusCode;
use longshore_model::Visibility;
use longshore_model::repository::RepositoryChange;
use longshore_oci::{Challenge, Digest, ErrorCode, parse_challenges};

async fn mount(client: &Client<'_>, to: &str, digest: &Digest, from: Option<&str>) -> Answer {
    let from = from.map_or(String::new(), |from| format!("&from={from}"));
    client.post(&format!("/v2/{to}/blobs/uploads/?mount={digest}{from}")).await
}

#[track_caller]
fn is_mounted(answer: &Answer, to: &str, digest: &Digest) {
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.header("location"), format!("/v2/{to}/blobs/{digest}"));
    assert_eq!(answer.header("docker-content-digest"), digest.as_str());
}

#[track_caller]
fn is_upload(answer: &Answer, to: &str) {
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    assert!(answer.header("location").starts_with(&format!("/v2/{to}/blobs/uploads/")), "{answer:?}");
}

async fn make_public(house: &House, name: &str) {
    let public = RepositoryChange { visibility: Some(Visibility::Public), ..Default::default() };
    house.change(name, public).await;
}

#[tokio::test]
async fn a_blob_is_mounted_from_a_repository_that_the_actor_may_read_and_uploaded_otherwise() {
    let house = House::new().await;
    let digest = house.blob("ann/base", b"layer").await;
    let (ann, bob) = (house.by("ann"), house.by("bob"));
    is_mounted(&mount(&ann, "ann/app", &digest, Some("ann/base")).await, "ann/app", &digest);
    assert_eq!(ann.get(&format!("/v2/ann/app/blobs/{digest}")).await.bytes, "layer");

    // Not from a repository that is unreadable, that lacks the blob, or that does not exist.
    for from in ["ann/base", "bob/none", "no-such", "ann/none", "Not-A-Name"] {
        is_upload(&mount(&bob, "bob/app", &digest, Some(from)).await, "bob/app");
    }
    is_upload(&mount(&ann, "ann/app", &sha256(b"nowhere"), Some("ann/base")).await, "ann/app");
    bob.get(&format!("/v2/bob/app/blobs/{digest}")).await.fails(404, ErrorCode::BlobUnknown);

    make_public(&house, "ann/base").await;
    is_mounted(&mount(&bob, "bob/app", &digest, Some("ann/base")).await, "bob/app", &digest);
}

#[tokio::test]
async fn a_mount_without_a_source_finds_only_blobs_that_the_actor_may_read() {
    let house = House::new().await;
    let digest = house.blob("ann/base", b"layer").await;
    let (ann, bob) = (house.by("ann"), house.by("bob"));
    is_mounted(&mount(&ann, "ann/app", &digest, None).await, "ann/app", &digest);
    assert_eq!(ann.get(&format!("/v2/ann/app/blobs/{digest}")).await.bytes, "layer");
    // To an actor who may not read it, it looks as if it did not exist.
    for digest in [&digest, &sha256(b"nowhere")] {
        is_upload(&mount(&bob, "bob/app", digest, None).await, "bob/app");
        bob.get(&format!("/v2/bob/app/blobs/{digest}")).await.fails(404, ErrorCode::BlobUnknown);
    }
    make_public(&house, "ann/base").await;
    is_mounted(&mount(&bob, "bob/app", &digest, None).await, "bob/app", &digest);
}

#[tokio::test]
async fn a_mount_supports_sha512_and_so_does_the_upload_in_its_place() {
    let house = House::new().await;
    let digest = sha512(b"layer");
    house.blob_as("ann/base", &digest, b"layer").await;
    let ann = house.by("ann");
    is_mounted(&mount(&ann, "ann/app", &digest, Some("ann/base")).await, "ann/app", &digest);
    let other = sha512(b"other");
    let started = mount(&ann, "ann/app", &other, Some("ann/base")).await;
    let end = format!("{}?digest={other}", started.header("location"));
    let put = ann.send(http::Method::PUT, &end, &[], "other").await;
    assert_eq!(put.header("docker-content-digest"), other.as_str(), "{put:?}");
}

#[tokio::test]
async fn a_token_allows_mounting_only_from_the_repositories_that_it_names() {
    let house = House::new().await;
    let digest = house.blob("bob/base", b"layer").await;
    // Root may read everything; a token of root only what it names.
    let push = "repository:ann/app:pull,push";
    let narrow = house.bearing_for("root", &[push]).await;
    is_upload(&mount(&narrow, "ann/app", &digest, None).await, "ann/app");
    let refused = mount(&narrow, "ann/app", &digest, Some("bob/base")).await;
    refused.fails(401, ErrorCode::Unauthorized);
    let challenge = parse_challenges(refused.header("www-authenticate"));
    let Some(Challenge::Bearer { scope: Some(scope), .. }) = challenge.first() else { panic!("{refused:?}") };
    assert_eq!(scope, &format!("{push} repository:bob/base:pull"));

    let scopes: Vec<&str> = scope.split(' ').collect();
    let wide = house.bearing_for("root", &scopes).await;
    is_mounted(&mount(&wide, "ann/app", &digest, Some("bob/base")).await, "ann/app", &digest);
    // An actor who may not read the source does not learn of it, and uploads.
    let anns = house.bearing_for("ann", &[push]).await;
    is_upload(&mount(&anns, "ann/app", &digest, Some("bob/base")).await, "ann/app");
}

#[tokio::test]
async fn a_token_allows_mounting_from_public_repositories_and_the_namespace_it_pushes_to() {
    let house = House::new().await;
    let (own, public) = (house.blob("ann/base", b"own").await, house.blob("bob/public", b"public").await);
    make_public(&house, "bob/public").await;
    let ann = house.bearing_for("ann", &["repository:ann/app:pull,push"]).await;
    for (digest, source) in [(&own, "ann/base"), (&public, "bob/public")] {
        for from in [None, Some(source)] {
            is_mounted(&mount(&ann, "ann/app", digest, from).await, "ann/app", digest);
        }
    }
}
