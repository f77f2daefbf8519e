//! Garbage collection started by users, with the real binary (semantics 23).

use longshore_testkit::{Longshore, corpus, eventually};
use serde_json::{Value, json};

use crate::support::{SOON, longshore, repositories, user};

/// Starts a collection and waits for its report.
async fn collect(server: &Longshore, dry_run: bool) -> Value {
    let rest = server.rest();
    let order = json!({"action": "garbage_collect", "dryRun": dry_run});
    let job = rest.post("/jobs", order).await.expect(202);
    let path = format!("/jobs/{}", job["id"].as_str().expect("a job has an id"));
    eventually("the collection", SOON, async || {
        let job = rest.get(&path).await.expect(200);
        if job["status"] == "done" { Ok(job) } else { Err(job) }
    })
    .await
}

#[tokio::test]
async fn semantics_23_administrators_collect_garbage_after_a_dry_run() {
    let server = longshore().await;
    let rest = server.rest();
    repositories(&rest, &["dev/website"]).await;
    let image = corpus::image(1, 2, 20_000);
    server.registry().push(&image, "dev/website", Some("1.0")).await;

    for dry_run in [true, false] {
        let job = collect(&server, dry_run).await;
        assert_eq!(job["action"], "garbage_collect");
        assert_eq!(job["parameters"]["dryRun"], dry_run.to_string());
        assert_eq!(job["outcome"], "nothing to remove");
    }
    server.registry().verify(&image, "dev/website").await;

    let ann = user(&rest, "ann").await;
    let order = json!({"action": "garbage_collect"});
    ann.post("/jobs", order.clone()).await.expect(403);
    rest.anonymous().post("/jobs", order).await.expect(401);
    let refused = rest.post("/jobs", json!({"action": "poll_mirror", "dryRun": true})).await.expect(400);
    assert_eq!(refused["errors"][0]["code"], "INVALID_JOB");
    let listed = rest.get("/jobs?action=onlinegc").await.expect(200);
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(2));
}
