//! Three servers on one PostgreSQL database and one bucket: they are one registry.

use std::collections::BTreeMap;

use longshore_testkit::{DockerRegistry, Longshore, S3Server, corpus, eventually, postgres};
use serde_json::json;

use crate::storage::over;
use crate::support::{SOON, ends_with, promotion, remote, repositories, with};

/// The key that each of them has, as an operator hands it out.
const KEY: &str = "abababababababababababababababababababababababababababababababab";
/// Large enough that a mirror is still running when it has begun to move bytes.
const LAYER_BYTES: usize = 6_000_000;

pub(crate) async fn three(bucket: &S3Server) -> [Longshore; 3] {
    let database = tokio::task::spawn_blocking(postgres::new_database).await.expect("a database is made");
    let server = || over(bucket).argument("--database").argument(&database);
    let server = || server().variable("LONGSHORE_ENCRYPTION_KEY", KEY).start();
    [server().await, server().await, server().await]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_is_told_the_others_know() {
    let bucket = S3Server::start().await;
    let [one, two, three] = three(&bucket).await;
    repositories(&one.rest(), &["dev/web", "qa/web"]).await;
    promotion(&two.rest(), "dev/web", "qa/web", ends_with("-rc"), "%n").await;
    let package = corpus::image(1, 2, 100_000);
    three.registry().push(&package, "dev/web", Some("1-rc")).await;
    eventually("the promotion", SOON, async || one.registry().digest_of("qa/web", "1-rc").await).await;
    two.registry().verify(&package, "qa/web").await;

    // A token of one opens the door of another.
    let client = reqwest::Client::new();
    let asked = client
        .get(format!("{}/v2/token?service=longshore&scope=repository:dev/web:pull", one.url()))
        .basic_auth("admin", Some(longshore_testkit::ADMIN_PASSWORD));
    let token: serde_json::Value = asked.send().await.unwrap().json().await.unwrap();
    let token = token["token"].as_str().expect("a token");
    let pulled = client.get(format!("{}/v2/dev/web/tags/list", three.url())).bearer_auth(token);
    assert_eq!(pulled.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_begins_at_one_server_and_ends_at_another() {
    let bucket = S3Server::start().await;
    let [one, two, three] = three(&bucket).await;
    repositories(&one.rest(), &["dev/web"]).await;
    let bytes: Vec<u8> = (0..20_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let digest = corpus::digest_of(&bytes);
    let at = one.registry().begin_upload("dev/web").await.expect("an upload begins");
    let mut offset = 0;
    for (server, end) in [(&one, 5_000_000), (&two, 9_500_000), (&three, 17_000_000), (&one, 18_000_000)] {
        let registry = server.registry();
        let patch = registry
            .request(reqwest::Method::PATCH, &at)
            .header("content-range", format!("{offset}-{}", end - 1))
            .body(bytes[offset..end].to_vec());
        registry.send(patch).await.expect(202);
        offset = end;
    }
    let registry = two.registry();
    let put = registry.request(reqwest::Method::PUT, &format!("{at}?digest={digest}"));
    registry.send(put.body(bytes[offset..].to_vec())).await.expect(201);
    assert!(three.registry().get_blob("dev/web", &digest).await.expect(200).body == bytes);
}

/// Pushes and mirrors through all three; the one that works dies. Every effect is there once.
#[tokio::test(flavor = "multi_thread")]
async fn semantics_25_what_a_killed_server_had_begun_the_others_end_once() {
    let bucket = S3Server::start().await;
    let mut servers = three(&bucket).await;
    let (from, to) = (DockerRegistry::plain().await, DockerRegistry::plain().await);
    repositories(&servers[0].rest(), &["dev/web", "vendor/copy"]).await;
    let theirs: Vec<_> = (0..4).map(|seed| corpus::image(seed, 2, LAYER_BYTES)).collect();
    for (number, package) in theirs.iter().enumerate() {
        from.client().push(package, "up/stream", Some(&format!("v{number}"))).await;
    }
    let pull = remote(&from.url(), "up/stream", "", "");
    servers[1].rest().post("/repositories/vendor/copy/pollMirroringPolicies", pull).await.expect(201);
    let push = with(remote(&to.url(), "qa/web", "", ""), json!({"rules": [], "tagTemplate": "%n"}));
    servers[2].rest().post("/repositories/dev/web/pushMirroringPolicies", push).await.expect(201);
    let ours: Vec<_> = (10..16).map(|seed| corpus::image(seed, 2, LAYER_BYTES)).collect();
    for (number, package) in ours.iter().enumerate() {
        let tag = format!("v{number}");
        servers[number % 3].registry().push(package, "dev/web", Some(&tag)).await;
    }
    // Whoever works on a transfer just now dies.
    let names: Vec<String> = servers.iter().map(Longshore::host).collect();
    let asked = servers[0].rest();
    let busy = eventually("a transfer to run", SOON, async || {
        let jobs = asked.get("/jobs?limit=100").await.expect(200);
        let running = jobs["jobs"]
            .as_array()?
            .iter()
            .filter(|job| job["status"] == "running" && job["action"] != "evaluate");
        running.filter_map(|job| names.iter().position(|name| job["workerID"] == name.as_str())).next()
    })
    .await;
    servers[busy].kill9();

    let lives = &servers[(busy + 1) % 3];
    for (number, package) in theirs.iter().enumerate() {
        let tag = format!("v{number}");
        let there = lives.registry();
        eventually("the pull mirror", SOON * 4, async || there.digest_of("vendor/copy", &tag).await).await;
        there.verify(package, "vendor/copy").await;
    }
    eventually("all jobs to end", SOON * 4, async || {
        let jobs = lives.rest().get("/jobs?limit=100").await.expect(200);
        let open = jobs["jobs"]
            .as_array()
            .expect("jobs")
            .iter()
            .any(|job| matches!(job["status"].as_str(), Some("waiting" | "running")));
        if open { Err(jobs) } else { Ok(()) }
    })
    .await;
    // Not before: docker-registry fails those who ask while it writes.
    for (number, package) in ours.iter().enumerate() {
        let there = to.client();
        assert_eq!(there.digest_of("qa/web", &format!("v{number}")).await.as_ref(), Some(&package.root));
        there.verify(package, "qa/web").await;
    }
    let jobs = lives.rest().get("/jobs?limit=100").await.expect(200);
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for job in jobs["jobs"].as_array().expect("jobs") {
        assert_eq!(job["status"], "done", "{job}");
        *counted.entry(job["action"].as_str().expect("an action")).or_default() += 1;
    }
    assert_eq!(counted.get("push_mirror_tag"), Some(&ours.len()), "{counted:?}");
    assert_eq!(counted.get("poll_mirror"), Some(&1), "{counted:?}");
}
