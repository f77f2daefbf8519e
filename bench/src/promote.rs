//! How long a promotion takes: from the response to a manifest PUT until a HEAD request for the promoted tag, sent
//! every millisecond, returns 200. Measured for sequential pushes and for several clients at once.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use longshore_testkit::{Longshore, Package, RegistryClient, corpus};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::latency::{Latencies, ms};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Number of tags pushed sequentially, and again by all clients together
    #[arg(long, default_value_t = 1000)]
    tags: usize,
    /// Number of concurrent clients
    #[arg(long, default_value_t = 16)]
    clients: usize,
}

/// The targets, as (p50, p99).
const ONE_AFTER_ANOTHER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(50));
const BY_CLIENTS: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(150));
/// A tag that has not been promoted by then counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// Runs both rounds. Returns whether every target was met.
pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let server = Longshore::start(binary).await;
    let rest = server.rest();
    for organization in ["dev", "qa"] {
        rest.post("/accounts", json!({"name": organization, "isOrg": true})).await.expect(201);
        rest.post(&format!("/repositories/{organization}"), json!({"name": "website"})).await.expect(201);
    }
    let policy = json!({
        "rules": [{"field": "tag", "operator": "ew", "values": ["stable"]}],
        "targetRepository": "qa/website",
        "tagTemplate": "%n",
        "enabled": true,
    });
    rest.post("/repositories/dev/website/promotionPolicies", policy).await.expect(201);

    println!("{} tags sequentially, then {} by {} clients", options.tags, options.tags, options.clients);
    let sequential = push_all(&server.registry(), "one", 0..options.tags).await?;
    let met_sequential = report("sequential", sequential, options.tags, ONE_AFTER_ANOTHER);

    // Interleaved, so that every client gets the same number.
    let rounds = (0..options.clients).map(|client| {
        let registry = server.registry();
        let mine = (client..options.tags).step_by(options.clients);
        async move { push_all(&registry, "many", mine).await }
    });
    let concurrent = try_join_all(rounds).await?.concat();
    let met_concurrent =
        report(&format!("{} clients", options.clients), concurrent, options.tags, BY_CLIENTS);

    let copied = copied_blob_bytes(&server, options.tags * 2)?;
    println!("blob bytes copied by promotions: {copied}");
    Ok(met_sequential && met_concurrent && copied == 0)
}

/// Pushes a different image for each number and waits for its promotion.
async fn push_all(
    registry: &RegistryClient,
    round: &str,
    numbers: impl Iterator<Item = usize>,
) -> Result<Vec<Duration>> {
    let mut measured = Vec::new();
    for number in numbers {
        let image = image(round, number);
        for (digest, bytes) in &image.blobs {
            registry.put_blob("dev/website", digest, bytes.clone()).await.expect(201);
        }
        let manifest = image.manifests.last().context("an image has a manifest")?;
        let tag = format!("{round}-{number}-stable");
        registry
            .put_manifest("dev/website", &tag, &manifest.media_type, manifest.bytes.clone())
            .await
            .expect(201);
        measured.extend(until_readable(registry, "qa/website", &tag).await);
    }
    Ok(measured)
}

/// An image with a unique layer, so that no upload is deduplicated.
fn image(round: &str, number: usize) -> Package {
    let seed = number as u64 + if round == "one" { 1_000_000 } else { 2_000_000 };
    corpus::image(seed, 1, LAYER_BYTES)
}

const LAYER_BYTES: usize = 1024;

/// The time until the target has the tag; `None` if that exceeds [`LOST_AFTER`].
pub(crate) async fn until_readable(registry: &RegistryClient, target: &str, tag: &str) -> Option<Duration> {
    let answered = Instant::now();
    let mut tick = interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while answered.elapsed() < LOST_AFTER {
        if registry.head_manifest(target, tag).await.status == 200 {
            return Some(answered.elapsed());
        }
        tick.tick().await;
    }
    None
}

fn report(what: &str, measured: Vec<Duration>, pushed: usize, target: (Duration, Duration)) -> bool {
    let latencies = Latencies::new(measured);
    let lost = pushed - latencies.len();
    let (p50, p99) = (latencies.percentile(50), latencies.percentile(99));
    println!(
        "{what}: p50 {} (target {}), p99 {} (target {}), max {}, lost {lost}",
        ms(p50),
        ms(target.0),
        ms(p99),
        ms(target.1),
        ms(latencies.percentile(100)),
    );
    p50 <= target.0 && p99 <= target.1 && lost == 0
}

/// The bytes of blobs on disk in excess of one copy of each pushed blob.
fn copied_blob_bytes(server: &Longshore, images: usize) -> Result<u64> {
    let stored = bytes_below(&server.data().join("content/blobs"))?;
    let pushed: BTreeMap<_, _> = ["one", "many"]
        .iter()
        .flat_map(|round| (0..images / 2).map(move |number| image(round, number)))
        .flat_map(|image| image.blobs.into_iter().map(|(digest, bytes)| (digest, bytes.len() as u64)))
        .collect();
    let pushed: u64 = pushed.values().sum();
    ensure!(stored >= pushed, "only {stored} of {pushed} bytes are on disk");
    Ok(stored - pushed)
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
