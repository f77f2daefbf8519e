//! A complete example with only REST and skopeo: from creating the accounts to comparing digests.

use longshore_testkit::{ADMIN_PASSWORD, DockerRegistry, Skopeo, corpus, eventually};
use serde_json::json;

use crate::support::{SOON, ends_with, longshore, promotion, remote, repositories, user, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_stable_build_is_promoted_and_mirrored_with_only_rest_and_skopeo() {
    let server = longshore().await;
    let rest = server.rest();
    let elsewhere = DockerRegistry::with_account("mirror-bot", "a token of it").await;

    // Accounts and repositories.
    repositories(&rest, &["dev/website", "qa/website", "vendor/base"]).await;
    user(&rest, "dev1").await;

    // Promotion dev/website → qa/website with a timestamp, push mirror to the other registry.
    let policy = promotion(&rest, "dev/website", "qa/website", ends_with("stable"), "%n-%Y%m%d").await;
    assert_eq!(policy["sourceRepository"], "dev/website");
    assert_eq!(policy["targetRepository"], "qa/website");
    let mirror = with(
        remote(&elsewhere.url(), "qa/website", "mirror-bot", "a token of it"),
        json!({"rules": ends_with("stable"), "tagTemplate": "%n"}),
    );
    let mirror = rest.post("/repositories/dev/website/pushMirroringPolicies", mirror).await.expect(201);
    assert_eq!(mirror["remoteHost"], elsewhere.url());
    assert!(mirror.get("password").is_none_or(|password| password.is_null()));

    // Two builds, pushed with skopeo.
    let skopeo = Skopeo::new().login(&server.host(), "admin", ADMIN_PASSWORD);
    let stable = corpus::index(1, &["linux/amd64", "linux/arm64"], true);
    let unstable = corpus::image(2, 2, 4096);
    for (package, tag) in [(&stable, "1.0-stable"), (&unstable, "1.1-dev")] {
        let image = format!("{}/dev/website:{tag}", server.host());
        skopeo.push(package, &image).await.expect("skopeo pushes");
        assert_eq!(skopeo.digest(&image).await.expect("skopeo inspects"), package.root);
    }

    // Only the first is in qa/website, complete and with its provenance.
    let registry = server.registry();
    let promoted = eventually("the promotion", SOON, async || {
        let tags = registry.tags("qa/website").await;
        tags.first().cloned().ok_or(tags)
    })
    .await;
    assert!(promoted.as_str().starts_with("1.0-stable-20"), "{promoted}");
    assert_eq!(registry.tags("qa/website").await.len(), 1);
    registry.verify(&stable, "qa/website").await;
    assert_eq!(registry.digest_of("qa/website", promoted.as_str()).await, Some(stable.root.clone()));
    let tags = rest.get("/repositories/qa/website/tags").await.expect(200);
    assert_eq!(tags[0]["promotion"]["promotionPolicyID"], policy["id"]);
    assert_eq!(tags[0]["promotion"]["sourceRepository"], "dev/website");
    assert_eq!(tags[0]["promotion"]["sourceTag"], "1.0-stable");

    // And on the other registry, digest by digest.
    let other = elsewhere.client();
    eventually("the mirror", SOON, async || other.digest_of("qa/website", "1.0-stable").await).await;
    other.verify(&stable, "qa/website").await;
    assert_eq!(other.tags("qa/website").await.len(), 1);

    // A pull mirror copies a repository from the other registry.
    let base = corpus::image(3, 3, 8192);
    other.push(&base, "upstream/base", Some("12")).await;
    let poll = remote(&elsewhere.url(), "upstream/base", "mirror-bot", "a token of it");
    rest.post("/repositories/vendor/base/pollMirroringPolicies?initialEvaluation=true", poll)
        .await
        .expect(201);
    eventually("the pull mirror", SOON, async || registry.digest_of("vendor/base", "12").await).await;
    registry.verify(&base, "vendor/base").await;

    // Poll all mirrors now.
    rest.anonymous().post("/jobs", json!({"action": "poll_mirror"})).await.expect(401);
    let job = rest.post("/jobs", json!({"action": "poll_mirror"})).await.expect(202);
    let path = format!("/jobs/{}", job["id"].as_str().expect("a job has an id"));
    eventually("the poll", SOON, async || {
        let job = rest.get(&path).await.expect(200);
        (job["status"] == "done").then_some(()).ok_or(job)
    })
    .await;
}
