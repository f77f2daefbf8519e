//! Pushing blobs in all supported ways.

use crate::fixture::{House, image, sha256};
use axum::body::{Body, Bytes};
use http::{Method, StatusCode};
use longshore_model::repository::RepositoryChange;
use longshore_oci::{ErrorCode, media_type::OCI_MANIFEST};
use std::io;

#[tokio::test]
async fn a_blob_is_pushed_by_post_and_put() {
    let house = House::new().await;
    let ann = house.by("ann");
    let started = ann.post("/v2/ann/web/blobs/uploads/").await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    assert_eq!(started.header("range"), "0-0");
    let location = started.header("location");
    assert_eq!(location, format!("/v2/ann/web/blobs/uploads/{}", started.header("docker-upload-uuid")));

    let digest = sha256(b"hello");
    let put = ann.send(Method::PUT, &format!("{location}?digest={digest}"), &[], "hello").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
    assert_eq!(put.header("location"), format!("/v2/ann/web/blobs/{digest}"));
    assert_eq!(put.header("docker-content-digest"), digest.as_str());
    assert_eq!(ann.get(put.header("location")).await.bytes, "hello");
    ann.get(location).await.fails(404, ErrorCode::BlobUploadUnknown);
}

#[tokio::test]
async fn a_blob_is_pushed_in_one_request() {
    let house = House::new().await;
    let digest = sha256(b"hello");
    let path = format!("/v2/ann/web/blobs/uploads/?digest={digest}");
    let ann = house.by("ann");
    let pushed = ann.send(Method::POST, &path, &[("content-length", "5")], "hello").await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    assert_eq!(ann.get(pushed.header("location")).await.bytes, "hello");
}

#[tokio::test]
async fn a_blob_is_pushed_in_chunks_and_a_chunk_out_of_order_gets_the_offset() {
    let house = House::new().await;
    let ann = house.by("ann");
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let patch = |range: &'static str, bytes: &'static str| {
        let (ann, location) = (house.by("ann"), location.clone());
        async move { ann.send(Method::PATCH, &location, &[("content-range", range)], bytes).await }
    };
    let first = patch("0-3", "0123").await;
    assert_eq!((first.status, first.header("range")), (StatusCode::ACCEPTED, "0-3"));
    assert_eq!(first.header("location"), location);
    for (range, bytes) in [("8-9", "89"), ("0-3", "0123"), ("3-4", "34")] {
        let refused = patch(range, bytes).await;
        refused.fails(416, ErrorCode::BlobUploadInvalid);
        assert_eq!((refused.header("location"), refused.header("range")), (location.as_str(), "0-3"));
    }
    let status = ann.get(&location).await;
    assert_eq!((status.status, status.header("range")), (StatusCode::NO_CONTENT, "0-3"));
    patch("garbage", "x").await.fails(400, ErrorCode::BlobUploadInvalid);

    let digest = sha256(b"0123456789");
    let end = format!("{location}?digest={digest}");
    let early = ann.send(Method::PUT, &end, &[("content-range", "6-9")], "6789").await;
    early.fails(416, ErrorCode::BlobUploadInvalid);
    // A chunk without a range, as Docker streams it.
    let streamed = ann.send(Method::PATCH, &location, &[], "45").await;
    assert_eq!(streamed.header("range"), "0-5");
    let put = ann.send(Method::PUT, &end, &[("content-range", "6-9")], "6789").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
    assert_eq!(ann.get(put.header("location")).await.bytes, "0123456789");
}

#[tokio::test]
async fn a_client_that_disconnects_during_a_chunk_resumes_after_the_received_bytes() {
    let house = House::new().await;
    let ann = house.by("ann");
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let pieces = [Ok(Bytes::from_static(b"half")), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
    let body = Body::from_stream(futures::stream::iter(pieces));
    ann.send(Method::PATCH, &location, &[], body).await.fails(400, ErrorCode::BlobUploadInvalid);
    // A connection that ends before the announced length has arrived.
    let short = ann.send(Method::PATCH, &location, &[("content-length", "9")], " and").await;
    short.fails(400, ErrorCode::BlobUploadInvalid);
    assert_eq!(ann.get(&location).await.header("range"), "0-7");
    let end = format!("{location}?digest={}", sha256(b"half and half"));
    let put = ann.send(Method::PUT, &end, &[("content-range", "8-12")], " half").await;
    assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
}

#[tokio::test]
async fn an_upload_with_the_wrong_digest_leaves_nothing() {
    let house = House::new().await;
    let ann = house.by("ann");
    house.create("ann/web", RepositoryChange::default()).await;
    let (wanted, actual) = (sha256(b"wanted"), sha256(b"other"));
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let one_request = format!("/v2/ann/web/blobs/uploads/?digest={wanted}");
    for (method, path) in [(Method::PUT, format!("{location}?digest={wanted}")), (Method::POST, one_request)]
    {
        let refused = ann.send(method, &path, &[], "other").await;
        refused.fails(400, ErrorCode::DigestInvalid);
        let detail = &refused.json()["errors"][0]["detail"];
        assert_eq!(detail["expected"], wanted.as_str());
        assert_eq!(detail["actual"], actual.as_str());
    }
    ann.get(&location).await.fails(404, ErrorCode::BlobUploadUnknown);
    for digest in [wanted, actual] {
        ann.get(&format!("/v2/ann/web/blobs/{digest}")).await.fails(404, ErrorCode::BlobUnknown);
    }
}

#[tokio::test]
async fn an_invalid_digest_is_rejected_before_anything_is_created() {
    let house = House::new().await;
    let ann = house.by("ann");
    for query in ["digest=sha256:x", "digest=md5:abc", "mount=x&from=ann/other", "digest-algorithm=md5"] {
        let refused = ann.post(&format!("/v2/ann/new/blobs/uploads/?{query}")).await;
        refused.fails(400, ErrorCode::DigestInvalid);
    }
    assert!(house.repository("ann/new").await.is_none());
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    ann.send(Method::PUT, &location, &[], "x").await.fails(400, ErrorCode::DigestInvalid);
    ann.get("/v2/ann/web/blobs/uploads/not-one-of-ours").await.fails(404, ErrorCode::BlobUploadUnknown);
    ann.get("/v2/ann/new/blobs/uploads/not-one-of-ours").await.fails(404, ErrorCode::NameUnknown);
    assert!(house.repository("ann/new").await.is_none());
}

#[tokio::test]
async fn an_upload_can_be_cancelled() {
    let house = House::new().await;
    let ann = house.by("ann");
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    assert_eq!(ann.delete(&location).await.status, StatusCode::NO_CONTENT);
    // The repository that was created for it was removed too.
    ann.delete(&location).await.fails(404, ErrorCode::NameUnknown);
    assert!(house.repository("ann/web").await.is_none());

    house.create("ann/site", RepositoryChange::default()).await;
    let location = ann.post("/v2/ann/site/blobs/uploads/").await.header("location").to_owned();
    assert_eq!(ann.delete(&location).await.status, StatusCode::NO_CONTENT);
    ann.delete(&location).await.fails(404, ErrorCode::BlobUploadUnknown);
    assert!(house.repository("ann/site").await.is_some());
}

#[tokio::test]
async fn a_first_push_that_fails_leaves_no_repository_behind() {
    let house = House::new().await;
    let ann = house.by("ann");
    let wrong = sha256(b"something else");
    let gone = async |name| house.repository(name).await.is_none();
    let at_once = |name| format!("/v2/{name}/blobs/uploads/?digest={wrong}");
    let put = |location| format!("{location}?digest={wrong}");

    ann.send(Method::POST, &at_once("ann/web"), &[], "hello").await.fails(400, ErrorCode::DigestInvalid);
    assert!(gone("ann/web").await);

    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    assert!(!gone("ann/web").await);
    ann.send(Method::PUT, &put(location), &[], "hello").await.fails(400, ErrorCode::DigestInvalid);
    assert!(gone("ann/web").await);

    let missing = image(&sha256(b"a config that is missing"));
    let refused = ann.put_json("/v2/ann/web/manifests/1.0", OCI_MANIFEST, &missing).await;
    refused.fails(400, ErrorCode::ManifestBlobUnknown);
    assert!(gone("ann/web").await);

    // A repository that contains a blob is kept, whatever fails afterwards.
    house.blob("ann/web", b"layer").await;
    ann.send(Method::POST, &at_once("ann/web"), &[], "hello").await.fails(400, ErrorCode::DigestInvalid);
    assert!(!gone("ann/web").await);

    // So is one that several pushes use: none of them removes it from the others.
    let first = ann.post("/v2/ann/site/blobs/uploads/").await.header("location").to_owned();
    ann.post("/v2/ann/site/blobs/uploads/").await;
    ann.send(Method::PUT, &put(first), &[], "hello").await.fails(400, ErrorCode::DigestInvalid);
    assert!(!gone("ann/site").await);
}

#[tokio::test]
async fn a_chunk_must_have_its_announced_length() {
    let house = House::new().await;
    let ann = house.by("ann");
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let patch = async |headers: &[(&str, &str)], bytes: &'static str| {
        ann.send(Method::PATCH, &location, headers, bytes).await
    };
    patch(&[("content-range", "0-3"), ("content-length", "5")], "12345")
        .await
        .fails(400, ErrorCode::SizeInvalid);
    patch(&[("content-length", "many")], "12345").await.fails(400, ErrorCode::SizeInvalid);
    for range in ["3-0", "0-", "-3", "bytes", "0-3-5"] {
        patch(&[("content-range", range)], "1234").await.fails(400, ErrorCode::BlobUploadInvalid);
    }
    assert_eq!(ann.get(&location).await.header("range"), "0-0");
    // Without a Content-Length, the range announces the length.
    patch(&[("content-range", "0-3")], "12345").await.fails(400, ErrorCode::BlobUploadInvalid);
    assert_eq!(ann.get(&location).await.header("range"), "0-0");
    let taken = patch(&[("content-range", "bytes 0-3/9")], "1234").await;
    assert_eq!((taken.status, taken.header("range")), (StatusCode::ACCEPTED, "0-3"));
}

#[tokio::test]
async fn the_status_of_an_upload_is_the_same_by_get_and_head_and_changes_nothing() {
    let house = House::new().await;
    let ann = house.by("ann");
    let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    ann.send(Method::PATCH, &location, &[], "0123").await;
    for status in [ann.get(&location).await, ann.head(&location).await, ann.get(&location).await] {
        assert_eq!(status.status, StatusCode::NO_CONTENT);
        assert_eq!((status.header("location"), status.header("range")), (location.as_str(), "0-3"));
        assert!(status.bytes.is_empty());
    }
    // It belongs to its repository and to users who may push there.
    let elsewhere = location.replace("ann/web", "ann/site");
    house.create("ann/site", RepositoryChange::default()).await;
    ann.get(&elsewhere).await.fails(404, ErrorCode::BlobUploadUnknown);
    house.by("bob").get(&location).await.fails(403, ErrorCode::Denied);
    house.by("bob").delete(&location).await.fails(403, ErrorCode::Denied);
}

#[tokio::test]
async fn the_last_request_of_an_upload_may_contain_the_whole_blob_the_last_chunk_or_nothing() {
    let house = House::new().await;
    let ann = house.by("ann");
    let end = format!("?digest={}", sha256(b"0123456789"));
    for (parts, last) in [(vec![], "0123456789"), (vec!["01234"], "56789"), (vec!["01234", "56789"], "")] {
        let location = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
        for part in &parts {
            ann.send(Method::PATCH, &location, &[], *part).await;
        }
        let put = ann.send(Method::PUT, &format!("{location}{end}"), &[], last).await;
        assert_eq!(put.status, StatusCode::CREATED, "{parts:?} and {last}: {put:?}");
        assert_eq!(ann.get(put.header("location")).await.bytes, "0123456789");
        assert_eq!(ann.delete(put.header("location")).await.status, StatusCode::ACCEPTED);
    }
}
