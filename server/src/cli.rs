//! The command line.

use clap::builder::{OsStr, Resettable};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::env;
use std::path::PathBuf;

use crate::config::Sources;

/// A container registry that moves images on: promotion policies, push mirrors, pull mirrors.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Parses the command line and the environment; exits if they are invalid. An empty variable counts as not set, as
    /// in a compose file with a missing value.
    pub(crate) fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| match argument.get_env().and_then(env::var_os) {
        Some(value) if value.is_empty() => argument.env(Resettable::<OsStr>::Reset),
        _ => argument,
    });
    command.mut_subcommands(without_empty_variables)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the registry, the site and the REST interface
    Serve {
        /// Pause all policies and mirrors before they act, because the data were restored from a backup with other
        /// tools. A backup made by `longshore backup` is detected automatically
        #[arg(long)]
        restored: bool,
        #[command(flatten)]
        sources: Sources,
    },
    /// Check the configuration, and show the resulting settings
    CheckConfig(Sources),
    /// Move everything to the database and the storage of another configuration
    ///
    /// Stop the server first. An interrupted move is continued when the command is run again. The old database and
    /// storage are not changed.
    MigrateStorage {
        /// The configuration of the server after the move; if its bucket has other keys, set LONGSHORE_TO_S3_ACCESS_KEY
        /// and LONGSHORE_TO_S3_SECRET_KEY
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        sources: Sources,
    },
    /// Back up everything into a folder that a server can serve from
    ///
    /// The server may be running. Specify its configuration and options. The next backup into the same folder copies
    /// only what is new. The encryption key is not included.
    Backup {
        /// The folder of the backup
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        #[command(flatten)]
        sources: Sources,
    },
    /// Create users, and change their passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Print the description of the REST interface (OpenAPI)
    Openapi,
    /// Print a page of the documentation with its tables of settings updated
    #[command(hide = true)]
    SettingsIn {
        /// The path of the page in the repository
        page: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Create a user or an organization; a user's password is read from the standard input
    Add {
        /// The name, which is also the namespace
        name: String,
        /// Create an administrator
        #[arg(long, conflicts_with = "org")]
        admin: bool,
        /// Create an organization, which cannot sign in
        #[arg(long)]
        org: bool,
        #[command(flatten)]
        sources: Sources,
    },
    /// Change a user's password, which is read from the standard input; ends the user's sessions
    Passwd {
        /// The username
        name: String,
        #[command(flatten)]
        sources: Sources,
    },
}
