//! Random work against the release binary, which is killed repeatedly; no acknowledged data may be lost. The work and
//! the checks are those of the crate `soak`, which the tests run for a shorter time.

use std::path::Path;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use longshore_soak::power::{PowerOptions, power_cuts, unnoticed_syncs};
use longshore_soak::{KillOptions, kill_rounds};
use longshore_testkit::{Longshore, S3Server, postgres};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Number of times that the server is killed while it works
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Database for the metadata
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    database: Database,
    /// Storage for the blobs
    #[arg(long, value_enum, default_value_t = Store::Disk)]
    store: Store,
    /// Simulate power cuts instead: data written but not synced is lost, in whole or in part
    #[arg(long, conflicts_with_all = ["database", "store"])]
    power: bool,
    /// Number of power cuts
    #[arg(long, default_value_t = 300)]
    cuts: usize,
    /// Number of concurrent clients
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Seed of the random numbers [default: different in each run]
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Disk,
    /// Bucket of an S3 server that the benchmark starts
    S3,
}

/// Panics if acknowledged data is missing.
pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}");
    let mut builder = Longshore::builder(binary);
    if options.database == Database::Postgres {
        let url = tokio::task::spawn_blocking(postgres::new_database).await?;
        builder = builder.argument("--database").argument(&url);
    }
    // Dropping the S3 server would stop it.
    let bucket = match options.store {
        Store::Disk => None,
        Store::S3 => Some(S3Server::start().await),
    };
    if let Some(bucket) = &bucket {
        builder = builder.in_bucket(bucket);
    }
    let Options { rounds, cuts, clients, .. } = *options;
    let tell = |line: String| println!("{line}");
    if options.power {
        let power = PowerOptions { cuts, clients, seed, ..PowerOptions::default() };
        // First check that a missing sync would be detected at all.
        let unnoticed = unnoticed_syncs(builder.clone(), power).await;
        ensure!(unnoticed.is_empty(), "missing syncs of {unnoticed:?} are not detected");
        power_cuts(builder, power, tell).await;
        println!("{cuts} power cuts, no acknowledged data lost");
    } else {
        kill_rounds(builder, KillOptions { rounds, clients, seed }, tell).await;
        println!("{rounds} rounds, no acknowledged data lost");
    }
    Ok(true)
}
