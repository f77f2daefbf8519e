//! The binary `longshore`: the command line, the configuration, and the wiring of all rooms into
//! one server. What any of it does stands in the rooms.

#![recursion_limit = "256"]

mod backup;
mod cli;
mod config;
mod copying;
mod epoch;
mod limits;
mod listener;
mod lock;
mod logging;
mod memory;
mod metrics;
mod middleware;
mod migrate;
mod network;
mod rooms;
mod serve;
mod site;
mod storage;
mod tls;
mod user;

use std::io::Write;
use std::process::ExitCode;

use cli::{Cli, Command};
use config::Settings;

fn main() -> ExitCode {
    match run(Cli::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("longshore: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve { restored, sources } => serve::run(Settings::load(sources)?, restored),
        Command::CheckConfig(sources) => {
            // Whoever reads it may have seen enough.
            let _ = write!(std::io::stdout(), "{}", Settings::load(sources)?);
            Ok(())
        }
        Command::MigrateStorage { to, sources } => {
            migrate::run(&Settings::load(sources)?, &Settings::load_other(&to)?)
        }
        Command::Backup { to, sources } => backup::run(&Settings::load(sources)?, &to),
        Command::User(command) => user::run(command),
        Command::Openapi => {
            print!("{}", longshore_api::openapi_json());
            Ok(())
        }
    }
}
