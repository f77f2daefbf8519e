//! Random work against the release binary until it dies, again and again; nothing that was acknowledged may be
//! missing afterwards. What is done and checked stands in `soak`; here it is done for long.

use std::path::Path;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use longshore_soak::power::{PowerOptions, power_cuts, unnoticed_syncs};
use longshore_soak::{KillOptions, kill_rounds};
use longshore_testkit::{Longshore, S3Server, postgres};

/// How long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often the server is killed in the middle of its work
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// What holds the metadata
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    database: Database,
    /// What holds the blobs
    #[arg(long, value_enum, default_value_t = Store::Disk)]
    store: Store,
    /// Cut the power instead: what was written and not synced is lost, in whole or in part
    #[arg(long, conflicts_with_all = ["database", "store"])]
    power: bool,
    /// At how many instants the power is cut
    #[arg(long, default_value_t = 300)]
    cuts: usize,
    /// Clients that work at the same time
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// What randomness begins with [default: another one each time]
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
    /// A bucket of an S3 server that is started as well
    S3,
}

/// Panics with what is missing, when something is.
pub(crate) async fn run(binary: &Path, options: &Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}");
    let mut builder = Longshore::builder(binary);
    if options.database == Database::Postgres {
        let url = tokio::task::spawn_blocking(postgres::new_database).await?;
        builder = builder.argument("--database").argument(&url);
    }
    // It lives as long as this does.
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
        // First whether it would be noticed at all.
        let unnoticed = unnoticed_syncs(builder.clone(), power).await;
        ensure!(unnoticed.is_empty(), "nobody misses syncs of {unnoticed:?}");
        power_cuts(builder, power, tell).await;
        println!("{cuts} power cuts, and nothing that was acknowledged is missing");
    } else {
        kill_rounds(builder, KillOptions { rounds, clients, seed }, tell).await;
        println!("{rounds} rounds, and nothing that was acknowledged is missing");
    }
    Ok(true)
}
