//! What administrators see of the server as a whole.

use crate::Admin;
use crate::guard::administrator;
use longshore_metadata::totals;
use longshore_model::view::SystemInfo;
use longshore_model::{Actor, Problem};

impl Admin {
    /// Version, database, sizes, queues. For administrators.
    ///
    /// # Errors
    /// The actor is none.
    pub async fn system(&self, actor: &Actor) -> Result<SystemInfo, Problem> {
        administrator(actor)?;
        let totals = totals::all(&mut self.read().await?).await?;
        let settings = &self.0.settings;
        Ok(SystemInfo {
            version: settings.version.clone(),
            started_at: settings.started_at,
            database: self.0.db.kind().to_owned(),
            repositories: totals.repositories,
            tags: totals.tags,
            blobs_bytes: totals.blobs_bytes,
            jobs_waiting: totals.jobs_waiting,
            jobs_running: totals.jobs_running,
            zone: self.0.engine.settings().zone.iana_name().unwrap_or("UTC").to_owned(),
        })
    }
}
