//! The database behind the model: every row Longshore keeps, in SQLite or PostgreSQL, and the only
//! place where SQL is written. Bytes of blobs live in `content`; what may be done by whom is decided
//! above. Reads take a [`Conn`], writes a [`Tx`] inside [`Database::write`].

mod column;
mod conn;
mod database;
mod dialect;
mod error;
mod postgres;
mod sqlite;
mod vault;
mod visible;

pub mod accounts;
pub mod activity;
pub mod blobs;
pub mod deliveries;
pub mod jobs;
pub mod manifests;
pub mod policies;
pub mod promotions;
pub mod pull_mirrors;
pub mod push_mirrors;
pub mod remotes;
pub mod repositories;
pub mod sessions;
pub mod settings;
pub mod tags;
pub mod uploads;
pub mod verdicts;

pub use conn::{Change, Conn, Tx};
pub use database::{Database, Engine, Priority};
pub use error::Error;
pub use vault::{Vault, VaultError};
pub use visible::Visible;
