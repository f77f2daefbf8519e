//! Order of events: late, repeated and cyclic ones; and passwords of other users.

use longshore_testkit::{DockerRegistry, corpus, eventually};
use serde_json::json;

use crate::support::{
    SOON, ends_with, longshore, longshore_for_everybody, organization, promotion, remote, repositories, user,
    with,
};

#[tokio::test(flavor = "multi_thread")]
async fn semantics_01_after_several_pushes_every_destination_has_the_last_version() {
    let server = longshore().await;
    let rest = server.rest();
    let other = DockerRegistry::plain().await;
    repositories(&rest, &["dev/website", "qa/website"]).await;
    promotion(&rest, "dev/website", "qa/website", ends_with("stable"), "%n").await;
    let mirror = with(remote(&other.url(), "qa/website", "", ""), json!({"rules": [], "tagTemplate": "%n"}));
    rest.post("/repositories/dev/website/pushMirroringPolicies", mirror).await.expect(201);

    let registry = server.registry();
    let versions: Vec<_> = (1..=3).map(|seed| corpus::image(seed, 1, 200_000 / seed as usize)).collect();
    for version in &versions {
        registry.push(version, "dev/website", Some("1-stable")).await;
    }
    let last = &versions[2];
    eventually("the promotion of v3", SOON, async || {
        let seen = registry.digest_of("qa/website", "1-stable").await;
        if seen.as_ref() == Some(&last.root) { Ok(()) } else { Err(seen) }
    })
    .await;
    // Every job has ended, and v3 is the result.
    eventually("all jobs to end", SOON, async || {
        let running = rest.get("/jobs?action=push_mirror_tag&limit=50").await.expect(200);
        let ended = running["jobs"].as_array().is_some_and(|jobs| {
            !jobs.is_empty()
                && jobs.iter().all(|job| job["status"] == "done" || job["status"] == "superseded")
        });
        ended.then_some(()).ok_or(running)
    })
    .await;
    assert_eq!(other.client().digest_of("qa/website", "1-stable").await, Some(last.root.clone()));
    assert_eq!(registry.digest_of("qa/website", "1-stable").await, Some(last.root.clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_listed_after_a_push_include_the_copies_that_it_caused() {
    let server = longshore().await;
    let rest = server.rest();
    let other = DockerRegistry::plain().await;
    repositories(&rest, &["dev/website"]).await;
    let mirror = with(remote(&other.url(), "far/website", "", ""), json!({"rules": [], "tagTemplate": "%n"}));
    rest.post("/repositories/dev/website/pushMirroringPolicies", mirror).await.expect(201);
    let registry = server.registry();
    let image = corpus::image(1, 1, 1000);
    for pushed in 1..=20 {
        registry.push(&image, "dev/website", Some(&format!("1.{pushed}"))).await;
        let listed = rest.get("/jobs?action=push_mirror_tag&limit=50").await.expect(200);
        assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(pushed), "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_07_a_late_signature_follows_its_image_to_every_destination() {
    let server = longshore().await;
    let rest = server.rest();
    let other = DockerRegistry::plain().await;
    repositories(&rest, &["dev/website", "qa/website"]).await;
    promotion(&rest, "dev/website", "qa/website", json!([]), "%n-promoted").await;
    let mirror = with(remote(&other.url(), "far/website", "", ""), json!({"rules": [], "tagTemplate": "%n"}));
    rest.post("/repositories/dev/website/pushMirroringPolicies", mirror).await.expect(201);

    let registry = server.registry();
    let image = corpus::index(7, &["linux/amd64", "linux/arm64"], false);
    registry.push(&image, "dev/website", Some("1")).await;
    let there = other.client();
    eventually("the promotion", SOON, async || registry.digest_of("qa/website", "1-promoted").await).await;
    eventually("the mirror", SOON, async || there.digest_of("far/website", "1").await).await;

    let signature = corpus::signature(&image);
    let (cosign_tag, cosign) = corpus::cosign_signature(&image);
    registry.push(&signature, "dev/website", None).await;
    registry.push(&cosign, "dev/website", Some(cosign_tag.as_str())).await;

    eventually("the signature at the target", SOON, async || {
        let referrers = registry.referrers("qa/website", &image.root).await.expect("the referrers API");
        referrers.iter().any(|found| found.digest == signature.root).then_some(()).ok_or(referrers)
    })
    .await;
    registry.verify(&signature, "qa/website").await;
    eventually("cosign's tag at the target", SOON, async || {
        registry.digest_of("qa/website", cosign_tag.as_str()).await
    })
    .await;
    eventually("the signature at the other registry", SOON, async || {
        there.difference(&signature, "far/website").await.map_or(Ok(()), Err)
    })
    .await;
    eventually("cosign's tag at the other registry", SOON, async || {
        there.digest_of("far/website", cosign_tag.as_str()).await
    })
    .await;
    // No policy treated them as separate images.
    let names = registry.tags("qa/website").await;
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_05_two_servers_that_mirror_to_each_other_reach_a_stable_state() {
    let (here, there) = (longshore().await, longshore().await);
    for server in [&here, &there] {
        repositories(&server.rest(), &["dev/website"]).await;
        user(&server.rest(), "mirror").await;
    }
    for (server, other) in [(&here, &there), (&there, &here)] {
        let admin = longshore_testkit::ADMIN_PASSWORD;
        let mirror = with(
            remote(&other.url(), "dev/website", "admin", admin),
            json!({"rules": [], "tagTemplate": "%n-%H%M%S%f"}),
        );
        server.rest().post("/repositories/dev/website/pushMirroringPolicies", mirror).await.expect(201);
    }
    here.registry().push(&corpus::image(1, 1, 100), "dev/website", Some("1")).await;
    eventually("the other server to have it", SOON, async || {
        let tags = there.registry().tags("dev/website").await;
        (!tags.is_empty()).then_some(())
    })
    .await;
    // Stable: no job is queued or running on either side, in two consecutive checks with the same tags.
    let mut before = None;
    let tags = eventually("both to be stable", SOON, async || {
        let mut open = 0;
        for server in [&here, &there] {
            let jobs = server.rest().get("/jobs?limit=500").await.expect(200);
            open += jobs["jobs"].as_array().map_or(0, |jobs| {
                jobs.iter().filter(|job| job["status"] == "waiting" || job["status"] == "running").count()
            });
        }
        let tags = (here.registry().tags("dev/website").await, there.registry().tags("dev/website").await);
        let settled = open == 0 && before.as_ref() == Some(&tags);
        before = Some(tags.clone());
        if settled { Ok(tags) } else { Err((open, tags)) }
    })
    .await;
    assert!(tags.0.len() + tags.1.len() <= 4, "{tags:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_05_a_cycle_of_promotions_stops_with_a_reason() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website", "qa/website"]).await;
    promotion(&rest, "dev/website", "qa/website", json!([]), "%n-x").await;
    promotion(&rest, "qa/website", "dev/website", json!([]), "%n-y").await;
    let registry = server.registry();
    registry.push(&corpus::image(1, 1, 100), "dev/website", Some("1")).await;
    eventually("the cycle to close once", SOON, async || registry.digest_of("dev/website", "1-x-y").await)
        .await;
    eventually("all evaluations to end", SOON, async || {
        let jobs = rest.get("/jobs?limit=100").await.expect(200);
        let ended =
            jobs["jobs"].as_array().is_some_and(|jobs| jobs.iter().all(|job| job["status"] == "done"));
        ended.then_some(()).ok_or(jobs)
    })
    .await;
    assert_eq!(registry.tags("dev/website").await.len(), 2);
    assert_eq!(registry.tags("qa/website").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_promotions_runs_from_dev_through_qa_to_prod() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website", "qa/website", "prod/website"]).await;
    promotion(&rest, "dev/website", "qa/website", ends_with("stable"), "%n").await;
    promotion(&rest, "qa/website", "prod/website", ends_with("stable"), "%n-%Y").await;
    let registry = server.registry();
    let image = corpus::image(1, 2, 5000);
    registry.push(&image, "dev/website", Some("2-stable")).await;
    eventually("prod", SOON, async || {
        let tags = registry.tags("prod/website").await;
        (tags.len() == 1).then_some(())
    })
    .await;
    registry.verify(&image, "prod/website").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_15_a_password_cannot_be_stolen_through_a_remote() {
    let server = longshore_for_everybody().await;
    let admin = server.rest();
    let mallory = user(&admin, "mallory").await;
    let alice = user(&admin, "alice").await;
    let other = DockerRegistry::with_account("bot", "the bot's password").await;
    // A trap that records every request.
    let trap = DockerRegistry::with_account("nobody", "knows this").await;
    organization(&admin, "dev").await;
    alice.post("/repositories/alice", json!({"name": "app"})).await.expect(201);
    mallory.post("/repositories/mallory", json!({"name": "app"})).await.expect(201);
    let mirror = with(
        remote(&other.url(), "far/app", "bot", "the bot's password"),
        json!({"rules": [], "tagTemplate": "%n"}),
    );
    let mirror = alice.post("/repositories/alice/app/pushMirroringPolicies", mirror).await.expect(201);
    let remotes = alice.get("/remotes").await.expect(200);
    let id = remotes[0]["id"].as_str().expect("a remote has an id").to_owned();
    assert!(!remotes.to_string().contains("the bot's password"));

    // Other users cannot see, use or change it.
    assert_eq!(mallory.get("/remotes").await.expect(200), json!([]));
    assert_eq!(mallory.get(&format!("/remotes/{id}")).await.expect_error(404), "NO_SUCH_REMOTE");
    mallory.put(&format!("/remotes/{id}"), json!({"url": trap.url()})).await.expect(404);
    let policy =
        format!("/repositories/alice/app/pushMirroringPolicies/{}", mirror["id"].as_str().expect("an id"));
    mallory.put(&policy, json!({"remoteHost": trap.url()})).await.expect(404);

    // Not even its owner can change the host without entering the password again.
    assert_eq!(
        alice.put(&policy, json!({"remoteHost": trap.url()})).await.expect_error(400),
        "SECRET_NEEDED"
    );
    assert_eq!(
        alice.put(&format!("/remotes/{id}"), json!({"url": trap.url()})).await.expect_error(400),
        "SECRET_NEEDED"
    );
    assert_eq!(
        alice.put(&policy, json!({"skipTLSVerification": true})).await.expect_error(400),
        "SECRET_NEEDED",
    );
    // Other settings can be changed without it.
    let changed = alice.put(&policy, json!({"tagTemplate": "%n-x"})).await.expect(200);
    assert_eq!(changed["tagTemplate"], "%n-x");
    assert!(trap.requests().is_empty(), "{:?}", trap.requests());
    assert!(!server.log().contains("the bot's password"));
}
