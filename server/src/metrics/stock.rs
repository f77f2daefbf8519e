//! Metrics from the database: how much is stored, and which jobs are queued or running. They are cached for a while.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use longshore_metadata::Database;
use longshore_metadata::stock::{self, Stock};
use longshore_model::job::{JobAction, Status};
use longshore_model::{Clock, Timestamp};
use metrics::gauge;
use tokio::sync::Mutex;

/// The maximum age of the values.
const FRESH: SignedDuration = SignedDuration::from_secs(15);
/// How long to wait for the database: Prometheus gives up after 10 s, and would then get no metrics at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the values.
pub(super) struct Stocktaker {
    db: Database,
    clock: Arc<dyn Clock>,
    taken_at: Mutex<Option<Timestamp>>,
}

impl Stocktaker {
    pub(super) fn new(db: Database, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, taken_at: Mutex::new(None) }
    }

    /// Sets the gauges, unless they were set recently.
    pub(super) async fn take(&self) {
        let connections = self.db.connections();
        gauge!("longshore_database_connections", "state" => "idle").set(connections.idle as f64);
        let used = connections.open.saturating_sub(connections.idle);
        gauge!("longshore_database_connections", "state" => "used").set(used as f64);
        gauge!("longshore_database_connections_max").set(connections.most as f64);

        let now = self.clock.now();
        // Held during the query, so that concurrent requests cause only one.
        let mut taken_at = self.taken_at.lock().await;
        if taken_at.is_some_and(|taken_at| now.duration_since(taken_at) < FRESH) {
            return;
        }
        match self.db.read_within(PATIENCE, stock::count).await {
            Ok(stock) => tell(&stock, now),
            Err(error) => tracing::warn!(%error, "the metrics from the database could not be updated"),
        }
        *taken_at = Some(now);
    }
}

fn tell(stock: &Stock, now: Timestamp) {
    gauge!("longshore_repositories").set(stock.repositories as f64);
    gauge!("longshore_blobs").set(stock.blobs as f64);
    gauge!("longshore_blobs_bytes").set(stock.blob_bytes as f64);
    gauge!("longshore_uploads_open").set(stock.uploads as f64);
    gauge!("longshore_remotes_waiting").set(stock.waiting_remotes as f64);
    gauge!("longshore_pauses").set(stock.pauses as f64);
    let mut oldest = SignedDuration::ZERO;
    for &action in JobAction::ALL {
        let held = stock.held.iter().find(|(held, _)| *held == action).map_or(0, |(_, count)| *count);
        gauge!("longshore_jobs", "action" => action.as_str(), "status" => "held").set(held as f64);
        for status in [Status::Waiting, Status::Running] {
            let found = stock.jobs.iter().find(|jobs| jobs.action == action && jobs.status == status);
            let count = found.map_or(0, |jobs| jobs.count);
            gauge!("longshore_jobs", "action" => action.as_str(), "status" => status.as_str())
                .set(count as f64);
            if let Some(since) = found.and_then(|jobs| jobs.due_since) {
                oldest = oldest.max(now.duration_since(since));
            }
        }
    }
    gauge!("longshore_jobs_oldest_due_age_seconds").set(oldest.as_secs_f64());
}
