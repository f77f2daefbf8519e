//! The build driver: `cargo xtask run`, `build`, `test`, `conformance`, `bench`, `fuzz`, `soak`, `openapi` and
//! `docs`.
//!
//! It does everything that takes more than one cargo command: the browser part, the files of the site, the binary
//! that embeds them, and the checks of `.ci/run`. The Cargo.toml of each crate defines how the crate itself is built.

mod build;
mod command;
mod conformance;
mod fuzz;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod rooms;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod semantics;
mod site;
mod style;
mod tally;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs and tests Longshore", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build target/release/longshore, the binary that embeds its site
    Build,
    /// Build, then serve on http://127.0.0.1:8080 with data under ./data
    Run {
        /// Options for `longshore serve`, such as `--listen 0.0.0.0:80`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Install what the tests need, then run every check and every test
    Test(test::Options),
    /// Run the OCI's conformance program against the server (needs Go)
    Conformance(conformance::Options),
    /// Build the release server and run one benchmark against it
    Bench {
        /// The name of the benchmark, such as `promote`, and its options
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
    /// Build the release server, interrupt it repeatedly during random work, and check that nothing is lost
    Soak {
        /// `--rounds 200`, `--power`, `--seed N`; see `soak --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Feed the parsers random input, and save new inputs in fuzz/corpus
    Fuzz(fuzz::Options),
    /// Write the description of the REST interface to docs/openapi.json
    Openapi,
    /// Write the tables of settings in README.md and docs/operating
    Docs,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Build => build::build(),
        Task::Run { args } => build::run(&args),
        Task::Test(options) => test::test(&options),
        Task::Conformance(options) => conformance::conformance(&options),
        Task::Bench { args } => build::bench(&args),
        Task::Soak { args } => build::soak(args),
        Task::Fuzz(options) => fuzz::fuzz(&options),
        Task::Openapi => build::openapi(),
        Task::Docs => build::docs(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
