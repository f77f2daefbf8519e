//! Concurrent clients: on the same blob, the same upload, the same manifest, the same tag.

use crate::fixture::{House, image, sha256};
use axum::body::Body;
use futures::future::join_all;
use http::{Method, StatusCode};
use longshore_oci::ErrorCode;
use longshore_oci::media_type::OCI_MANIFEST;
use longshore_testkit::eventually;
use serde_json::json;
use std::time::Duration;

const CLIENTS: usize = 12;
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_pushes_of_the_same_blob_all_succeed() {
    let house = House::new().await;
    let content = vec![7; 300_000];
    let digest = sha256(&content);
    let pushes = (0..CLIENTS).map(async |number| {
        // Into one repository and into others, in one request and in chunks.
        let name = ["ann/web", "ann/site", "ann/shop"][number % 3];
        let ann = house.by("ann");
        if number % 2 == 0 {
            let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
            return ann.send(Method::POST, &path, &[], content.clone()).await;
        }
        let location = ann.post(&format!("/v2/{name}/blobs/uploads/")).await.header("location").to_owned();
        ann.send(Method::PATCH, &location, &[], content[..100_000].to_vec()).await;
        let end = format!("{location}?digest={digest}");
        ann.send(Method::PUT, &end, &[], content[100_000..].to_vec()).await
    });
    for pushed in join_all(pushes).await {
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    }
    for name in ["ann/web", "ann/site", "ann/shop"] {
        assert_eq!(house.by("ann").get(&format!("/v2/{name}/blobs/{digest}")).await.bytes, content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_appends_to_one_upload_one_succeeds_and_the_others_get_the_offset() {
    let house = House::new().await;
    let location = house.by("ann").post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    let appends = (0..CLIENTS).map(async |_| {
        let range = [("content-range", "0-99999")];
        house.by("ann").send(Method::PATCH, &location, &range, vec![7; 100_000]).await
    });
    let answers = join_all(appends).await;
    let (taken, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::ACCEPTED);
    assert_eq!(taken.len(), 1);
    for answer in refused {
        answer.fails(416, ErrorCode::BlobUploadInvalid);
        assert_eq!(answer.header("location"), location);
    }
    assert_eq!(house.by("ann").get(&location).await.header("range"), "0-99999");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_pushes_of_the_same_manifest_and_tag_all_succeed() {
    let house = House::new().await;
    let config = house.blob("ann/web", b"{}").await;
    let manifests: Vec<_> = (0..3)
        .map(|number| {
            let mut manifest = image(&config);
            manifest["annotations"] = json!({ "number": number.to_string() });
            manifest
        })
        .collect();
    let pushes = (0..CLIENTS).map(|number| {
        let (ann, manifest) = (house.by("ann"), &manifests[number % 3]);
        async move { ann.put_json("/v2/ann/web/manifests/latest", OCI_MANIFEST, manifest).await }
    });
    for pushed in join_all(pushes).await {
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    }
    let ann = house.by("ann");
    let digests = manifests.iter().map(|manifest| sha256(manifest.to_string().as_bytes()));
    for digest in digests.clone() {
        let got = ann.get(&format!("/v2/ann/web/manifests/{digest}")).await;
        assert_eq!(sha256(&got.bytes), digest);
    }
    let latest = ann.get("/v2/ann/web/manifests/latest").await;
    assert!(digests.clone().any(|digest| digest == sha256(&latest.bytes)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_deleted_while_it_is_pushed_either_exists_or_not() {
    let house = House::new().await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let work = (0..CLIENTS).map(|number| {
        let (ann, manifest) = (house.by("ann"), &manifest);
        async move {
            let path = "/v2/ann/web/manifests/v1";
            match number % 2 {
                0 => ann.delete(path).await.status,
                _ => ann.put_json(path, OCI_MANIFEST, manifest).await.status,
            }
        }
    });
    for status in join_all(work).await {
        assert!(
            [StatusCode::ACCEPTED, StatusCode::NOT_FOUND, StatusCode::CREATED].contains(&status),
            "{status}"
        );
    }
    let ann = house.by("ann");
    let tagged = ann.get("/v2/ann/web/tags/list").await.json()["tags"] == json!(["v1"]);
    let got = ann.head("/v2/ann/web/manifests/v1").await;
    assert_eq!(got.status == StatusCode::OK, tagged);
    assert_eq!(ann.head(&format!("/v2/ann/web/manifests/{digest}")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_a_first_push_may_be_concurrent() {
    for house in [House::new().await, House::on_postgres().await] {
        for name in 0..10 {
            let path = format!("/v2/ann/new{name}/blobs/uploads/");
            let starts = (0..CLIENTS).map(async |_| house.by("ann").post(&path).await);
            for started in join_all(starts).await {
                assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_push_does_not_remove_a_new_repository_that_another_push_uses() {
    for house in [House::new().await, House::on_postgres().await] {
        let digest = sha256(b"all of it");
        let path = format!("/v2/ann/new/blobs/uploads/?digest={digest}");
        let (send, body) = futures::channel::mpsc::unbounded::<std::io::Result<&[u8]>>();
        let streams = house.by("ann");
        let stored = streams.send(Method::POST, &path, &[], Body::from_stream(body));
        let meanwhile = async {
            send.unbounded_send(Ok(b"all ")).unwrap();
            eventually("the first push makes its repository", SOON, async || {
                house.repository("ann/new").await
            })
            .await;
            let other =
                house.by("ann").post("/v2/ann/new/blobs/uploads/").await.header("location").to_owned();
            assert_eq!(house.by("ann").delete(&other).await.status, StatusCode::NO_CONTENT);
            let wrong = format!("/v2/ann/new/blobs/uploads/?digest={}", sha256(b"else"));
            house.by("ann").post(&wrong).await.fails(400, ErrorCode::DigestInvalid);
            send.unbounded_send(Ok(b"of it")).unwrap();
            drop(send);
        };
        let (stored, ()) = tokio::join!(stored, meanwhile);
        assert_eq!(stored.status, StatusCode::CREATED, "{stored:?}");
        assert_eq!(house.by("ann").get(stored.header("location")).await.bytes, "all of it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_failing_pushes_do_not_fail_those_that_begin() {
    for house in [House::new().await, House::on_postgres().await] {
        for name in 0..10 {
            let path = format!("/v2/ann/new{name}/blobs/uploads/");
            let wrong = format!("{path}?digest={}", sha256(b"else"));
            let starts = (0..CLIENTS).map(async |number| match number % 2 {
                0 => house.by("ann").post(&wrong).await,
                _ => house.by("ann").post(&path).await,
            });
            for (number, answer) in join_all(starts).await.into_iter().enumerate() {
                let expected = if number % 2 == 0 { StatusCode::BAD_REQUEST } else { StatusCode::ACCEPTED };
                assert_eq!(answer.status, expected, "{answer:?}");
            }
        }
    }
}
