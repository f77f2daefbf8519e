//! The command line, the configuration, and the wiring of all rooms into one server. The binary adds the files of the
//! site and is compiled last, so that this crate compiles while they are built.

#![recursion_limit = "256"]

mod backup;
mod cli;
mod config;
mod copying;
mod epoch;
mod files;
mod history;
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
mod user;

use std::io::Write;
use std::process::ExitCode;

use cli::{Cli, Command};
use config::Settings;

pub use site::Carried;

/// Runs the command line. `carried` gives access to the site's files in the binary, if it contains them.
#[must_use]
pub fn main(carried: Option<Carried>) -> ExitCode {
    files::keep_private();
    // Fails only if a provider is already installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(Cli::read(), carried) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("longshore: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, carried: Option<Carried>) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve { restored, sources } => serve::run(Settings::load(sources)?, restored, carried),
        Command::CheckConfig(sources) => {
            let settings = Settings::load(sources)?;
            settings.tls.as_ref().map_or(Ok(()), longshore_transport::tls::check)?;
            print(&settings);
            Ok(())
        }
        Command::MigrateStorage { to, sources } => {
            migrate::run(&Settings::load(sources)?, &Settings::load_other(&to)?)
        }
        Command::Backup { to, sources } => backup::run(&Settings::load(sources)?, &to),
        Command::User(command) => user::run(command),
        Command::Openapi => {
            print(&longshore_api::openapi_json());
            Ok(())
        }
        Command::SettingsIn { page } => {
            print(&config::documented(&page)?);
            Ok(())
        }
    }
}

/// Prints to a reader that may have closed the pipe, such as `head`.
fn print(text: &dyn std::fmt::Display) {
    let _ = write!(std::io::stdout(), "{text}");
}
