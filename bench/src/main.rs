//! Benchmarks against the release binary, each a subcommand: `cargo xtask bench promote`. A
//! benchmark prints what it measured beside its target and fails when the target is missed; it
//! never runs as part of the tests.

#![allow(
    clippy::disallowed_types,
    reason = "a benchmark asks the servers that it has started, as their clients do"
)]

mod cross_check;
mod latency;
mod promote;
mod registry;
mod scale;
mod soak;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "longshore-bench", about = "Measures Longshore")]
struct Cli {
    /// The server to measure
    #[arg(long, env = "LONGSHORE_BINARY", default_value = "target/release/longshore")]
    binary: PathBuf,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// From the answer to a manifest PUT until the promoted tag can be read
    Promote(promote::Options),
    /// Shared corpora through mirrors, verified at each stop
    CrossCheck(cross_check::Options),
    /// Pushes, pulls, manifests and memory, beside docker-registry and the durable floor
    Registry(registry::Options),
    /// How answers grow with the number of repositories, tags and jobs
    Scale(scale::Options),
    /// Random work until the server dies, again and again, and what must be true afterwards
    Soak(soak::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let met = match cli.benchmark {
        Benchmark::Promote(options) => promote::run(&cli.binary, &options).await,
        Benchmark::CrossCheck(options) => cross_check::run(&cli.binary, &options).await,
        Benchmark::Registry(options) => registry::run(&cli.binary, &options).await,
        Benchmark::Scale(options) => scale::run(&cli.binary, &options).await,
        Benchmark::Soak(options) => soak::run(&cli.binary, &options).await,
    };
    match met {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a target was missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
