//! Connect: tries exactly the settings of a form against the real registry, and says step by step
//! what it found (semantics 27). Nothing that it does stays behind at the registry.

mod explain;
mod rights;
mod steps;

use longshore_oci::RemoteName;
use serde::Serialize;

use crate::Endpoint;

/// Which way images shall flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the registry.
    Pull,
    /// To the registry.
    Push,
}

/// What a check is about, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// A connection comes about.
    Reachable,
    /// The connection is encrypted, with whom it should be.
    Tls,
    /// What answers is a registry.
    Registry,
    /// User name and password are right.
    Credentials,
    /// The repository is there.
    Repository,
    /// It may be read.
    Read,
    /// It may be written.
    Write,
}

impl CheckKind {
    /// All of them, in order.
    pub const ALL: [CheckKind; 7] = [
        CheckKind::Reachable,
        CheckKind::Tls,
        CheckKind::Registry,
        CheckKind::Credentials,
        CheckKind::Repository,
        CheckKind::Read,
        CheckKind::Write,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckKind::Reachable => "reachable",
            CheckKind::Tls => "tls",
            CheckKind::Registry => "registry",
            CheckKind::Credentials => "credentials",
            CheckKind::Repository => "repository",
            CheckKind::Read => "read",
            CheckKind::Write => "write",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub kind: CheckKind,
    /// How it ended.
    pub status: CheckStatus,
    /// What was found: names the registry, what it answered and why.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The field of the form that it belongs to: `remoteHost`, `username`, `password`,
    /// `remoteRepository`, `remoteCA`, `proxy`.
    pub field: Option<&'static str>,
}

/// What the credentials may do to the repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// Pull.
    pub read: bool,
    /// Push; asked for only where the direction is push.
    pub write: bool,
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectReport {
    /// Whether the settings work for the direction: no check failed.
    pub usable: bool,
    /// One for each [`CheckKind`], in order.
    pub checks: Vec<Check>,
    /// What may be done.
    pub permissions: Permissions,
    /// What kind of registry answered.
    pub registry_type: String,
    /// The token realm that it named, to be pinned.
    pub realm: Option<String>,
}

impl ConnectReport {
    /// The first check that failed.
    pub fn failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.status == CheckStatus::Failed)
    }
}

/// Tests the settings against the registry and the repository.
pub async fn connect(endpoint: Endpoint, repository: &RemoteName, direction: Direction) -> ConnectReport {
    let mut findings = steps::Findings::new(&endpoint);
    // A step that fails has noted why, and those after it would only repeat it.
    let _ = findings.run(endpoint, repository, direction).await;
    findings.into_report()
}
