//! Pulling, pushing and deleting manifests.

use crate::fixture::{House, image, sha256};
use axum::body::Body;
use http::{Method, StatusCode};
use longshore_metadata::tags;
use longshore_model::{Author, PolicyId, Provenance};
use longshore_oci::media_type::{
    DOCKER_MANIFEST, DOCKER_SCHEMA1_SIGNED, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST,
};
use longshore_oci::{Digest, ErrorCode, MAX_MANIFEST_BYTES};
use serde_json::json;

#[tokio::test]
async fn a_manifest_is_returned_as_it_was_pushed_regardless_of_accept() {
    let house = House::new().await;
    let config = house.blob("ann/web", b"{}").await;
    // White space and the order of members are kept.
    let bytes = format!(" {} ", image(&config).to_string().replace(',', " ,\n"));
    let ann = house.by("ann");
    let content_type = [("content-type", OCI_MANIFEST)];
    let pushed = ann.send(Method::PUT, "/v2/ann/web/manifests/v1", &content_type, bytes.clone()).await;
    let digest = sha256(bytes.as_bytes());
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    assert_eq!(pushed.header("docker-content-digest"), digest.as_str());
    assert_eq!(pushed.header("location"), format!("/v2/ann/web/manifests/{digest}"));
    for path in ["/v2/ann/web/manifests/v1", pushed.header("location")] {
        let accept = [("accept", DOCKER_MANIFEST)];
        let get = ann.send(Method::GET, path, &accept, Body::empty()).await;
        let head = ann.head(path).await;
        assert_eq!(get.bytes, bytes);
        for answer in [&get, &head] {
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("content-type"), OCI_MANIFEST);
            assert_eq!(answer.header("docker-content-digest"), digest.as_str());
            assert_eq!(answer.header("content-length"), bytes.len().to_string());
        }
        let etag = [("if-none-match", head.header("etag"))];
        for method in [Method::GET, Method::HEAD] {
            let cached = ann.send(method, path, &etag, Body::empty()).await;
            assert_eq!((cached.status, cached.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
            for name in ["etag", "docker-content-digest", "content-length"] {
                assert_eq!(cached.header(name), head.header(name), "{name}");
            }
        }
    }
    ann.get("/v2/ann/web/manifests/v2").await.fails(404, ErrorCode::ManifestUnknown);
    ann.get(&format!("/v2/ann/web/manifests/{config}")).await.fails(404, ErrorCode::ManifestUnknown);
}

#[tokio::test]
async fn a_push_by_digest_sets_the_tags_it_names() {
    let house = House::new().await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let path = format!("/v2/ann/web/manifests/{digest}?tag=1.0&tag=1&tag=latest");
    let pushed = house.by("ann").put_json(&path, OCI_MANIFEST, &manifest).await;
    let set: Vec<_> = pushed.headers.get_all("oci-tag").iter().collect();
    assert_eq!(set, ["1.0", "1", "latest"]);
    let tags = house.by("ann").get("/v2/ann/web/tags/list").await.json();
    assert_eq!(tags["tags"], json!(["1", "1.0", "latest", "v1"]));
    // A tag in the path is set too.
    let both = house.by("ann").put_json("/v2/ann/web/manifests/v2?tag=2", OCI_MANIFEST, &manifest).await;
    assert_eq!((both.status, both.header("oci-tag")), (StatusCode::CREATED, "2"));
    let tags = house.by("ann").get("/v2/ann/web/tags/list").await.json();
    assert_eq!(tags["tags"], json!(["1", "1.0", "2", "latest", "v1", "v2"]));
    let ten: String = (0..10).map(|number| format!("&tag=t{number}")).collect();
    let pushed = house.by("ann").put_json(&format!("{path}{ten}"), OCI_MANIFEST, &manifest).await;
    assert_eq!(pushed.headers.get_all("oci-tag").iter().count(), 13);
    let too_many: String = (0..65).map(|number| format!("&tag=m{number}")).collect();
    let refused = house.by("ann").put_json(&format!("{path}{too_many}"), OCI_MANIFEST, &manifest).await;
    refused.fails(414, ErrorCode::ManifestInvalid);
    let bad = format!("/v2/ann/web/manifests/{digest}?tag=good&tag=.bad");
    house.by("ann").put_json(&bad, OCI_MANIFEST, &manifest).await.fails(400, ErrorCode::ManifestInvalid);
}

#[tokio::test]
async fn a_referrer_is_acknowledged_and_listed() {
    let house = House::new().await;
    let (subject, _) = house.image("ann/web", "v1").await;
    let mut referrer = image(&sha256(b"{}"));
    referrer["artifactType"] = json!("application/vnd.example.sbom");
    referrer["annotations"] = json!({ "org.example.note": "yes" });
    referrer["subject"] = json!({ "mediaType": OCI_MANIFEST, "digest": subject, "size": 1 });
    let digest = sha256(referrer.to_string().as_bytes());
    let ann = house.by("ann");
    let pushed = ann.put_json(&format!("/v2/ann/web/manifests/{digest}"), OCI_MANIFEST, &referrer).await;
    assert_eq!(pushed.header("oci-subject"), subject.as_str(), "{pushed:?}");

    let listed = ann.get(&format!("/v2/ann/web/referrers/{subject}")).await;
    assert_eq!(listed.header("content-type"), OCI_INDEX);
    assert_eq!(
        listed.json(),
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{
            "mediaType": OCI_MANIFEST, "digest": digest, "size": referrer.to_string().len(),
            "artifactType": "application/vnd.example.sbom", "annotations": { "org.example.note": "yes" },
        }]})
    );
    let filtered = |kind: &str| format!("/v2/ann/web/referrers/{subject}?artifactType={kind}");
    let found = ann.get(&filtered("application/vnd.example.sbom")).await;
    assert_eq!(found.header("oci-filters-applied"), "artifactType");
    assert_eq!(found.json()["manifests"].as_array().unwrap().len(), 1);
    let none = ann.get(&filtered("application%2Fother")).await;
    assert_eq!(none.json()["manifests"], json!([]));
    for repository in ["web", "not-there-yet"] {
        let path = format!("/v2/ann/{repository}/referrers/{}", sha256(b"unknown"));
        let unknown = ann.get(&path).await;
        assert_eq!((unknown.status, &unknown.json()["manifests"]), (StatusCode::OK, &json!([])));
    }
    ann.get("/v2/ann/web/referrers/sha256:x").await.fails(400, ErrorCode::DigestInvalid);
}

#[tokio::test]
async fn invalid_manifests_are_rejected_with_the_reason() {
    let house = House::new().await;
    let config = house.blob("ann/web", b"{}").await;
    let (ann, good) = (house.by("ann"), image(&config));
    let path = "/v2/ann/web/manifests/v1";

    let mut incomplete = good.clone();
    let missing = [sha256(b"one"), sha256(b"two")];
    let layer = |digest: &Digest| json!({ "mediaType": OCI_LAYER_GZIP, "digest": digest, "size": 3 });
    incomplete["layers"] = missing.iter().map(layer).collect();
    let refused = ann.put_json(path, OCI_MANIFEST, &incomplete).await;
    refused.fails(400, ErrorCode::ManifestBlobUnknown);
    let named: Vec<_> =
        refused.json()["errors"].as_array().unwrap().iter().map(|e| e["detail"]["digest"].clone()).collect();
    assert_eq!(json!(named), json!(missing));

    let thousands = |number: u32| layer(&sha256(&number.to_le_bytes()));
    incomplete["layers"] = (0..2000).map(thousands).collect();
    let refused = ann.put_json(path, OCI_MANIFEST, &incomplete).await;
    refused.fails(400, ErrorCode::ManifestBlobUnknown);
    assert_eq!(
        refused.json()["errors"].as_array().unwrap().len(),
        100,
        "the number of reported parts is limited"
    );

    let schema1 = json!({ "schemaVersion": 1, "name": "x", "fsLayers": [] });
    let message =
        ann.put_json(path, DOCKER_SCHEMA1_SIGNED, &schema1).await.fails(400, ErrorCode::ManifestInvalid);
    assert!(message.contains("schema 1"), "{message}");
    ann.put_json(path, DOCKER_MANIFEST, &good).await.fails(400, ErrorCode::ManifestInvalid);
    ann.put_json(path, "text/html", &good).await.fails(400, ErrorCode::ManifestInvalid);

    let by_digest = format!("/v2/ann/web/manifests/{}", sha256(b"else"));
    ann.put_json(&by_digest, OCI_MANIFEST, &good).await.fails(400, ErrorCode::DigestInvalid);
    let bad_digest = "/v2/ann/web/manifests/sha256:baddigeststring";
    ann.put_json(bad_digest, OCI_MANIFEST, &good).await.fails(400, ErrorCode::DigestInvalid);
    let long_tag = format!("/v2/ann/web/manifests/{}", "a".repeat(300));
    let message = ann.put_json(&long_tag, OCI_MANIFEST, &good).await.fails(400, ErrorCode::ManifestInvalid);
    assert!(message.contains("at most 128 characters"), "{message}");
    let long_name = format!("/v2/ann/{}/manifests/v1", "a".repeat(300));
    ann.put_json(&long_name, OCI_MANIFEST, &good).await.fails(400, ErrorCode::NameInvalid);

    let large = good.to_string() + &" ".repeat(MAX_MANIFEST_BYTES);
    for length in [None, Some(large.len().to_string())] {
        let headers: Vec<_> = length.iter().map(|length| ("content-length", length.as_str())).collect();
        let refused = ann.send(Method::PUT, path, &headers, large.clone()).await;
        refused.fails(413, ErrorCode::SizeInvalid);
    }
    let tags = ann.get("/v2/ann/web/tags/list").await.json();
    assert_eq!(tags["tags"], json!([]), "a rejected push sets no tag");
}

#[tokio::test]
async fn a_tag_is_deleted_alone_and_a_manifest_with_its_tags() {
    let house = House::new().await;
    let (digest, manifest) = house.image("ann/web", "v1").await;
    let ann = house.by("ann");
    ann.put_json("/v2/ann/web/manifests/v2", OCI_MANIFEST, &manifest).await;
    ann.put_json("/v2/ann/web/manifests/v3", OCI_MANIFEST, &manifest).await;
    assert_eq!(ann.delete("/v2/ann/web/manifests/v1").await.status, StatusCode::ACCEPTED);
    ann.delete("/v2/ann/web/manifests/v1").await.fails(404, ErrorCode::ManifestUnknown);
    let by_digest = format!("/v2/ann/web/manifests/{digest}");
    assert_eq!(ann.get(&by_digest).await.status, StatusCode::OK);
    assert_eq!(ann.delete(&by_digest).await.status, StatusCode::ACCEPTED);
    ann.get(&by_digest).await.fails(404, ErrorCode::ManifestUnknown);
    assert_eq!(ann.get("/v2/ann/web/tags/list").await.json()["tags"], json!([]));
}

#[tokio::test]
async fn semantics_05_the_lineage_sent_by_another_longshore_is_stored_with_the_tag() {
    let house = House::new().await;
    let (_, manifest) = house.image("ann/web", "v1").await;
    let passed = [PolicyId::new(), PolicyId::new()];
    let lineage = format!("{},{}", passed[0], passed[1]);
    let headers = [("content-type", OCI_MANIFEST), ("longshore-lineage", lineage.as_str())];
    let ann = house.by("ann");
    ann.send(Method::PUT, "/v2/ann/web/manifests/v2", &headers, manifest.to_string()).await;
    let repository = house.repository("ann/web").await.unwrap();
    let mut conn = house.db.read().await.unwrap();
    let tag = tags::find(&mut conn, repository.id, &"v2".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(tag.lineage.policies(), passed);
    assert_eq!(tag.author, Author::User { name: "ann".parse().unwrap() });
    assert_eq!(tag.provenance, Provenance::Push);
}

#[tokio::test]
async fn every_endpoint_lists_the_methods_that_it_supports() {
    let house = House::new().await;
    let (digest, _) = house.image("ann/web", "v1").await;
    let ann = house.by("ann");
    let upload = ann.post("/v2/ann/web/blobs/uploads/").await.header("location").to_owned();
    for (path, allowed) in [
        ("/v2/", "GET, HEAD"),
        ("/v2/_catalog", "GET, HEAD"),
        ("/v2/ann/web/tags/list", "GET, HEAD"),
        (&format!("/v2/ann/web/referrers/{digest}"), "GET, HEAD"),
        ("/v2/ann/web/manifests/v1", "GET, HEAD, PUT, DELETE"),
        (&format!("/v2/ann/web/blobs/{digest}"), "GET, HEAD, DELETE"),
        ("/v2/ann/web/blobs/uploads/", "POST"),
        (&upload, "GET, HEAD, PATCH, PUT, DELETE"),
        ("/v2/token", "GET, POST"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            if allowed.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let refused = ann.send(method.clone(), path, &[], "").await;
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(refused.header("allow"), allowed, "{method} {path}");
        }
    }
    for path in ["/v2/nothing/here", "/v2/ann/web/tags", "/v2/ann/web/tags/list/", "/v2/ann/web/blobs/"] {
        let status = ann.get(path).await.status;
        assert!(status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST, "{path}: {status}");
    }
}
