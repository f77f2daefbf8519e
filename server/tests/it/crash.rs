//! kill -9 in the middle of work: after a restart the work is finished, and every digest is correct.

use longshore_testkit::{DockerRegistry, corpus, eventually};
use serde_json::json;

use crate::support::{SOON, longshore, remote, repositories, with};

/// Large enough that a mirror is still running after the first bytes were copied.
const LAYER_BYTES: usize = 8_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_pull_mirror_is_resumed_after_a_restart() {
    let mut server = longshore().await;
    let other = DockerRegistry::plain().await;
    repositories(&server.rest(), &["vendor/copy"]).await;
    let packages: Vec<_> = (0..6).map(|seed| corpus::image(seed, 2, LAYER_BYTES)).collect();
    for (number, package) in packages.iter().enumerate() {
        other.client().push(package, "up/stream", Some(&format!("v{number}"))).await;
    }
    let mirror = remote(&other.url(), "up/stream", "", "");
    server.rest().post("/repositories/vendor/copy/pollMirroringPolicies", mirror).await.expect(201);
    eventually("bytes to be copied", SOON, async || {
        other
            .requests()
            .iter()
            .any(|request| request.method == "GET" && request.uri.contains("/blobs/"))
            .then_some(())
    })
    .await;
    server.kill9();
    server.restart().await;
    let registry = server.registry();
    for (number, package) in packages.iter().enumerate() {
        let tag = format!("v{number}");
        eventually("the job to finish", SOON * 2, async || registry.digest_of("vendor/copy", &tag).await)
            .await;
        registry.verify(package, "vendor/copy").await;
    }
    let jobs = server.rest().get("/jobs?action=poll_mirror").await.expect(200);
    eventually("the job to be done", SOON, async || {
        let jobs = server.rest().get("/jobs?action=poll_mirror").await.expect(200);
        (jobs["jobs"][0]["status"] == "done").then_some(()).ok_or(jobs)
    })
    .await;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "the same job, not another: {jobs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_push_mirror_is_resumed_after_a_restart() {
    let mut server = longshore().await;
    let other = DockerRegistry::plain().await;
    repositories(&server.rest(), &["dev/website"]).await;
    let packages: Vec<_> = (10..14).map(|seed| corpus::image(seed, 2, LAYER_BYTES)).collect();
    for (number, package) in packages.iter().enumerate() {
        server.registry().push(package, "dev/website", Some(&format!("v{number}"))).await;
    }
    let mirror = with(remote(&other.url(), "qa/website", "", ""), json!({"rules": [], "tagTemplate": "%n"}));
    server.rest().post("/repositories/dev/website/pushMirroringPolicies", mirror).await.expect(201);
    eventually("bytes to be copied", SOON, async || {
        other
            .requests()
            .iter()
            .any(|request| request.method == "PUT" && request.uri.contains("/blobs/"))
            .then_some(())
    })
    .await;
    server.kill9();
    server.restart().await;
    let there = other.client();
    for (number, package) in packages.iter().enumerate() {
        let tag = format!("v{number}");
        eventually("the job to finish", SOON * 2, async || there.digest_of("qa/website", &tag).await).await;
        there.verify(package, "qa/website").await;
    }
}
