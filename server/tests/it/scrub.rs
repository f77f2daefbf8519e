//! Verifying storage with the real binary.

use longshore_testkit::{DockerRegistry, Longshore, corpus, eventually};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

use crate::support::{SOON, longshore, remote, repositories, user};

async fn scrub(server: &Longshore) -> Value {
    let rest = server.rest();
    let job = rest.post("/jobs", json!({"action": "scrub"})).await.expect(202);
    let path = format!("/jobs/{}", job["id"].as_str().expect("a job has an id"));
    eventually("the scrub", SOON, async || {
        let job = rest.get(&path).await.expect(200);
        if job["status"] == "done" || job["status"] == "errored" { Ok(job) } else { Err(job) }
    })
    .await
}

async fn log_of(server: &Longshore, job: &Value) -> String {
    let id = job["id"].as_str().expect("a job has an id");
    server.rest().get(&format!("/jobs/{id}/logs")).await.expect(200).to_string()
}

/// Damages the biggest blob of a package, and returns its file.
fn spoil(server: &Longshore, package: &corpus::Package) -> PathBuf {
    let (digest, bytes) = package.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).expect("blobs");
    let folder = server.data().join("content/blobs/sha256");
    let file = folder.join(&digest.hex()[..2]).join(digest.hex());
    fs::write(&file, vec![0; bytes.len()]).expect("the blob exists");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_blob_is_reported_and_fetched_again_through_its_mirror() {
    let server = longshore().await;
    let other = DockerRegistry::plain().await;
    repositories(&server.rest(), &["vendor/copy", "dev/web"]).await;
    let (theirs, ours) = (corpus::image(1, 2, 200_000), corpus::image(2, 2, 200_000));
    other.client().push(&theirs, "up/stream", Some("v1")).await;
    let mirror = remote(&other.url(), "up/stream", "", "");
    server.rest().post("/repositories/vendor/copy/pollMirroringPolicies", mirror).await.expect(201);
    server.registry().push(&ours, "dev/web", Some("v1")).await;
    eventually("the mirror", SOON, async || server.registry().digest_of("vendor/copy", "v1").await).await;

    let sound = scrub(&server).await;
    assert_eq!(sound["status"], "done", "{sound}");
    assert!(sound["outcome"].as_str().is_some_and(|said| said.ends_with("are sound")), "{sound}");

    spoil(&server, &theirs);
    let mended = scrub(&server).await;
    assert_eq!(mended["status"], "done", "{mended}");
    let log = log_of(&server, &mended).await;
    assert!(log.contains("in vendor/copy: its bytes have changed") && log.contains("fetched again"), "{log}");
    server.registry().verify(&theirs, "vendor/copy").await;

    spoil(&server, &ours);
    let lost = scrub(&server).await;
    assert_eq!(lost["status"], "errored", "{lost}");
    assert!(lost["error"].as_str().is_some_and(|said| said.contains("push those images again")), "{lost}");
    assert!(log_of(&server, &lost).await.contains("in dev/web"));
    // Push as a client does, which checks what exists.
    server.registry().push(&ours, "dev/web", Some("v1")).await;
    server.registry().verify(&ours, "dev/web").await;
    let again = scrub(&server).await;
    assert_eq!(again["status"], "done", "{again}");

    let ann = user(&server.rest(), "ann").await;
    ann.post("/jobs", json!({"action": "scrub"})).await.expect(403);
}
