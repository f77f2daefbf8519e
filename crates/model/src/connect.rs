//! The report of *Connect*, which tests the connection to another registry check by check.

use crate::id::RemoteId;
use crate::remote::RemoteDraft;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The direction in which images are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the other registry.
    Pull,
    /// To the other registry.
    Push,
}

/// The settings that Connect tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectRequest {
    /// A saved remote whose stored password may be used while host and TLS settings stay the same.
    pub saved: Option<RemoteId>,
    /// The settings as entered in the form; `None` if the saved remote is used unchanged.
    pub remote: Option<RemoteDraft>,
    /// The repository at the other registry.
    pub remote_repository: String,
    pub direction: Direction,
}

/// The checks, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// The registry can be reached.
    Reachable,
    /// The connection is encrypted, and with the right server.
    Tls,
    /// The server is a registry.
    Registry,
    /// The username and password are correct.
    Credentials,
    /// The repository exists.
    Repository,
    /// The repository can be read.
    Read,
    /// The repository can be written.
    Write,
}

impl CheckKind {
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Passed.
    Ok,
    /// Works, but needs attention.
    Warning,
    /// Does not work.
    Failed,
    /// Not tried, because it is not needed or an earlier check failed.
    Skipped,
}

/// One check of Connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// What was checked: `reachable`, `tls`, `registry`, `credentials`, `repository`, `read`, `write`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: CheckKind,
    /// The result of the check.
    pub status: CheckStatus,
    /// The finding, as a sentence.
    pub message: String,
    /// How to solve the problem.
    pub remedy: Option<String>,
    /// The form field that the finding concerns.
    pub field: Option<String>,
}

/// The permissions on a repository of another registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Permissions {
    /// Whether the repository can be pulled from.
    pub read: bool,
    /// Whether the repository can be pushed to.
    pub write: bool,
}

/// The result of Connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectReport {
    /// Whether the settings work for the requested direction: no check failed.
    pub usable: bool,
    /// One for each [`CheckKind`], in order.
    pub checks: Vec<Check>,
    /// Writing is tried only if the direction is push.
    pub permissions: Permissions,
    /// What kind of registry answered, in its own words or ours.
    pub registry_type: String,
    /// The token realm that the registry named.
    pub realm: Option<String>,
}

impl ConnectReport {
    /// The first failed check.
    #[must_use]
    pub fn failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.status == CheckStatus::Failed)
    }
}
