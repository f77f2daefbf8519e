//! The kinds of content that the specifications define, and those that they allow.

use crate::fixture::{Answer, House, descriptor, image, index, sha256, sha512};
use axum::body::Body;
use http::{Method, StatusCode};
use longshore_content::Sparse;
use longshore_oci::media_type::{
    DOCKER_CONFIG, DOCKER_FOREIGN_LAYER, DOCKER_LAYER, DOCKER_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED, OCI_EMPTY, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST,
};
use longshore_oci::{Digest, ErrorCode};
use serde_json::{Value, json};

/// Pushes a manifest under a tag of `ann/web` and checks that it is returned unchanged, by tag and by digest.
async fn goes_and_comes(house: &House, tag: &str, media_type: &str, manifest: &Value) -> Digest {
    let ann = house.by("ann");
    let path = format!("/v2/ann/web/manifests/{tag}");
    let pushed = ann.put_json(&path, media_type, manifest).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    let digest = sha256(manifest.to_string().as_bytes());
    for path in [&path, pushed.header("location")] {
        let (get, head) = (ann.get(path).await, ann.head(path).await);
        assert_eq!(get.bytes, manifest.to_string());
        for answer in [&get, &head] {
            assert_eq!(answer.header("content-type"), media_type);
            assert_eq!(answer.header("docker-content-digest"), digest.as_str());
            assert_eq!(answer.header("content-length"), manifest.to_string().len().to_string());
        }
    }
    digest
}

fn child(digest: &Digest, manifest: &Value, media_type: &str, architecture: &str) -> Value {
    let mut child = descriptor(media_type, digest, manifest.to_string().len());
    child["platform"] = json!({ "os": "linux", "architecture": architecture });
    child
}

#[tokio::test]
async fn docker_schema_2_images_and_lists_keep_their_media_types() {
    let house = House::new().await;
    let (config, layer) = (house.blob("ann/web", b"{}").await, house.blob("ann/web", b"layer").await);
    let image = json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
                        "config": descriptor(DOCKER_CONFIG, &config, 2),
                        "layers": [descriptor(DOCKER_LAYER, &layer, 5)] });
    let digest = goes_and_comes(&house, "image", DOCKER_MANIFEST, &image).await;
    let list = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST,
                       "manifests": [child(&digest, &image, DOCKER_MANIFEST, "amd64")] });
    goes_and_comes(&house, "list", DOCKER_LIST, &list).await;
}

#[tokio::test]
async fn a_docker_manifest_must_contain_its_media_type() {
    let house = House::new().await;
    let mut silent = image(&house.blob("ann/web", b"{}").await);
    silent.as_object_mut().unwrap().remove("mediaType");
    let refused = house.by("ann").put_json("/v2/ann/web/manifests/v1", DOCKER_MANIFEST, &silent).await;
    let message = refused.fails(400, ErrorCode::ManifestInvalid);
    assert!(message.contains("mediaType"), "{message}");
}

#[tokio::test]
async fn schema_1_is_rejected_with_a_remedy() {
    let house = House::new().await;
    house.image("ann/web", "v1").await;
    let schema1 =
        json!({ "schemaVersion": 1, "name": "ann/web", "tag": "old", "fsLayers": [], "history": [] });
    for content_type in [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, "application/json", OCI_MANIFEST] {
        let refused = house.by("ann").put_json("/v2/ann/web/manifests/old", content_type, &schema1).await;
        let message = refused.fails(400, ErrorCode::ManifestInvalid);
        assert!(message.contains("schema 1") && message.contains("push it again"), "{message}");
    }
}

#[tokio::test]
async fn a_manifest_without_content_type_has_the_media_type_that_it_contains() {
    let house = House::new().await;
    let manifest = image(&house.blob("ann/web", b"{}").await);
    let mut silent = manifest.clone();
    silent.as_object_mut().unwrap().remove("mediaType");
    let silent_index = json!({ "schemaVersion": 2, "manifests": [] });
    let ann = house.by("ann");
    for (tag, manifest, media_type) in [
        ("loud", &manifest, OCI_MANIFEST),
        ("silent", &silent, OCI_MANIFEST),
        ("index", &silent_index, OCI_INDEX),
    ] {
        let path = format!("/v2/ann/web/manifests/{tag}");
        let pushed = ann.send(Method::PUT, &path, &[], manifest.to_string()).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
        assert_eq!(ann.head(&path).await.header("content-type"), media_type, "{tag}");
    }
}

#[tokio::test]
async fn parameters_of_the_content_type_are_ignored_and_not_returned() {
    let house = House::new().await;
    let manifest = image(&house.blob("ann/web", b"{}").await);
    let ann = house.by("ann");
    let content_type = [("content-type", &*format!("{OCI_MANIFEST}; charset=utf-8"))];
    let path = "/v2/ann/web/manifests/v1";
    let pushed = ann.send(Method::PUT, path, &content_type, manifest.to_string()).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    assert_eq!(ann.get(path).await.header("content-type"), OCI_MANIFEST);
}

#[tokio::test]
async fn an_artifact_has_its_own_types_and_may_have_no_layers() {
    let house = House::new().await;
    let empty = house.blob("ann/web", b"{}").await;
    let note = house.blob("ann/web", b"a note").await;
    let artifact = |layers: Value| {
        json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.note",
                "config": descriptor(OCI_EMPTY, &empty, 2), "layers": layers })
    };
    let text = descriptor("text/x-note; level=\"odd\"", &note, 6);
    for (tag, layers) in [
        ("with", json!([text])),
        ("empty", json!([descriptor(OCI_EMPTY, &empty, 2)])),
        ("none", json!([])),
        ("null", Value::Null),
    ] {
        goes_and_comes(&house, tag, OCI_MANIFEST, &artifact(layers)).await;
    }
}

#[tokio::test]
async fn unknown_members_and_data_in_descriptors_are_kept() {
    let house = House::new().await;
    let config = house.blob("ann/web", b"{}").await;
    let mut manifest = image(&config);
    manifest["config"]["data"] = json!("e30=");
    manifest["config"]["org.example.custom"] = json!({ "deep": [1, 2.5, null] });
    manifest["org.example.custom"] = json!("kept");
    let digest = goes_and_comes(&house, "v1", OCI_MANIFEST, &manifest).await;
    let mut list = index(&[child(&digest, &manifest, OCI_MANIFEST, "amd64")]);
    list["manifests"][0]["platform"]["os.features"] = json!(["win32k"]);
    list["org.example.custom"] = json!(7);
    goes_and_comes(&house, "all", OCI_INDEX, &list).await;
}

#[tokio::test]
async fn an_index_may_be_empty_or_contain_indexes() {
    let house = House::new().await;
    let empty = index(&[]);
    let digest = goes_and_comes(&house, "empty", OCI_INDEX, &empty).await;
    let inner = index(&[child(&digest, &empty, OCI_INDEX, "amd64")]);
    let digest = goes_and_comes(&house, "inner", OCI_INDEX, &inner).await;
    goes_and_comes(&house, "outer", OCI_INDEX, &index(&[child(&digest, &inner, OCI_INDEX, "arm64")])).await;
}

#[tokio::test]
async fn layers_in_an_index_as_in_buildkits_cache_are_blobs() {
    let house = House::new().await;
    let (config, layer) = (house.blob("ann/web", b"{}").await, house.blob("ann/web", b"layer").await);
    let cache = |layer: &Digest| {
        index(&[
            descriptor(OCI_LAYER_GZIP, layer, 5),
            descriptor("application/vnd.buildkit.cacheconfig.v0", &config, 2),
        ])
    };
    goes_and_comes(&house, "cache", OCI_INDEX, &cache(&layer)).await;
    let ann = house.by("ann");
    ann.delete(&format!("/v2/ann/web/blobs/{layer}")).await.fails(405, ErrorCode::Unsupported);
    let without = cache(&sha256(b"never pushed"));
    let refused = ann.put_json("/v2/ann/web/manifests/v1", OCI_INDEX, &without).await;
    refused.fails(400, ErrorCode::ManifestBlobUnknown);
    let (as_layer, as_child) = (descriptor(OCI_LAYER_GZIP, &layer, 5), descriptor(OCI_MANIFEST, &layer, 5));
    for listed in [vec![as_child.clone()], vec![as_layer, as_child]] {
        let refused = ann.put_json("/v2/ann/web/manifests/v1", OCI_INDEX, &index(&listed)).await;
        refused.fails(400, ErrorCode::ManifestBlobUnknown);
    }
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let house = House::new().await;
    let digest = house.blob("ann/web", b"").await;
    let path = format!("/v2/ann/web/blobs/{digest}");
    for answer in [house.by("ann").get(&path).await, house.by("ann").head(&path).await] {
        assert_eq!((answer.status, answer.bytes.len()), (StatusCode::OK, 0));
        assert_eq!(answer.header("content-length"), "0");
    }
}

#[tokio::test]
async fn semantics_09_non_distributable_layers_may_be_missing() {
    let house = House::new().await;
    let mut manifest = image(&house.blob("ann/web", b"{}").await);
    let foreign = |media_type: &str| {
        let mut layer = descriptor(media_type, &sha256(media_type.as_bytes()), 123);
        layer["urls"] = json!(["https://elsewhere.example/layer"]);
        layer
    };
    manifest["layers"] = json!([
        foreign("application/vnd.oci.image.layer.nondistributable.v1.tar"),
        foreign("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        foreign(DOCKER_FOREIGN_LAYER),
    ]);
    goes_and_comes(&house, "v1", OCI_MANIFEST, &manifest).await;
}

#[tokio::test]
async fn semantics_09_a_subject_may_be_pushed_after_its_referrer() {
    let house = House::new().await;
    let config = house.blob("ann/web", b"{}").await;
    let (subject, mut referrer) = (image(&config), image(&config));
    let digest = sha256(subject.to_string().as_bytes());
    referrer["subject"] = descriptor(OCI_MANIFEST, &digest, subject.to_string().len());
    let referrer_digest = goes_and_comes(&house, "referrer", OCI_MANIFEST, &referrer).await;
    house
        .by("ann")
        .get(&format!("/v2/ann/web/manifests/{digest}"))
        .await
        .fails(404, ErrorCode::ManifestUnknown);
    let referrers = async || {
        let list = house.by("ann").get(&format!("/v2/ann/web/referrers/{digest}")).await.json();
        list["manifests"][0]["digest"].clone()
    };
    assert_eq!(referrers().await, referrer_digest.as_str());
    goes_and_comes(&house, "subject", OCI_MANIFEST, &subject).await;
    assert_eq!(referrers().await, referrer_digest.as_str());
}

#[tokio::test]
async fn semantics_09_a_sparse_manifest_is_accepted_if_configured() {
    let config = sha256(b"{}");
    let mut sparse_image = image(&config);
    sparse_image["layers"] = json!([descriptor(OCI_LAYER_GZIP, &sha256(b"stays away"), 3)]);
    let sparse_index = index(&[descriptor(OCI_MANIFEST, &sha256(b"no platform of ours"), 9)]);

    let strict = House::new().await;
    strict.blob("ann/web", b"{}").await;
    for (media_type, manifest) in [(OCI_MANIFEST, &sparse_image), (OCI_INDEX, &sparse_index)] {
        let refused = strict.by("ann").put_json("/v2/ann/web/manifests/v1", media_type, manifest).await;
        refused.fails(400, ErrorCode::ManifestBlobUnknown);
    }
    let lenient = House::accepting(Sparse::All).await;
    lenient.blob("ann/web", b"{}").await;
    goes_and_comes(&lenient, "image", OCI_MANIFEST, &sparse_image).await;
    goes_and_comes(&lenient, "index", OCI_INDEX, &sparse_index).await;
}

#[tokio::test]
async fn content_by_sha512_is_pushed_tagged_listed_referred_to_and_pulled() {
    let house = House::new().await;
    let ann = house.by("ann");
    let config = sha512(b"{}");
    let started = ann.post("/v2/ann/web/blobs/uploads/?digest-algorithm=sha512").await;
    let location = started.header("location").to_owned();
    assert_eq!(ann.send(Method::PATCH, &location, &[], "{").await.header("range"), "0-0");
    let put = ann.send(Method::PUT, &format!("{location}?digest={config}"), &[], "}").await;
    assert_eq!((put.status, put.header("docker-content-digest")), (StatusCode::CREATED, config.as_str()));
    assert_eq!(ann.get(put.header("location")).await.bytes, "{}");

    let manifest = image(&config);
    let digest = sha512(manifest.to_string().as_bytes());
    let path = format!("/v2/ann/web/manifests/{digest}");
    let pushed = ann.put_json(&format!("{path}?tag=v1&tag=latest"), OCI_MANIFEST, &manifest).await;
    assert_eq!(pushed.header("docker-content-digest"), digest.as_str(), "{pushed:?}");
    for reference in ["v1", "latest", digest.as_str()] {
        let head = ann.head(&format!("/v2/ann/web/manifests/{reference}")).await;
        assert_eq!(head.header("docker-content-digest"), digest.as_str());
    }
    assert_eq!(ann.get("/v2/ann/web/tags/list").await.json()["tags"], json!(["latest", "v1"]));

    let mut referrer = manifest.clone();
    referrer["subject"] = descriptor(OCI_MANIFEST, &digest, manifest.to_string().len());
    let referrer_digest = sha512(referrer.to_string().as_bytes());
    let path = format!("/v2/ann/web/manifests/{referrer_digest}");
    let pushed = ann.put_json(&path, OCI_MANIFEST, &referrer).await;
    assert_eq!(pushed.header("oci-subject"), digest.as_str(), "{pushed:?}");
    let listed = ann.get(&format!("/v2/ann/web/referrers/{digest}")).await.json();
    assert_eq!(listed["manifests"][0]["digest"], referrer_digest.as_str());
    // The same bytes do not exist under their other digest, since nobody pushed that.
    let other = sha256(manifest.to_string().as_bytes());
    ann.get(&format!("/v2/ann/web/manifests/{other}")).await.fails(404, ErrorCode::ManifestUnknown);
}

#[tokio::test]
async fn an_upload_may_finish_with_another_algorithm_than_it_started_with() {
    let house = House::new().await;
    let ann = house.by("ann");
    for (began, digest) in [("sha256", sha512(b"content")), ("sha512", sha256(b"content"))] {
        let started = ann.post(&format!("/v2/ann/web/blobs/uploads/?digest-algorithm={began}")).await;
        let location = started.header("location").to_owned();
        ann.send(Method::PATCH, &location, &[], "con").await;
        let put = ann.send(Method::PUT, &format!("{location}?digest={digest}"), &[], "tent").await;
        assert_eq!(put.status, StatusCode::CREATED, "{put:?}");
        assert_eq!(ann.get(put.header("location")).await.bytes, "content");
    }
}

/// A manifest of exactly this size, without white space.
fn manifest_of(config: &Digest, bytes: usize) -> String {
    let with_note = |note: String| {
        let mut manifest = image(config);
        manifest["annotations"] = json!({ "note": note });
        manifest.to_string()
    };
    with_note("x".repeat(bytes - with_note(String::new()).len()))
}

#[tokio::test]
async fn a_manifest_may_have_at_most_4_mib() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let house = House::new().await;
    let config = house.blob("ann/web", b"{}").await;
    let put = async |manifest: String, announced: bool| -> Answer {
        let length = manifest.len().to_string();
        let headers = [("content-type", OCI_MANIFEST), ("content-length", length.as_str())];
        let headers = &headers[..if announced { 2 } else { 1 }];
        house.by("ann").send(Method::PUT, "/v2/ann/web/manifests/big", headers, Body::from(manifest)).await
    };
    for announced in [true, false] {
        let refused = put(manifest_of(&config, LIMIT + 1), announced).await;
        let message = refused.fails(413, ErrorCode::SizeInvalid);
        assert!(message.contains("4194304"), "{message}");
        let taken = put(manifest_of(&config, LIMIT), announced).await;
        assert_eq!(taken.status, StatusCode::CREATED, "{taken:?}");
    }
    assert_eq!(house.by("ann").get("/v2/ann/web/manifests/big").await.bytes.len(), LIMIT);
}
