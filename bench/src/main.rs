//! Benchmarks of the release binary, each a subcommand: `cargo xtask bench promote`. A benchmark prints its results
//! with their targets and fails if a target is missed. Benchmarks are not part of the tests.

#![allow(clippy::disallowed_types, reason = "a benchmark sends requests only to servers that it has started")]

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
    /// Path of the Longshore binary
    #[arg(long, env = "LONGSHORE_BINARY", default_value = "target/release/longshore")]
    binary: PathBuf,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Time from the response to a manifest PUT until the promoted tag can be read
    Promote(promote::Options),
    /// Copies shared corpora by mirrors and verifies each copy
    CrossCheck(cross_check::Options),
    /// Pushes, pulls, manifests and memory, compared with docker-registry and the durable floor
    Registry(registry::Options),
    /// How response times grow with the number of repositories, tags and jobs
    Scale(scale::Options),
    /// Random work while the server is killed repeatedly, with checks that no acknowledged data is lost
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
