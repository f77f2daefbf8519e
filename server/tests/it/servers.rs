//! Three servers on one PostgreSQL database and one bucket act as one registry.

use std::collections::BTreeMap;

use longshore_testkit::{DockerRegistry, Gate, Longshore, S3Server, corpus, eventually, postgres};
use serde_json::{Value, json};

use crate::storage::over;
use crate::support::{SOON, ends_with, promotion, remote, repositories, with};

/// The encryption key that all servers share.
const KEY: &str = "abababababababababababababababababababababababababababababababab";
/// Short, so that other servers take over soon.
const LEASE_SECONDS: &str = "5";
/// Large enough that a mirror is still running after the first bytes were copied.
const LAYER_BYTES: usize = 6_000_000;

pub(crate) async fn three(bucket: &S3Server) -> [Longshore; 3] {
    let database = tokio::task::spawn_blocking(postgres::new_database).await.expect("a database is created");
    let server = || over(bucket).argument("--database").argument(&database);
    let server = || server().variable("LONGSHORE_LEASE_SECONDS", LEASE_SECONDS);
    let server = || server().variable("LONGSHORE_ENCRYPTION_KEY", KEY).start();
    [server().await, server().await, server().await]
}

/// The index of a server that runs a transfer.
async fn busy(servers: &[Longshore; 3]) -> usize {
    let names: Vec<String> = servers.iter().map(Longshore::host).collect();
    let asked = servers[0].rest();
    eventually("a transfer to run", SOON, async || {
        let jobs = asked.get("/jobs?limit=100").await.expect(200);
        let running = jobs["jobs"]
            .as_array()?
            .iter()
            .filter(|job| job["status"] == "running" && job["action"] != "evaluate");
        running.filter_map(|job| names.iter().position(|name| job["workerID"] == name.as_str())).next()
    })
    .await
}

/// All jobs, after they have ended; all must have been successful.
async fn all_done(server: &Longshore) -> Vec<Value> {
    let jobs = eventually("all jobs to end", SOON * 4, async || {
        let jobs = server.rest().get("/jobs?limit=100").await.expect(200);
        let jobs = jobs["jobs"].as_array().expect("jobs").clone();
        let open = |job: &Value| matches!(job["status"].as_str(), Some("waiting" | "running"));
        if jobs.iter().any(open) { Err(jobs) } else { Ok(jobs) }
    })
    .await;
    for job in &jobs {
        assert_eq!(job["status"], "done", "{job}");
    }
    jobs
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_one_server_are_known_to_the_others() {
    let bucket = S3Server::start().await;
    let [one, two, three] = three(&bucket).await;
    repositories(&one.rest(), &["dev/web", "qa/web"]).await;
    promotion(&two.rest(), "dev/web", "qa/web", ends_with("-rc"), "%n").await;
    let package = corpus::image(1, 2, 100_000);
    three.registry().push(&package, "dev/web", Some("1-rc")).await;
    eventually("the promotion", SOON, async || one.registry().digest_of("qa/web", "1-rc").await).await;
    two.registry().verify(&package, "qa/web").await;

    // A token of one server is valid at another.
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
async fn an_upload_can_start_at_one_server_and_finish_at_another() {
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

/// Pushes and mirrors through all three; a busy one is killed. Every effect occurs once.
#[tokio::test(flavor = "multi_thread")]
async fn semantics_25_the_work_of_a_killed_server_is_finished_once_by_the_others() {
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
    // Kill a server that runs a transfer.
    let busy = busy(&servers).await;
    servers[busy].kill9();

    let lives = &servers[(busy + 1) % 3];
    for (number, package) in theirs.iter().enumerate() {
        let tag = format!("v{number}");
        let there = lives.registry();
        eventually("the pull mirror", SOON * 4, async || there.digest_of("vendor/copy", &tag).await).await;
        there.verify(package, "vendor/copy").await;
    }
    let jobs = all_done(lives).await;
    // Not earlier: docker-registry fails reads while it writes.
    for (number, package) in ours.iter().enumerate() {
        let there = to.client();
        assert_eq!(there.digest_of("qa/web", &format!("v{number}")).await.as_ref(), Some(&package.root));
        there.verify(package, "qa/web").await;
    }
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for job in &jobs {
        *counted.entry(job["action"].as_str().expect("an action")).or_default() += 1;
    }
    assert_eq!(counted.get("push_mirror_tag"), Some(&ours.len()), "{counted:?}");
    assert_eq!(counted.get("poll_mirror"), Some(&1), "{counted:?}");
}

/// Images are pulled by a mirror and then promoted. The server that runs the mirror is suspended in the
/// middle of a blob for longer than its lease, and continues after another server has done the work.
#[tokio::test(flavor = "multi_thread")]
async fn semantics_25_a_server_suspended_beyond_its_lease_commits_nothing_when_it_continues() {
    let bucket = S3Server::start().await;
    let servers = three(&bucket).await;
    let from = DockerRegistry::plain().await;
    let rest = servers[0].rest();
    repositories(&rest, &["vendor/copy", "prod/copy"]).await;
    promotion(&rest, "vendor/copy", "prod/copy", ends_with("-rc"), "%n").await;
    let packages: Vec<_> = (0..3).map(|seed| corpus::image(seed, 2, LAYER_BYTES)).collect();
    let tag = |number: usize| format!("v{number}-rc");
    for (number, package) in packages.iter().enumerate() {
        from.client().push(package, "up/stream", Some(&tag(number))).await;
    }
    let gate = Gate::after(LAYER_BYTES * 3 / 2, &from.host()).await;
    let pull = remote(&gate.url(), "up/stream", "", "");
    rest.post("/repositories/vendor/copy/pollMirroringPolicies", pull).await.expect(201);
    gate.is_shut().await;
    let stopped = &servers[busy(&servers).await];
    stopped.freeze();
    gate.open();

    let lives =
        servers.iter().find(|server| server.host() != stopped.host()).expect("two servers are running");
    for number in 0..packages.len() {
        let there = lives.registry();
        eventually("the promotion", SOON, async || there.digest_of("prod/copy", &tag(number)).await).await;
    }
    let jobs = all_done(lives).await;
    let polls: Vec<_> = jobs.iter().filter(|job| job["action"] == "poll_mirror").collect();
    assert_eq!(polls.len(), 1, "the same job is resumed: {jobs:?}");
    assert_ne!(polls[0]["workerID"], stopped.host().as_str());

    stopped.thaw();
    eventually("the suspended server to notice", SOON, async || {
        let log = stopped.log();
        let sees = ["the lease of a running job was lost", "a running job was taken away from its worker"];
        sees.iter().any(|words| log.contains(words)).then_some(()).ok_or(log)
    })
    .await;
    assert_eq!(all_done(stopped).await, jobs, "it committed nothing");
    for (number, package) in packages.iter().enumerate() {
        for name in ["vendor/copy", "prod/copy"] {
            let history =
                stopped.rest().get(&format!("/repositories/{name}/tags/{}/history", tag(number))).await;
            let history = history.expect(200);
            assert_eq!(history.as_array().map(Vec::len), Some(1), "each tag was set once: {history}");
            stopped.registry().verify(package, name).await;
        }
    }
}
