//! The database behind the model: SQLite, or PostgreSQL if several servers share one. All SQL of Longshore is in this
//! crate, and most statements are the same for both databases; differences are decided by `is_postgres`. The bytes of
//! blobs are in `content`; permissions are checked in `admin`.
//!
//! To read, `db.read()` returns a [`Conn`], which the functions of the modules take. To write, `db.write(priority, |tx|
//! …)` runs a transaction: a [`Tx`] is passed to the functions that change something, and can be used like a `Conn`.
//! something, and reads like a `Conn`.

pub mod accounts;
pub mod activity;
pub mod back_offs;
pub mod blobs;
pub mod counters;
pub mod deletion;
pub mod deliveries;
pub mod epoch;
pub mod facts;
pub mod garbage;
pub mod history;
pub mod jobs;
pub mod manifests;
pub mod moving;
pub mod pauses;
pub mod policies;
pub mod promotions;
pub mod pull_mirrors;
pub mod push_mirrors;
mod relay;
pub mod remotes;
pub mod repositories;
pub mod sessions;
pub mod settings;
pub mod stock;
pub mod storage;
pub mod tags;
pub mod totals;
pub mod undo;
pub mod uploads;
pub mod verdicts;

mod changes;
mod conn;
mod convert;
mod database;
mod error;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod growth;
mod line;
mod migrations;
mod opening;
mod page;
mod problem;
mod turn;
mod url;
mod vault;
mod visible;
mod write_ahead;
mod writer;

pub use changes::Change;
pub use conn::{Conn, Tx};
pub use database::{Connections, Database};
pub use error::Error;
pub use line::Priority;
pub use turn::Turn;
pub use url::without_password;
pub use vault::Vault;
pub use visible::Visible;
