//! The command line: what `longshore` can be told, before anything of it is done.

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
    /// Reads the command line and the environment; ends the process where they are not right. A variable that
    /// is empty is one that is not set, as in a compose file with a missing value.
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
        /// The data were put back from a backup by other tools: pause all policies and mirrors before they
        /// act. What `longshore backup` made says so itself
        #[arg(long)]
        restored: bool,
        #[command(flatten)]
        sources: Sources,
    },
    /// Check the configuration, and show what it comes to
    CheckConfig(Sources),
    /// Move everything to the database and the storage that another configuration names
    ///
    /// Stop the server first. A move that broke off goes on when it is asked for again. The old
    /// database and storage stay as they are.
    MigrateStorage {
        /// The configuration that is to serve afterwards; its bucket's keys come by
        /// LONGSHORE_TO_S3_ACCESS_KEY and LONGSHORE_TO_S3_SECRET_KEY, where they are others
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        sources: Sources,
    },
    /// Copy everything, of a server that runs or not, into a folder that a server can serve from
    ///
    /// Name the configuration and the options that the server has. The next backup into the same
    /// folder copies what is new. The encryption key is no part of it.
    Backup {
        /// The folder
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        #[command(flatten)]
        sources: Sources,
    },
    /// Make users, and change their passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Print the description of the REST interface (OpenAPI)
    Openapi,
    /// Print a page of the documentation with its tables of settings as they should be
    #[command(hide = true)]
    SettingsIn {
        /// The page, by its path in the repository
        page: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user or an organization; a user's password is read from the standard input
    Add {
        /// The name, which is a namespace as well
        name: String,
        /// An administrator
        #[arg(long, conflicts_with = "org")]
        admin: bool,
        /// An organization, which cannot sign in
        #[arg(long)]
        org: bool,
        #[command(flatten)]
        sources: Sources,
    },
    /// Change a user's password, which is read from the standard input; ends the user's sessions
    Passwd {
        /// The user's name
        name: String,
        #[command(flatten)]
        sources: Sources,
    },
}
