//! Pausing the real binary: tags that are pushed meanwhile are held, listed, and handled as requested on resuming.

use longshore_testkit::{DockerRegistry, Rest, S3Server, corpus, eventually};
use serde_json::{Value, json};

use crate::servers::three;
use crate::support::{SOON, ends_with, longshore, promotion, remote, repositories, with};

/// Waits until a pause holds `length` jobs, and returns them.
async fn queue(rest: &Rest, scope: &str, length: usize) -> Vec<Value> {
    eventually("the queue", SOON, async || {
        let queue = rest.get(&format!("/pauses/{scope}/queue?pageSize=100")).await.expect(200);
        let jobs = queue.as_array().expect("a list").clone();
        if jobs.len() == length { Ok(jobs) } else { Err(queue) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_29_tags_pushed_during_a_pause_are_held_and_handled_on_resuming() {
    let server = longshore().await;
    let elsewhere = DockerRegistry::plain().await;
    let (rest, registry) = (server.rest(), server.registry());
    repositories(&rest, &["dev/web", "qa/web"]).await;
    promotion(&rest, "dev/web", "qa/web", ends_with("stable"), "%n").await;
    let mirror = with(remote(&elsewhere.url(), "qa/web", "", ""), json!({"rules": [], "tagTemplate": "%n"}));
    rest.post("/repositories/dev/web/pushMirroringPolicies", mirror).await.expect(201);

    eventually("the policies to be applied", SOON, async || {
        let jobs = rest.get("/jobs?status=done").await.expect(200);
        (jobs["jobs"].as_array().is_some_and(|jobs| jobs.len() == 2)).then_some(()).ok_or(jobs)
    })
    .await;
    let pause = rest.put("/pauses/system", json!({})).await.expect(201);
    assert_eq!(
        (&pause["scope"], &pause["by"], &pause["reason"]),
        (&json!("system"), &json!("admin"), &json!("asked"))
    );
    assert_eq!(rest.put("/pauses/system", json!({})).await.expect(200)["since"], pause["since"]);

    let images: Vec<_> = (1..=3).map(|seed| corpus::image(seed, 1, 1_000)).collect();
    for image in &images {
        registry.push(image, "dev/web", Some("1-stable")).await;
    }
    let waiting = queue(&rest, "system", 3).await;
    assert!(waiting.iter().all(|held| held["action"] == "evaluate"), "{waiting:?}");
    assert_eq!(waiting[0]["job"]["heldBy"]["scope"], "system");
    assert_eq!(waiting[0]["job"]["status"], "waiting");
    assert_eq!(rest.get("/pauses").await.expect(200)[0]["queued"], 3);
    let repository = rest.get("/repositories/dev/web").await.expect(200);
    assert_eq!(repository["summary"]["heldBy"]["by"], "admin");
    assert!(registry.digest_of("qa/web", "1-stable").await.is_none());
    // Promotions by hand still work.
    let by_hand = json!({"targetRepository": "qa/web", "targetTag": "by-hand"});
    rest.post("/repositories/dev/web/tags/1-stable/promotion", by_hand).await.expect(201);

    let resumed = rest.delete("/pauses/system?queued=newest").await.expect(200);
    // The promotion by hand caused another evaluation.
    assert_eq!((&resumed["freed"], &resumed["dropped"]), (&json!(2), &json!(2)), "{resumed}");
    rest.delete("/pauses/system").await.expect(404);
    eventually("the promotion", SOON, async || registry.digest_of("qa/web", "1-stable").await).await;
    assert_eq!(registry.digest_of("qa/web", "1-stable").await.as_ref(), Some(&images[2].root));
    eventually("the copy", SOON, async || elsewhere.client().digest_of("qa/web", "1-stable").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn semantics_29_a_pause_at_one_server_applies_to_the_others() {
    let bucket = S3Server::start().await;
    let [one, two, three] = three(&bucket).await;
    repositories(&one.rest(), &["dev/web", "qa/web"]).await;
    promotion(&one.rest(), "dev/web", "qa/web", ends_with("-rc"), "%n").await;
    eventually("the policy to be applied", SOON, async || {
        let jobs = one.rest().get("/jobs?status=done").await.expect(200);
        (jobs["jobs"][0]["action"] == "evaluate").then_some(()).ok_or(jobs)
    })
    .await;
    one.rest().put("/pauses/namespaces/dev", json!({})).await.expect(201);
    for (number, server) in [&one, &two, &three].into_iter().enumerate() {
        server
            .registry()
            .push(&corpus::image(number as u64 + 1, 1, 1_000), "dev/web", Some(&format!("{number}-rc")))
            .await;
    }
    queue(&two.rest(), "namespaces/dev", 3).await;
    assert!(three.registry().digest_of("qa/web", "0-rc").await.is_none());
    three.rest().delete("/pauses/namespaces/dev?queued=run").await.expect(200);
    for number in 0..3 {
        let tag = format!("{number}-rc");
        eventually("the promotion", SOON, async || one.registry().digest_of("qa/web", &tag).await).await;
    }
}
