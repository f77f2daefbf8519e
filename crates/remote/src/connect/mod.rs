//! Connect: tries exactly the settings of a form against the real registry, and says step by step
//! what it found (semantics 27). Nothing that it does stays behind at the registry.

mod explain;
mod rights;
mod steps;

use longshore_model::connect::{ConnectReport, Direction};
use longshore_oci::RemoteName;

use crate::Endpoint;

/// Tests the settings against the registry and the repository.
pub async fn connect(endpoint: Endpoint, repository: &RemoteName, direction: Direction) -> ConnectReport {
    let mut findings = steps::Findings::new(&endpoint);
    // A step that fails has noted why, and those after it would only repeat it.
    let _ = findings.run(endpoint, repository, direction).await;
    findings.into_report()
}
