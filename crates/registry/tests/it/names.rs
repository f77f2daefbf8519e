//! Names and tags at the limits of their grammar, and beyond.

use crate::fixture::{House, sha256};
use http::StatusCode;
use longshore_oci::ErrorCode;
use longshore_oci::media_type::OCI_MANIFEST;
use serde_json::json;

#[tokio::test]
async fn names_may_be_five_levels_deep_and_contain_the_keywords_of_the_api() {
    let house = House::new().await;
    let name = "ann/blobs/uploads/tags/manifests";
    let (digest, manifest) = house.image(name, "blobs").await;
    let ann = house.by("ann");
    for reference in ["blobs", digest.as_str()] {
        let pulled = ann.get(&format!("/v2/{name}/manifests/{reference}")).await;
        assert_eq!(pulled.bytes, manifest.to_string(), "{reference}");
    }
    let config = sha256(b"{}");
    assert_eq!(ann.get(&format!("/v2/{name}/blobs/{config}")).await.bytes, "{}");
    let tags = ann.get(&format!("/v2/{name}/tags/list")).await.json();
    assert_eq!(tags, json!({ "name": name, "tags": ["blobs"] }));
    ann.get("/v2/ann/blobs/uploads/tags/list").await.fails(404, ErrorCode::NameUnknown);
}

#[tokio::test]
async fn a_name_may_have_at_most_255_characters() {
    let house = House::new().await;
    let longest = format!("ann/{}", "a".repeat(251));
    let (digest, _) = house.image(&longest, "v1").await;
    let ann = house.by("ann");
    let pulled = ann.get(&format!("/v2/{longest}/manifests/{digest}")).await;
    assert_eq!(pulled.status, StatusCode::OK);
    let started = ann.post(&format!("/v2/{longest}a/blobs/uploads/")).await;
    let message = started.fails(400, ErrorCode::NameInvalid);
    assert!(message.contains("at most 255 characters"), "{message}");
}

#[tokio::test]
async fn unusual_but_valid_tags_are_accepted() {
    let house = House::new().await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let longest = "x".repeat(128);
    let tags = ["_", "0", "A", "a..b", "a-._-", "__init__", "v1.0.0_build-7", "list", "sha256", &longest];
    let ann = house.by("ann");
    for tag in tags {
        let path = format!("/v2/ann/web/manifests/{tag}");
        assert_eq!(ann.put_json(&path, OCI_MANIFEST, &manifest).await.status, StatusCode::CREATED, "{tag}");
        assert_eq!(ann.head(&path).await.header("docker-content-digest"), digest.as_str(), "{tag}");
    }
    let mut expected: Vec<&str> = tags.into_iter().chain(["v1"]).collect();
    expected.sort_unstable();
    assert_eq!(ann.get("/v2/ann/web/tags/list").await.json()["tags"], json!(expected));
    for tag in tags {
        let path = format!("/v2/ann/web/manifests/{tag}");
        assert_eq!(ann.delete(&path).await.status, StatusCode::ACCEPTED, "{tag}");
        ann.get(&path).await.fails(404, ErrorCode::ManifestUnknown);
    }
}

#[tokio::test]
async fn an_invalid_tag_is_rejected_by_a_push_and_not_found_by_a_pull() {
    let house = House::new().await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let ann = house.by("ann");
    for tag in [".x", "-x", "a+b", "a%20b", "%C3%A4", &"x".repeat(129)] {
        let path = format!("/v2/ann/web/manifests/{tag}");
        ann.put_json(&path, OCI_MANIFEST, &manifest).await.fails(400, ErrorCode::ManifestInvalid);
        ann.delete(&path).await.fails(400, ErrorCode::ManifestInvalid);
        ann.get(&path).await.fails(404, ErrorCode::ManifestUnknown);
        assert_eq!(ann.head(&path).await.status, StatusCode::NOT_FOUND, "{tag}");
        let by_digest = format!("/v2/ann/web/manifests/{digest}?tag={}", tag.replace('+', "%2B"));
        ann.put_json(&by_digest, OCI_MANIFEST, &manifest).await.fails(400, ErrorCode::ManifestInvalid);
    }
    assert_eq!(ann.get("/v2/ann/web/tags/list").await.json()["tags"], json!(["v1"]));
}

#[tokio::test]
async fn a_name_that_is_invalid_only_here_is_not_found_by_a_pull_and_explained_to_a_push() {
    let house = House::new().await;
    let ann = house.by("ann");
    let too_long = format!("ann/{}", "a".repeat(300));
    for name in ["busybox", too_long.as_str()] {
        for path in ["tags/list", "manifests/latest", &format!("blobs/{}", sha256(b"x"))] {
            ann.get(&format!("/v2/{name}/{path}")).await.fails(404, ErrorCode::NameUnknown);
        }
        ann.post(&format!("/v2/{name}/blobs/uploads/")).await.fails(400, ErrorCode::NameInvalid);
    }
    let message = ann.post("/v2/busybox/blobs/uploads/").await.fails(400, ErrorCode::NameInvalid);
    assert!(message.contains("dev/busybox"), "{message}");
    // Names that the specification forbids are always invalid.
    for name in ["Ann/web", "ann/we_-b", "ann//web", "ann/web-"] {
        ann.get(&format!("/v2/{name}/tags/list")).await.fails(400, ErrorCode::NameInvalid);
    }
}

#[tokio::test]
async fn an_invalid_digest_is_rejected_everywhere() {
    let house = House::new().await;
    let (_, manifest) = house.image("ann/web", "v1").await;
    let ann = house.by("ann");
    let upper = format!("sha256:{}", "A".repeat(64));
    let short_sha512 = format!("sha512:{}", "a".repeat(64));
    for digest in ["sha256:baddigeststring", "sha256:", "md5:d41d8cd98f00b204", &upper, &short_sha512] {
        for path in ["blobs", "manifests", "referrers"] {
            let path = format!("/v2/ann/web/{path}/{digest}");
            ann.get(&path).await.fails(400, ErrorCode::DigestInvalid);
        }
        let path = format!("/v2/ann/web/manifests/{digest}");
        ann.put_json(&path, OCI_MANIFEST, &manifest).await.fails(400, ErrorCode::DigestInvalid);
        let path = format!("/v2/ann/web/blobs/uploads/?digest={digest}");
        ann.post(&path).await.fails(400, ErrorCode::DigestInvalid);
    }
}
