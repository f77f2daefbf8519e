//! What happens when its time comes: polls of pull mirrors, jobs of workers that died, the collection of
//! garbage, the end of old history.

use crate::{Engine, garbage, orders};
use jiff::SignedDuration;
use longshore_metadata::{Error, Priority, Tx, jobs, pull_mirrors};
use longshore_model::{
    Timestamp,
    job::{Action, Cause},
    stored::PullMirror,
};
use std::time::Duration;
use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// The shortest interval of a mirror is a minute; nobody notices these seconds.
const LOOK_EVERY: Duration = Duration::from_secs(3);
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);
/// Jobs that ended longer ago are forgotten,
const HISTORY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// and so are older ones than the latest so many.
const HISTORY_JOBS: i64 = 100_000;

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
                    tracing::error!(%error, "old jobs could not be removed");
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
            .write(Priority::Normal, move |tx| {
                Box::pin(async move {
                    jobs::release_expired(tx, now).await?;
                    for mirror in &due {
                        start(tx, mirror, now).await?;
                    }
                    if let Some(every) = collect_every {
                        garbage::start_due(tx, every, now).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .await
    }

    async fn tidy(&self) -> Result<(), Error> {
        let before = self.now() - HISTORY;
        self.db()
            .write(Priority::Normal, move |tx| {
                Box::pin(async move {
                    // While servers are replaced one by one, those of an older version go on queueing.
                    jobs::line_up(tx).await?;
                    jobs::prune(tx, before, HISTORY_JOBS).await
                })
            })
            .await
            .map(drop)
    }
}

/// Enqueues the poll of one mirror, unless one waits or runs already, and sets the time of the next. Of several
/// servers that find it due, one does.
async fn start(tx: &mut Tx, mirror: &PullMirror, now: Timestamp) -> Result<(), Error> {
    let id = mirror.common.id;
    let next = now + SignedDuration::from_secs(i64::from(mirror.interval_seconds));
    let first = pull_mirrors::schedule(tx, id, mirror.next_run_at, next).await?;
    if first && jobs::active_for_policy(tx, id, Action::PollMirror).await?.is_none() {
        jobs::enqueue(tx, orders::poll(mirror, Cause::Schedule, None, now), now).await?;
    }
    Ok(())
}
