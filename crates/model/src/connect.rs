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

/// What a check is about, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// The registry can be reached.
    Reachable,
    /// The connection is encrypted, and with the right server.
    Tls,
    /// What answers is a registry.
    Registry,
    /// User name and password are right.
    Credentials,
    /// The repository exists.
    Repository,
    /// It can be read.
    Read,
    /// It can be written.
    Write,
}

impl CheckKind {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Reachable,
        Self::Tls,
        Self::Registry,
        Self::Credentials,
        Self::Repository,
        Self::Read,
        Self::Write,
    ];
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Good.
    Ok,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Failed,
    /// Not tried, since it is not needed or an earlier one failed.
    Skipped,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// What was checked: `reachable`, `tls`, `registry`, `credentials`, `repository`, `read`, `write`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: CheckKind,
    /// How it ended.
    pub status: CheckStatus,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The field it is about.
    pub field: Option<String>,
}

/// What may be done with a repository of another registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Permissions {
    /// It can be pulled from.
    pub read: bool,
    /// It can be pushed to.
    pub write: bool,
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectReport {
    /// Whether the settings work for the direction that was asked for: no check failed.
    pub usable: bool,
    /// One for each [`CheckKind`], in order.
    pub checks: Vec<Check>,
    /// What may be done with the repository. Writing is tried only where the direction is push.
    pub permissions: Permissions,
    /// What kind of registry answered, in its own words or ours.
    pub registry_type: String,
    /// The token realm that it named.
    pub realm: Option<String>,
}

impl ConnectReport {
    /// The first check that failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.status == CheckStatus::Failed)
    }
}
