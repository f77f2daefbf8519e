//! How answers grow with what a server holds: every page, every list of the REST interface, and what clients of the
//! registry do, on a server that has been at work for long and on one with a hundredth of it. Both are asked in
//! turn, so that the machine is the same to both.

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

/// How much there is, and how often it is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The databases, one after the other
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Sqlite, Kind::Postgres])]
    databases: Vec<Kind>,
    /// Repositories with one tag
    #[arg(long, default_value_t = 3_000)]
    repositories: u64,
    /// Tags of the one crowded repository
    #[arg(long, default_value_t = 100_000)]
    tags: u64,
    /// Jobs that have ended
    #[arg(long, default_value_t = 200_000)]
    jobs: u64,
    /// Rows of the activity
    #[arg(long, default_value_t = 200_000)]
    activity: u64,
    /// How often each thing is asked for
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Only what has this in its name
    #[arg(long)]
    only: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

/// The namespace that has nearly everything, and its crowded repository.
const CROWDED_NAMESPACE: &str = "crowded";
const CROWDED: &str = "crowded/app";
/// A user, who sees little more than what is in a namespace of the same name.
const QUIET: &str = "quiet";

/// What must be reached: nothing slower than this, and nothing so many times slower than on the small database.
const P99: Duration = Duration::from_millis(50);
const RATIO: f64 = 3.0;

/// Measures on each database; whether every target was met.
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

/// Starts a server whose database holds so much.
async fn prepared(binary: &Path, kind: Kind, size: Size) -> Result<Longshore> {
    let key = [7; 32];
    let mut builder = Longshore::builder(binary).variable("LONGSHORE_ENCRYPTION_KEY", &hex::encode(key));
    let url = match kind {
        Kind::Sqlite => None,
        Kind::Postgres => Some(tokio::task::spawn_blocking(postgres::new_database).await?),
    };
    // What is to be measured is not forgotten meanwhile.
    for setting in ["LONGSHORE_KEEP_JOBS", "LONGSHORE_KEEP_JOBS_DAYS"] {
        builder = builder.variable(setting, "0");
    }
    if let Some(url) = &url {
        builder = builder.variable("LONGSHORE_DATABASE", url);
    }
    // It makes the tables and the accounts, and leaves the rest to us.
    let mut server = builder.start().await;
    let rest = server.rest();
    rest.post("/accounts", json!({"name": CROWDED_NAMESPACE, "isOrg": true})).await.expect(201);
    let user = json!({"name": QUIET, "isOrg": false, "password": ADMIN_PASSWORD});
    rest.post("/accounts", user).await.expect(201);
    server.terminate().await;

    let began = Instant::now();
    let url = url.unwrap_or_else(|| server.data().join("longshore.db").display().to_string());
    let db = Database::open(&url, Vault::from_key(key)).await.context("cannot open the server's database")?;
    #[expect(clippy::disallowed_methods, reason = "what the server holds reaches back from the present")]
    let now = jiff::Timestamp::now();
    fill::fill(&db, size, now).await?;
    drop(db);
    if matches!(kind, Kind::Postgres) {
        tokio::task::spawn_blocking(move || postgres::vacuum(&url)).await?;
    }
    println!("filled in {:.0} s", began.elapsed().as_secs_f64());
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
