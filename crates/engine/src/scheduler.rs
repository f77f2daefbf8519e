//! Starts what is due: polls of pull mirrors, jobs with expired leases, garbage collections, and the removal of old
//! history.

use crate::{Engine, sorts::garbage};
use futures::FutureExt;
use jiff::SignedDuration;
use longshore_metadata::{
    Error, Priority, Tx,
    history::{self, Kind, Old},
    jobs, pull_mirrors, work,
};
use longshore_model::{
    Timestamp,
    job::{Cause, JobAction, orders},
    stored::PullMirror,
};
use std::time::Duration;
use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Short compared to the shortest interval of a mirror, which is a minute.
const LOOK_EVERY: Duration = Duration::from_secs(3);
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);
/// The number of history entries in one read.
const PAGE: i64 = 500;
/// The maximum number of rows that one transaction removes. It stops earlier when its turn is over.
const AT_ONCE: usize = 100;

impl Engine {
    /// Starts what is due, until `shutdown`.
    pub(crate) async fn keep_schedules(&self, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidied: Option<Instant> = None;
        loop {
            select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            if let Err(error) = self.start_due().await {
                tracing::error!(%error, "due polls could not be started");
            }
            if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                if let Err(error) = self.tidy().await {
                    tracing::error!(%error, "old history could not be removed");
                }
            }
        }
    }

    async fn start_due(&self) -> Result<(), Error> {
        let (now, collect_every) = (self.now(), self.settings().garbage.every);
        let (due, expired, collect_every) = {
            let conn = &mut self.db().read().await?;
            let collect = match collect_every {
                Some(every) if garbage::is_due(conn, every, now).await? => Some(every),
                _ => None,
            };
            (pull_mirrors::due(conn, now).await?, jobs::any_expired(conn, now).await?, collect)
        };
        if due.is_empty() && !expired && collect_every.is_none() {
            return Ok(());
        }
        self.db()
            .write(
                Priority::Normal,
                work!(|tx| {
                    jobs::release_expired(tx, now).await?;
                    for mirror in &due {
                        start(tx, mirror, now).await?;
                    }
                    if let Some(every) = collect_every {
                        garbage::start_due(tx, every, now).await?;
                    }
                    Ok::<_, Error>(())
                }),
            )
            .await
    }

    async fn tidy(&self) -> Result<(), Error> {
        // During a rolling upgrade, servers of an older version still enqueue jobs.
        self.db().write(Priority::Normal, |tx| jobs::line_up(tx).boxed()).await?;
        for &kind in Kind::ALL {
            self.forget(kind).await?;
        }
        Ok(())
    }

    /// Removes history of one kind that is past its retention and no longer needed. It is found by reading and removed
    /// in small transactions, so that nothing has to wait for long.
    async fn forget(&self, kind: Kind) -> Result<(), Error> {
        let (keep, undo) = (kind.keep(&self.settings().history), self.settings().garbage.retention.undo);
        let bounds = history::bounds(&mut self.db().read().await?, kind, &keep, undo, self.now()).await?;
        let (mut after, mut forgotten) = (None, 0);
        loop {
            let conn = &mut self.db().read().await?;
            let Old { mut beyond, next } = history::old(conn, kind, &bounds, after.as_ref(), PAGE).await?;
            while !beyond.is_empty() {
                let (some, bounds) = (beyond[..beyond.len().min(AT_ONCE)].to_vec(), bounds.clone());
                let write = self.db().write(Priority::Normal, move |tx| {
                    async move { history::forget(tx, kind, &bounds, &some).await }.boxed()
                });
                let settled = write.await?;
                forgotten += settled;
                beyond.drain(..settled);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if forgotten > 0 {
            tracing::info!(?kind, forgotten, "old history was removed");
        }
        Ok(())
    }
}

/// Enqueues the poll of one mirror, unless one is already queued or running, and schedules the next. If several servers
/// find it due, only one of them enqueues it.
async fn start(tx: &mut Tx, mirror: &PullMirror, now: Timestamp) -> Result<(), Error> {
    let id = mirror.common.id;
    let next = now + SignedDuration::from_secs(i64::from(mirror.interval_seconds));
    let first = pull_mirrors::schedule(tx, id, mirror.next_run_at, next).await?;
    if first && jobs::active_for_policy(tx, id, JobAction::PollMirror).await?.is_none() {
        jobs::enqueue(tx, orders::poll(mirror, Cause::Schedule, None, now), now).await?;
    }
    Ok(())
}
