//! Pulling and deleting blobs.

use crate::fixture::{House, sha256};
use axum::body::Body;
use http::{Method, StatusCode};
use longshore_oci::ErrorCode;

#[tokio::test]
async fn head_and_get_return_the_same_headers() {
    let house = House::new().await;
    let digest = house.blob("ann/web", b"0123456789").await;
    let path = format!("/v2/ann/web/blobs/{digest}");
    let ann = house.by("ann");
    let (head, get) = (ann.head(&path).await, ann.get(&path).await);
    for answer in [&head, &get] {
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-length"), "10");
        assert_eq!(answer.header("docker-content-digest"), digest.as_str());
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!((head.bytes.len(), &get.bytes[..]), (0, &b"0123456789"[..]));
    let cached = [("if-none-match", head.header("etag"))];
    for method in [Method::GET, Method::HEAD] {
        let cached = ann.send(method, &path, &cached, Body::empty()).await;
        assert_eq!((cached.status, cached.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(cached.header("docker-content-digest"), digest.as_str());
        assert_eq!(cached.header("content-length"), "10");
    }
    let unknown = format!("/v2/ann/web/blobs/{}", sha256(b"unknown"));
    ann.get(&unknown).await.fails(404, ErrorCode::BlobUnknown);
    assert_eq!(ann.head(&unknown).await.status, StatusCode::NOT_FOUND);
    ann.get("/v2/ann/web/blobs/sha256:short").await.fails(400, ErrorCode::DigestInvalid);
}

#[tokio::test]
async fn a_range_returns_its_part_and_an_unsatisfiable_one_a_416() {
    let house = House::new().await;
    let digest = house.blob("ann/web", b"0123456789").await;
    let empty = house.blob("ann/web", b"").await;
    let get = |digest: &longshore_oci::Digest, range: &'static str| {
        let (ann, path) = (house.by("ann"), format!("/v2/ann/web/blobs/{digest}"));
        async move { ann.send(Method::GET, &path, &[("range", range)], Body::empty()).await }
    };
    for (range, bytes, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=9-", "9", "bytes 9-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
    ] {
        let part = get(&digest, range).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(
            (part.bytes, content_range),
            (bytes.into(), part.headers["content-range"].to_str().unwrap())
        );
        assert_eq!(part.headers["content-length"], bytes.len().to_string());
    }
    for (digest, range, total) in [
        (&digest, "bytes=10-", "10"),
        (&digest, "bytes=-0", "10"),
        (&digest, "bytes=3-1", "10"),
        (&digest, "bytes=99999999999999999999-", "10"),
        (&empty, "bytes=0-0", "0"),
    ] {
        let refused = get(digest, range).await;
        refused.fails(416, ErrorCode::SizeInvalid);
        assert_eq!(refused.header("content-range"), format!("bytes */{total}"));
    }
    // Anything but a single range of bytes must be ignored.
    for range in ["lines=0-3", "bytes=0-1,4-5", "rubbish"] {
        let whole = get(&digest, range).await;
        assert_eq!((whole.status, &whole.bytes[..]), (StatusCode::OK, &b"0123456789"[..]), "{range}");
    }
}

#[tokio::test]
async fn a_range_applies_only_to_the_content_that_the_client_has() {
    let house = House::new().await;
    let digest = house.blob("ann/web", b"0123456789").await;
    let path = format!("/v2/ann/web/blobs/{digest}");
    let known = format!("\"{digest}\"");
    for (if_range, status) in [(known.as_str(), StatusCode::PARTIAL_CONTENT), ("\"another\"", StatusCode::OK)]
    {
        let headers = [("range", "bytes=0-3"), ("if-range", if_range)];
        let got = house.by("ann").send(Method::GET, &path, &headers, Body::empty()).await;
        assert_eq!(got.status, status, "{if_range}");
    }
    // A HEAD describes the whole blob.
    let head = house.by("ann").send(Method::HEAD, &path, &[("range", "bytes=0-3")], Body::empty()).await;
    assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, "10"));
}

#[tokio::test]
async fn a_blob_is_deleted_unless_a_manifest_references_it() {
    let house = House::new().await;
    let (manifest, _) = house.image("ann/web", "v1").await;
    let free = house.blob("ann/web", b"free").await;
    let ann = house.by("ann");
    assert_eq!(ann.delete(&format!("/v2/ann/web/blobs/{free}")).await.status, StatusCode::ACCEPTED);
    ann.get(&format!("/v2/ann/web/blobs/{free}")).await.fails(404, ErrorCode::BlobUnknown);
    assert_eq!(ann.head(&format!("/v2/ann/web/blobs/{free}")).await.status, StatusCode::NOT_FOUND);
    ann.delete(&format!("/v2/ann/web/blobs/{free}")).await.fails(404, ErrorCode::BlobUnknown);
    let config = format!("/v2/ann/web/blobs/{}", sha256(b"{}"));
    let refused = ann.delete(&config).await;
    let message = refused.fails(405, ErrorCode::Unsupported);
    assert!(message.contains(manifest.as_str()), "{message}");
    assert_eq!(refused.header("allow"), "GET, HEAD");
}
