//! The server as a whole, for administrators: its state, garbage collection, and verification of storage.

use crate::Admin;
use crate::guard::{administrator, author};
use jiff::SignedDuration;
use longshore_metadata::{jobs, totals, work};
use longshore_model::job::orders;
use longshore_model::job::{Cause, Job};
use longshore_model::view::{GarbageRules, SystemInfo};
use longshore_model::{Actor, Problem};

impl Admin {
    /// Version, database, sizes and queues. Only for administrators.
    ///
    /// # Errors
    /// The actor is not an administrator.
    pub async fn system(&self, actor: &Actor) -> Result<SystemInfo, Problem> {
        administrator(actor)?;
        let totals = totals::all(&mut self.read().await?).await?;
        let settings = &self.0.settings;
        let garbage = &self.0.engine.settings().garbage;
        Ok(SystemInfo {
            version: settings.version.clone(),
            started_at: settings.started_at,
            database: self.0.db.kind().to_owned(),
            repositories: totals.repositories,
            tags: totals.tags,
            blobs_bytes: totals.blobs_bytes,
            jobs_waiting: totals.jobs_waiting,
            jobs_running: totals.jobs_running,
            garbage: GarbageRules {
                untagged: garbage.retention.untagged.map(hours),
                undo: hours(garbage.retention.undo),
                every: garbage.every.map(hours),
            },
            zone: self.0.engine.settings().zone.iana_name().unwrap_or("UTC").to_owned(),
        })
    }

    /// Starts garbage collection (semantics 23) as a job. A dry run only reports what would be removed. Only for
    /// administrators.
    ///
    /// # Errors
    /// The actor is not an administrator.
    pub async fn collect_garbage(&self, actor: &Actor, dry_run: bool) -> Result<Job, Problem> {
        administrator(actor)?;
        let (now, cause) = (self.now(), Cause::Asked { author: author(actor) });
        let job = self.write(work!(|tx| {
            let order = orders::collect_garbage(dry_run, cause, now);
            Ok(jobs::enqueue_and_read(tx, order, now).await?)
        }));
        self.redaction(actor).await?.job(job.await?).await
    }

    /// Starts a job that reads and verifies everything in storage, and fetches damaged content again if a mirror can
    /// supply it. Only for administrators.
    ///
    /// # Errors
    /// The actor is not an administrator.
    pub async fn scrub(&self, actor: &Actor) -> Result<Job, Problem> {
        administrator(actor)?;
        let (now, cause) = (self.now(), Cause::Asked { author: author(actor) });
        let job =
            self.write(work!(|tx| Ok(jobs::enqueue_and_read(tx, orders::scrub(cause, now), now).await?)));
        self.redaction(actor).await?.job(job.await?).await
    }
}

fn hours(duration: SignedDuration) -> u64 {
    duration.as_hours().unsigned_abs()
}
