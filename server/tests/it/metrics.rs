//! Metrics and logs, as seen by operators of a server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_testkit::{Longshore, corpus, eventually, postgres};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use tokio::time::timeout;

use crate::support::{SOON, longshore, repositories};

/// The default timeout of Prometheus.
const SCRAPE: Duration = Duration::from_secs(10);

/// The samples of `/metrics`: name with labels, and value. Also checks the text format.
async fn samples(server: &Longshore) -> BTreeMap<String, f64> {
    let registry = server.registry().anonymous();
    let answer = registry.send(registry.request(Method::GET, "/metrics")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let (mut described, mut typed) = (BTreeSet::new(), BTreeMap::new());
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            described.insert(help.split(' ').next().expect("a name").to_owned());
        } else if let Some(sort) = line.strip_prefix("# TYPE ") {
            let (name, sort) = sort.split_once(' ').expect("name and type");
            typed.insert(name.to_owned(), sort.to_owned());
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
            let name = sample.split('{').next().expect("a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = family.filter(|family| typed.contains_key(*family)).unwrap_or(name);
            assert!(described.contains(family), "{family} has no HELP");
            let sort = typed.get(family).unwrap_or_else(|| panic!("{family} has no TYPE"));
            assert!(sort != "summary", "{family} has no buckets");
            assert_eq!(sort == "counter", family.ends_with("_total"), "{family} is a {sort}");
            assert!(name.starts_with("longshore_") || name.starts_with("process_"), "{name}");
            samples.insert(sample.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")));
        }
    }
    samples
}

/// The sum of all samples of a metric with these labels.
fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let wanted = |sample: &&String| {
        sample.split('{').next() == Some(name) && labels.iter().all(|label| sample.contains(label))
    };
    samples.keys().filter(wanted).map(|sample| samples[sample]).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_and_a_pull_are_counted_without_naming_the_repository() {
    let server = longshore().await;
    let before = samples(&server).await;
    let package = corpus::image(1, 2, 200_000);
    let registry = server.registry();
    repositories(&server.rest(), &["confidential/project"]).await;
    registry.push(&package, "confidential/project", Some("internal-tag")).await;
    registry.verify(&package, "confidential/project").await;

    let bytes: usize = package.blobs.iter().map(|(_, bytes)| bytes.len()).sum();
    let after = eventually("the evaluation to end", SOON, async || {
        let after = samples(&server).await;
        let ended = ["action=\"evaluate\"", "status=\"done\""];
        (sum(&after, "longshore_jobs_ended_total", &ended) > 0.0).then_some(after)
    })
    .await;
    let grown = |name: &str, labels: &[&str]| sum(&after, name, labels) - sum(&before, name, labels);
    let blobs = package.blobs.len() as f64;
    assert_eq!(grown("longshore_blob_received_bytes_total", &[]), bytes as f64);
    assert!(grown("longshore_blob_sent_bytes_total", &[]) >= bytes as f64);
    assert_eq!(grown("longshore_uploads_started_total", &[]), blobs);
    assert_eq!(grown("longshore_uploads_ended_total", &["outcome=\"stored\""]), blobs);
    let put = [
        "surface=\"registry\"",
        "route=\"/v2/{name}/manifests/{reference}\"",
        "method=\"PUT\"",
        "status=\"201\"",
    ];
    assert_eq!(grown("longshore_http_requests_total", &put), 1.0);
    assert_eq!(grown("longshore_http_request_duration_seconds_count", &put[..3]), 1.0);
    for name in [
        "longshore_database_commits_total",
        "longshore_database_commit_seconds_count",
        "longshore_database_commit_transactions_count",
        "longshore_database_wait_seconds_count",
        "longshore_connections_total",
    ] {
        assert!(grown(name, &[]) > 0.0, "{name}");
    }
    for (name, least) in [
        ("longshore_build_info", 1.0),
        ("longshore_connections_open", 1.0),
        ("longshore_database_connections_max", 1.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 3.0),
        ("process_start_time_seconds", 1e9),
    ] {
        assert!(sum(&after, name, &[]) >= least, "{name}: {after:?}");
    }
    assert!(after.contains_key("longshore_jobs{action=\"poll_mirror\",status=\"waiting\"}"), "{after:?}");
    for sample in after.keys() {
        for secret in ["confidential", "project", "internal-tag", "admin", "sha256:"] {
            assert!(!sample.contains(secret), "{sample}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_while_the_database_does_not_respond() {
    let database = tokio::task::spawn_blocking(postgres::new_database).await.expect("a database is created");
    let builder = Longshore::builder(env!("CARGO_BIN_EXE_longshore")).argument("--database");
    let server = builder.argument(&database).start().await;
    let registry = server.registry().anonymous();
    let readiness = async || registry.send(registry.request(Method::GET, "/readyz")).await.status;
    assert_eq!(readiness().await, StatusCode::OK);

    let hold = move || ["accounts", "blobs"].map(|table| postgres::hold(&database, table));
    let held = tokio::task::spawn_blocking(hold).await.expect("the tables are locked");
    let (ready, samples) = timeout(SCRAPE, async { tokio::join!(readiness(), samples(&server)) })
        .await
        .expect("both respond before Prometheus gives up");
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    assert!(sum(&samples, "longshore_connections_total", &[]) > 0.0, "{samples:?}");
    drop(held);
    assert_eq!(readiness().await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_require_the_token_if_one_is_set() {
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
        .variable("LONGSHORE_METRICS_TOKEN", "scrape me")
        .start()
        .await;
    let registry = server.registry().anonymous();
    let asked = |token: Option<&str>| match token {
        Some(token) => registry.request(Method::GET, "/metrics").bearer_auth(token),
        None => registry.request(Method::GET, "/metrics"),
    };
    assert_eq!(registry.send(asked(None)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(registry.send(asked(Some("scrape you"))).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(registry.send(asked(Some("scrape me"))).await.status, StatusCode::OK);
    assert!(!server.log().contains("scrape me"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_log_line_of_a_request_contains_its_id_and_units_are_part_of_field_names() {
    let server = Longshore::builder(env!("CARGO_BIN_EXE_longshore"))
        .argument("--trusted-proxies=127.0.0.0/8")
        .argument("--log-format=json")
        .variable("LONGSHORE_LOG", "debug")
        .start()
        .await;
    let registry = server.registry().with_credentials("admin", "wrong");
    let id = "4bf92f3577b34da6";
    let asked = registry.request(Method::GET, "/v2/").header("x-request-id", id);
    let answer = registry.send(asked).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["x-request-id"], id);

    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.contains(id))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} is not JSON")))
        .collect();
    let wrong = lines.iter().find(|line| line["message"] == "incorrect username or password");
    let answered = lines.iter().find(|line| line["message"] == "answered");
    let (Some(wrong), Some(answered)) = (wrong, answered) else { panic!("both lines have the id: {log}") };
    assert_eq!(wrong["span"]["id"], id);
    for field in ["duration_ms", "bytes", "status"] {
        assert!(answered[field].is_number(), "{field}: {answered}");
    }
    assert_eq!((&answered["path"], &answered["method"]), (&"/v2/".into(), &"GET".into()));
}
