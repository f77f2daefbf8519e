//! How response times grow with the amount of data: pages, lists of the REST API and registry requests, on a server
//! with a long history and on one with a hundredth of the data. Requests to the two alternate, so that both see the
//! same conditions of the machine.

mod asked;
mod fill;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use longshore_metadata::{Database, Vault};
use longshore_testkit::{ADMIN_PASSWORD, Longshore, postgres};
use serde_json::json;

use self::{asked::Asker, fill::Size};
use crate::latency::{Latencies, ms};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Databases to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Sqlite, Kind::Postgres])]
    databases: Vec<Kind>,
    /// Number of repositories with one tag
    #[arg(long, default_value_t = 3_000)]
    repositories: u64,
    /// Number of tags in the one large repository
    #[arg(long, default_value_t = 100_000)]
    tags: u64,
    /// Number of finished jobs
    #[arg(long, default_value_t = 200_000)]
    jobs: u64,
    /// Number of activity entries
    #[arg(long, default_value_t = 200_000)]
    activity: u64,
    /// Number of times that each request is sent
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Measure only requests whose name contains this text
    #[arg(long)]
    only: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

/// The namespace with almost all the data, and its repository with many tags.
const CROWDED_NAMESPACE: &str = "crowded";
const CROWDED: &str = "crowded/app";
/// A user without access to the data outside of their own namespace, which has the same name.
const QUIET: &str = "quiet";

/// The targets: the maximum p99, and the maximum ratio of p50 and p99 to those of the small database.
const P99: Duration = Duration::from_millis(50);
const RATIO: f64 = 3.0;

/// Runs the benchmark on each database. Returns whether every target was met.
pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let size = Size {
        repositories: options.repositories,
        tags: options.tags,
        jobs: options.jobs,
        activity: options.activity,
    };
    let mut met = true;
    for kind in &options.databases {
        println!("\n{kind:?}, {size:?}");
        let large = prepared(binary, *kind, size).await?;
        let small = prepared(binary, *kind, size.hundredth()).await?;
        met &= compare(&large, &small, size, options).await?;
    }
    Ok(met)
}

/// Starts a server with a database of the given size.
async fn prepared(binary: &Path, kind: Kind, size: Size) -> Result<Longshore> {
    let key = [7; 32];
    let mut builder = Longshore::builder(binary).variable("LONGSHORE_ENCRYPTION_KEY", &hex::encode(key));
    let url = match kind {
        Kind::Sqlite => None,
        Kind::Postgres => Some(tokio::task::spawn_blocking(postgres::new_database).await?),
    };
    // Keep the server from deleting old jobs.
    for setting in ["LONGSHORE_KEEP_JOBS", "LONGSHORE_KEEP_JOBS_DAYS"] {
        builder = builder.variable(setting, "0");
    }
    if let Some(url) = &url {
        builder = builder.variable("LONGSHORE_DATABASE", url);
    }
    // The server creates the tables and the accounts; the benchmark inserts the rest.
    let mut server = builder.start().await;
    let rest = server.rest();
    rest.post("/accounts", json!({"name": CROWDED_NAMESPACE, "isOrg": true})).await.expect(201);
    let user = json!({"name": QUIET, "isOrg": false, "password": ADMIN_PASSWORD});
    rest.post("/accounts", user).await.expect(201);
    server.terminate().await;

    let began = Instant::now();
    let url = url.unwrap_or_else(|| server.data().join("longshore.db").display().to_string());
    let db = Database::open(&url, Vault::from_key(key)).await.context("cannot open the server's database")?;
    #[expect(clippy::disallowed_methods, reason = "the history of the data ends at the present")]
    let now = jiff::Timestamp::now();
    fill::fill(&db, size, now).await?;
    drop(db);
    if matches!(kind, Kind::Postgres) {
        tokio::task::spawn_blocking(move || postgres::vacuum(&url)).await?;
    }
    println!("data inserted in {:.0} s", began.elapsed().as_secs_f64());
    server.restart().await;
    Ok(server)
}

async fn compare(large: &Longshore, small: &Longshore, size: Size, options: &Options) -> Result<bool> {
    let (mut large, mut small) = (Asker::new(large, size).await?, Asker::new(small, size.hundredth()).await?);
    println!(
        "{:52} {:>10} {:>10} {:>10} {:>10} {:>6} {:>6}",
        "", "p50 small", "p50", "p99 small", "p99", "p50 ×", "p99 ×"
    );
    let mut met = true;
    for asked in asked::ALL {
        let name = asked.to_string();
        if options.only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let (mut slow, mut quick) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            quick.push(small.time(asked, round).await?);
            slow.push(large.time(asked, round).await?);
        }
        let (slow, quick) = (Latencies::new(slow), Latencies::new(quick));
        let of = |percent| slow.percentile(percent).as_secs_f64() / quick.percentile(percent).as_secs_f64();
        let reached = slow.percentile(99) <= P99 && of(50) <= RATIO && of(99) <= RATIO;
        println!(
            "{name:52} {:>10} {:>10} {:>10} {:>10} {:>6.2} {:>6.2}{}",
            ms(quick.percentile(50)),
            ms(slow.percentile(50)),
            ms(quick.percentile(99)),
            ms(slow.percentile(99)),
            of(50),
            of(99),
            if reached { "" } else { "  missed" },
        );
        met &= reached;
    }
    println!("targets: p99 at most {}, no ratio above {RATIO}", ms(P99));
    Ok(met)
}
