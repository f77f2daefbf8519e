//! What *Connect* found out about a registry, check by check.

use crate::id::RemoteId;
use crate::remote::RemoteDraft;
use serde::{Deserialize, Serialize};

/// Which way images shall flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the other registry.
    Pull,
    /// To the other registry.
    Push,
}

/// The settings that Connect tests: exactly these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectRequest {
    /// A saved remote whose stored password may be used while host and TLS settings stay the same.
    pub saved: Option<RemoteId>,
    /// The settings as they stand in the form; for a saved remote that is used unchanged, `None`.
    pub remote: Option<RemoteDraft>,
    /// The repository at the other registry.
    pub remote_repository: String,
    /// Which way.
    pub direction: Direction,
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Good.
    Ok,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Failed,
    /// Was not tried, since an earlier one failed.
    Skipped,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked: `reachable`, `tls`, `registry`, `credentials`, `repository`, `read`, `write`.
    pub kind: String,
    /// How it ended.
    pub status: CheckStatus,
    /// What was found, naming the registry.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The form field it is about: `remoteHost`, `username`, `password`, `remoteRepository`, `remoteCA`.
    pub field: Option<String>,
}

/// All findings, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectReport {
    /// Whether these settings can be saved for the direction that was asked for.
    pub usable: bool,
    /// The findings.
    pub checks: Vec<Check>,
    /// The repository can be read.
    pub may_read: bool,
    /// The repository can be written.
    pub may_write: bool,
    /// What kind of registry answered, in its own words or ours.
    pub registry_type: String,
    /// The token realm that it named.
    pub realm: Option<String>,
}
