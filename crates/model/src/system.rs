//! The server as it describes itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// The version of Longshore.
    pub version: String,
    /// When the server was started.
    pub started_at: Timestamp,
    /// The server's present instant.
    pub now: Timestamp,
    /// `SQLite` or `PostgreSQL`.
    pub database: String,
    /// The time zone of tag templates.
    pub zone: String,
    /// How many repositories there are.
    pub repositories: u64,
    /// How many tags, digest tags left out.
    pub tags: u64,
    /// Bytes of all blobs, each counted once.
    pub blob_bytes: u64,
    /// Jobs that wait.
    pub jobs_waiting: u64,
    /// Jobs that run.
    pub jobs_running: u64,
}
