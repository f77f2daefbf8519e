//! Push and pull mirrors with Debian's docker-registry: plain, with accounts, and with TLS from a private authority;
//! images, indexes and artifacts. Every digest is compared on both sides.

use longshore_testkit::{DockerRegistry, Longshore, Package, TestCa, corpus, eventually};
use serde_json::{Value, json};

use crate::support::{SOON, longshore, remote, repositories, with};

/// One of each kind of content, with its tag.
fn cargo() -> Vec<(&'static str, Package)> {
    vec![
        ("image", corpus::image(1, 2, 20_000)),
        ("index", corpus::index(2, &["linux/amd64", "linux/arm64"], true)),
        ("chart", corpus::helm_chart(3)),
        ("docker", corpus::docker_image(4, 1, 3000)),
        ("list", corpus::docker_list(5, &["linux/amd64", "linux/s390x"])),
    ]
}

/// Pushes everything to `other`, and mirrors it back into another repository.
async fn there_and_back(other: &DockerRegistry, connection: Value) {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website", "vendor/copy"]).await;
    let registry = server.registry();

    // Some tags exist before the mirror is created, others are pushed later.
    let cargo = cargo();
    let (before, after) = cargo.split_at(2);
    for (tag, package) in before {
        registry.push(package, "dev/website", Some(tag)).await;
    }
    let mirror = with(connection.clone(), json!({"rules": [], "tagTemplate": "%n"}));
    rest.post("/repositories/dev/website/pushMirroringPolicies?initialEvaluation=true", mirror)
        .await
        .expect(201);
    for (tag, package) in after {
        registry.push(package, "dev/website", Some(tag)).await;
    }
    let there = other.client();
    for (tag, package) in &cargo {
        eventually("the push mirror", SOON, async || {
            let seen = there.digest_of("qa/website", tag).await;
            if seen == Some(package.root.clone()) { Ok(()) } else { Err(jobs(&server).await) }
        })
        .await;
        there.verify(package, "qa/website").await;
    }

    rest.post("/repositories/vendor/copy/pollMirroringPolicies?initialEvaluation=true", connection)
        .await
        .expect(201);
    for (tag, package) in &cargo {
        eventually("the pull mirror", SOON, async || {
            let seen = registry.digest_of("vendor/copy", tag).await;
            if seen == Some(package.root.clone()) { Ok(()) } else { Err(jobs(&server).await) }
        })
        .await;
        registry.verify(package, "vendor/copy").await;
    }
    let status = eventually("the run to succeed", SOON, async || {
        let mirrors = rest.get("/repositories/vendor/copy/mirroringPolicies").await.expect(200);
        (mirrors[0]["lastStatus"]["code"] == "success").then(|| mirrors.clone()).ok_or(mirrors)
    })
    .await;
    assert_eq!(status[0]["mirroringType"], "poll");
}

/// The jobs, for the message of a failing test.
async fn jobs(server: &Longshore) -> Value {
    server.rest().get("/jobs?limit=20").await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_mirrored_to_a_plain_registry_and_back() {
    let other = DockerRegistry::plain().await;
    there_and_back(&other, remote(&other.url(), "qa/website", "", "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_mirrored_to_a_registry_with_accounts_and_back() {
    let other = DockerRegistry::with_account("mirror-bot", "hunter2 and more").await;
    there_and_back(&other, remote(&other.url(), "qa/website", "mirror-bot", "hunter2 and more")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_mirrored_to_a_registry_with_a_private_authority_and_back() {
    let ca = TestCa::new();
    let other = DockerRegistry::with_tls(&ca).await;
    let connection = with(remote(&other.url(), "qa/website", "", ""), json!({"remoteCA": ca.pem()}));
    there_and_back(&other, connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_can_be_skipped_for_an_unknown_authority() {
    let other = DockerRegistry::with_tls(&TestCa::new()).await;
    let connection = with(remote(&other.url(), "qa/website", "", ""), json!({"skipTLSVerification": true}));
    there_and_back(&other, connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_tag_costs_one_head_and_nothing_else() {
    let server = longshore().await;
    let rest = server.rest();
    let other = DockerRegistry::plain().await;
    repositories(&rest, &["vendor/copy"]).await;
    other
        .client()
        .push(&corpus::index(1, &["linux/amd64", "linux/arm64"], false), "up/stream", Some("1"))
        .await;
    let mirror =
        with(remote(&other.url(), "up/stream", "", ""), json!({"tagPatterns": "1", "referrers": false}));
    rest.post("/repositories/vendor/copy/pollMirroringPolicies", mirror).await.expect(201);
    let registry = server.registry();
    eventually("the first poll", SOON, async || registry.digest_of("vendor/copy", "1").await).await;
    poll(&server).await;

    let before = other.requests().len();
    poll(&server).await;
    let asked: Vec<_> = other.requests().split_off(before);
    let heads =
        asked.iter().filter(|request| request.method == "HEAD" && request.uri.contains("/manifests/"));
    assert_eq!(heads.count(), 1, "{asked:?}");
    assert!(
        asked.iter().all(|request| !request.uri.contains("/blobs/") && request.method != "PUT"),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_03_save_mirrors_only_tags_that_are_created_or_changed_later() {
    let server = longshore().await;
    let rest = server.rest();
    let (registry, other) = (server.registry(), DockerRegistry::plain().await);
    repositories(&rest, &["vendor/copy"]).await;
    let there = other.client();
    for (tag, seed) in [("old", 1), ("moving", 2)] {
        there.push(&corpus::image(seed, 1, 100), "up/stream", Some(tag)).await;
    }
    let path = "/repositories/vendor/copy/pollMirroringPolicies?initialEvaluation=false";
    rest.post(path, remote(&other.url(), "up/stream", "", "")).await.expect(201);
    poll(&server).await;
    assert!(registry.tags("vendor/copy").await.is_empty());

    let (new, moved) = (corpus::image(3, 1, 100), corpus::image(4, 1, 100));
    there.push(&new, "up/stream", Some("new")).await;
    there.push(&moved, "up/stream", Some("moving")).await;
    poll(&server).await;
    assert_eq!(registry.tags("vendor/copy").await.len(), 2);
    assert_eq!(registry.digest_of("vendor/copy", "new").await, Some(new.root));
    assert_eq!(registry.digest_of("vendor/copy", "moving").await, Some(moved.root));
}

/// Polls all mirrors and waits for the end.
async fn poll(server: &Longshore) {
    let rest = server.rest();
    let job = rest.post("/jobs", json!({"action": "poll_mirror"})).await.expect(202);
    let path = format!("/jobs/{}", job["id"].as_str().expect("a job has an id"));
    eventually("the poll", SOON, async || {
        let job = rest.get(&path).await.expect(200);
        (job["status"] == "done").then_some(()).ok_or(job)
    })
    .await;
}
