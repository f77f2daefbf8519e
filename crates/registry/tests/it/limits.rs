//! Rejections: an immutable tag, an exceeded quota, a deleted repository, and a digest of another user.

use crate::fixture::{House, NOBODY, image, sha256};
use futures::FutureExt;
use http::{Method, StatusCode};
use longshore_metadata::{Error, Priority, storage};
use longshore_model::repository::RepositoryChange;
use longshore_model::{Author, ImmutableTags, Visibility};
use longshore_oci::ErrorCode;
use longshore_oci::media_type::OCI_MANIFEST;

#[tokio::test]
async fn an_immutable_tag_is_neither_moved_nor_deleted_and_the_client_learns_why() {
    let house = House::new().await;
    let patterns = ImmutableTags::Matching("v*".parse().unwrap());
    let fixed = RepositoryChange { immutable_tags: Some(patterns), ..Default::default() };
    house.create("ann/web", fixed).await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let mut other = manifest.clone();
    other["annotations"] = serde_json::json!({ "a": "b" });
    let ann = house.by("ann");
    let message = "the tag v1 of ann/web is immutable and stays at";
    for refused in [
        ann.put_json("/v2/ann/web/manifests/v1", OCI_MANIFEST, &other).await,
        ann.delete("/v2/ann/web/manifests/v1").await,
        ann.delete(&format!("/v2/ann/web/manifests/{digest}")).await,
    ] {
        let told = refused.fails(409, ErrorCode::Denied);
        assert!(told.starts_with(message) && told.contains("in the settings of ann/web"), "{told}");
    }
    // Pushing the same image again is no change, and other tags are mutable.
    for (path, body) in [("v1", &manifest), ("latest", &manifest), ("latest", &other)] {
        let path = format!("/v2/ann/web/manifests/{path}");
        assert_eq!(ann.put_json(&path, OCI_MANIFEST, body).await.status, StatusCode::CREATED);
    }
    assert_eq!(ann.delete("/v2/ann/web/manifests/latest").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_push_that_exceeds_the_quota_is_denied_with_the_numbers() {
    let house = House::new().await;
    house.blob("ann/web", b"12345678").await;
    let set = house.db.write::<_, Error, _>(Priority::Normal, |tx| {
        async move { storage::set_quota(tx, &"ann".parse().unwrap(), Some(10)).await }.boxed()
    });
    assert!(set.await.unwrap());
    let ann = house.by("ann");
    let more = sha256(b"more");
    let path = format!("/v2/ann/web/blobs/uploads/?digest={more}");
    let refused = ann.send(Method::POST, &path, &[], "more").await;
    let message = refused.fails(403, ErrorCode::Denied);
    assert!(
        message.starts_with("the namespace ann may hold 10 B, holds 8 B and would need 4 B more"),
        "{message}"
    );
    // A body that is announced as too large is not read at all.
    let headers = [("content-length", "100000000000")];
    ann.send(Method::POST, &path, &headers, "more").await.fails(403, ErrorCode::Denied);
    house.blob("bob/web", b"more").await;
    let mount = format!("/v2/ann/web/blobs/uploads/?mount={more}&from=bob/web");
    house.by("root").post(&mount).await.fails(403, ErrorCode::Denied);
    // Content that already exists does not count again.
    house.blob("ann/other", b"12345678").await;
    house.blob("ann/web", b"ok").await;
}

#[tokio::test]
async fn semantics_23_a_deleted_repository_is_not_found_and_its_name_stays_reserved() {
    let house = House::new().await;
    house
        .create("ann/web", RepositoryChange { visibility: Some(Visibility::Public), ..Default::default() })
        .await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let web = house.repository("ann/web").await.unwrap();
    house.content.delete_repository(&web, &Author::System).await.unwrap();
    let (ann, blob) = (house.by("ann"), sha256(b"{}"));
    for path in ["manifests/v1", &format!("manifests/{digest}"), &format!("blobs/{blob}"), "tags/list"] {
        let path = format!("/v2/ann/web/{path}");
        ann.get(&path).await.fails(404, ErrorCode::NameUnknown);
        house.by(NOBODY).get(&path).await.fails(401, ErrorCode::Unauthorized);
    }
    let catalog = ann.get("/v2/_catalog").await.json();
    assert_eq!(catalog["repositories"], serde_json::json!([]));
    let message = ann.post("/v2/ann/web/blobs/uploads/").await.fails(403, ErrorCode::Denied);
    assert!(message.contains("restore or purge that one"), "{message}");
    ann.put_json("/v2/ann/web/manifests/v1", OCI_MANIFEST, &manifest).await.fails(403, ErrorCode::Denied);
    // Its blobs cannot be mounted either.
    let mount = format!("/v2/ann/other/blobs/uploads/?mount={blob}&from=ann/web");
    assert_eq!(ann.post(&mount).await.status, StatusCode::ACCEPTED, "the client uploads instead");

    assert!(house.content.restore_repository(&web, &Author::System).await.unwrap());
    assert_eq!(house.by(NOBODY).get("/v2/ann/web/manifests/v1").await.status, StatusCode::OK);
}

#[tokio::test]
async fn knowing_a_digest_of_an_unreadable_repository_gives_no_access() {
    let house = House::new().await;
    let (secret, _) = house.image("ann/secret", "v1").await;
    let layer = house.blob("ann/secret", b"the layer of ann").await;
    house.create("bob/web", RepositoryChange::default()).await;
    let bob = house.by("bob");
    for name in ["bob/web", "ann/secret"] {
        for path in [format!("blobs/{layer}"), format!("manifests/{secret}")] {
            let path = format!("/v2/{name}/{path}");
            assert_eq!(bob.send(Method::HEAD, &path, &[], "").await.status, StatusCode::NOT_FOUND);
            assert_eq!(bob.get(&path).await.status, StatusCode::NOT_FOUND);
        }
    }
    for from in ["", "&from=ann/secret", "&from=ann/none"] {
        let mount = bob.post(&format!("/v2/bob/web/blobs/uploads/?mount={layer}{from}")).await;
        assert_eq!(mount.status, StatusCode::ACCEPTED, "an upload begins, as for an unknown digest: {from}");
    }
    let naming = image(&layer);
    let refused = bob.put_json("/v2/bob/web/manifests/v1", OCI_MANIFEST, &naming).await;
    refused.fails(400, ErrorCode::ManifestBlobUnknown);
    // Deleting it in one's own repository reveals nothing either.
    bob.delete(&format!("/v2/bob/web/blobs/{layer}")).await.fails(404, ErrorCode::BlobUnknown);
}
