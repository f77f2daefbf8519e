//! Many clients at once: on the same blob, the same upload, the same manifest, the same tag.

use crate::fixture::{House, image, sha256};
use futures::future::join_all;
use http::{Method, StatusCode};
use longshore_oci::ErrorCode;
use longshore_oci::media_type::OCI_MANIFEST;
use serde_json::json;

const CLIENTS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn many_push_the_same_blob_at_once_and_all_succeed() {
    let house = House::new().await;
    let content = vec![7; 300_000];
    let digest = sha256(&content);
    let pushes = (0..CLIENTS).map(async |number| {
        // Into one repository and into others, at once and in parts.
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
async fn of_those_who_append_to_one_upload_at_once_one_goes_on_and_the_others_learn_where() {
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
async fn many_push_the_same_manifest_and_move_the_same_tag_at_once() {
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
async fn a_tag_that_is_deleted_while_it_is_pushed_is_there_or_not_and_nothing_between() {
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
