//! Claims jobs, runs them, renews their leases and stops them. `queues` decides which job is next, `sorts` does the
//! work of each kind of job, and `ending` records the result.

use crate::{
    Engine,
    finished::Finished,
    journal::Journal,
    listening::{NET, work_is_announced},
    running::{Slot, Stop},
    sorts,
    trouble::Trouble,
};
use futures::FutureExt;
use longshore_metadata::{
    Change, Error, Priority, Tx,
    jobs::{self, Claim, DueLane},
    work,
};
use longshore_model::{JobId, job::JobAction, message::TroubleMessage};
use std::{any::Any, panic::AssertUnwindSafe, time::Duration};
use tokio::{
    select,
    sync::broadcast,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// A lease is renewed after this fraction of its duration.
const RENEW_AFTER: u32 = 3;
/// How often the log and progress of a running job are written.
const TELL_EVERY: Duration = Duration::from_secs(1);
impl Engine {
    /// Evaluates changes of tags, runs jobs and starts what is due, until `shutdown`. Then stops all running jobs and
    /// returns them to the queue, to be resumed after the next start.
    pub async fn run(&self, shutdown: CancellationToken) {
        if let Err(error) = self.free_leases().await {
            tracing::error!(%error, "the leases of an earlier start could not be released");
        }
        let mut loops = JoinSet::new();
        let (engine, token) = (self.clone(), shutdown.clone());
        loops.spawn(async move { engine.evaluate_changes(token).await });
        let (engine, token) = (self.clone(), shutdown.clone());
        loops.spawn(async move { engine.run_queues(token).await });
        let (engine, token) = (self.clone(), shutdown.clone());
        loops.spawn(async move { engine.keep_schedules(token).await });
        let (engine, token) = (self.clone(), shutdown);
        loops.spawn(async move { engine.heed_cancellations(token).await });
        while let Some(ended) = loops.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the engine broke down");
            }
        }
    }

    /// Stops a job that is running here immediately, even in the middle of a blob. The caller has already called
    /// [`jobs::cancel`], which checks whether the job may be canceled and records the request.
    pub fn cancel(&self, job: JobId) {
        self.running().stop(job, Stop::Canceled);
    }

    async fn free_leases(&self) -> Result<(), Error> {
        let (boot, now) = (self.boot(), self.now());
        self.db().write(Priority::Normal, work!(|tx| jobs::release_all(tx, boot, now).await)).await.map(drop)
    }

    /// Claims jobs that are due, oldest first.
    pub(crate) async fn claim(
        &self,
        tx: &mut Tx,
        actions: &[JobAction],
        limit: i64,
    ) -> Result<Vec<Claim>, Error> {
        let (worker, lease) = (&self.settings().server_name, self.settings().lease);
        jobs::claim(tx, actions, self.boot(), worker, self.now(), lease, limit).await
    }

    /// Claims one job of a lane.
    pub(crate) async fn claim_lane(
        &self,
        tx: &mut Tx,
        action: JobAction,
        due: &DueLane,
    ) -> Result<Option<Claim>, Error> {
        let (worker, lease) = (&self.settings().server_name, self.settings().lease);
        jobs::claim_lane(tx, action, due, self.boot(), worker, self.now(), lease).await
    }

    /// Waits until there may be work: a job is announced or becomes due, or [`NET`] has passed.
    pub(crate) async fn idle(&self, actions: &[JobAction], changes: &mut broadcast::Receiver<Change>) {
        let due = async { sleep(self.until_due().await.unwrap_or(NET)).await };
        select! {
            // First, so that the database is not read if there are announcements already.
            biased;
            () = work_is_announced(actions, changes) => {}
            () = due => {}
        }
    }

    /// The time until the next job becomes due, at most [`NET`]. A job that is already due waits for another to end.
    async fn until_due(&self) -> Option<Duration> {
        let (mut conn, now) = (self.db().read().await.ok()?, self.now());
        let due = jobs::next_due(&mut conn, now).await.ok()??;
        Some(Duration::try_from(due.duration_since(now)).ok()?.min(NET))
    }

    /// Runs one claimed job and records how it ends.
    pub(crate) async fn run_claim(&self, claim: Claim, slot: Slot) {
        let journal = Journal::of(&claim);
        let ended = match self.may_ask(&claim).await {
            Ok(None) => {
                let work = AssertUnwindSafe(self.work(&claim, &journal)).catch_unwind();
                select! {
                    biased;
                    stop = slot.stopped() => Err(stop),
                    () = self.keep(&claim, &journal) => Err(Stop::LeaseLost),
                    ended = work => Ok(ended.unwrap_or_else(|panic| Err(broke_down(panic.as_ref())))),
                    stop = self.heed_remote(&claim) => Err(stop),
                }
            }
            Ok(Some(stop)) => Err(stop),
            Err(trouble) => Ok(Err(trouble)),
        };
        drop(slot);
        if let Ok(Err(trouble)) = &ended {
            self.note_contact(&journal, Some(trouble)).await;
        }
        let written = match ended {
            Ok(Ok(Finished::Recorded)) => Ok(None),
            Ok(Ok(Finished::Outcome(outcome))) => {
                self.end_done(&claim, &journal, outcome).await.map(|()| None)
            }
            Ok(Err(trouble)) => self.end_in_trouble(&claim, &journal, &trouble).await,
            Err(stop) => self.end_stopped(&claim, &journal, stop).await,
        };
        let due = written.as_ref().ok().copied().flatten();
        self.memory().end(claim.job.id, claim.epoch, due);
        match written {
            Ok(_) | Err(Error::LeaseLost { .. }) => {}
            // The lease will expire, and then the job is claimed again.
            Err(error) => {
                tracing::error!(job = %claim.job.id, %error, "the end of a job could not be stored")
            }
        }
    }

    async fn work(&self, claim: &Claim, journal: &Journal) -> Result<Finished, Trouble> {
        // It may have been canceled or paused since the claim.
        let mut conn = self.db().read().await?;
        if jobs::cancel_requested(&mut conn, claim.job.id).await? {
            self.cancel(claim.job.id);
            return std::future::pending().await;
        }
        if !jobs::is_claimed(&mut conn, claim.job.id, claim.epoch).await? {
            self.running().stop(claim.job.id, Stop::Taken);
            return std::future::pending().await;
        }
        drop(conn);
        sorts::run(self, claim, journal).await
    }

    /// Renews the lease and writes the journal until the lease is lost.
    async fn keep(&self, claim: &Claim, journal: &Journal) {
        let mut ticks = interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let renew_after = self.settings().lease.unsigned_abs() / RENEW_AFTER;
        let mut renewed = Instant::now();
        loop {
            ticks.tick().await;
            if renewed.elapsed() >= renew_after {
                match self.renew(claim).await {
                    Ok(true) => renewed = Instant::now(),
                    Ok(false) => return,
                    Err(error) => tracing::warn!(job = %claim.job.id, %error, "a lease could not be renewed"),
                }
            }
            match journal.flush(self.db(), self.now()).await {
                Ok(()) => {}
                Err(Error::LeaseLost { .. }) => return,
                Err(error) => tracing::warn!(job = %claim.job.id, %error, "progress could not be written"),
            }
        }
    }

    async fn renew(&self, claim: &Claim) -> Result<bool, Error> {
        let (job, epoch, now) = (claim.job.id, claim.epoch, self.now());
        let lease = self.settings().lease;
        self.db().write(Priority::Normal, work!(|tx| jobs::renew(tx, job, epoch, now, lease).await)).await
    }

    async fn heed_cancellations(&self, shutdown: CancellationToken) {
        let mut changes = self.db().changes();
        loop {
            let asked = select! {
                change = changes.recv() => change,
                () = shutdown.cancelled() => return,
            };
            let jobs = match asked {
                Ok(Change::Job(job)) if self.running().has(job) => vec![job],
                Ok(Change::Pauses) => {
                    self.heed_pauses().await;
                    continue;
                }
                Ok(_) => continue,
                // Announcements were missed, so check all jobs.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.heed_pauses().await;
                    self.running().all()
                }
                Err(broadcast::error::RecvError::Closed) => return,
            };
            for job in jobs {
                if self.is_cancelled(job).await.unwrap_or(false) {
                    self.cancel(job);
                } else {
                    self.heed_loss(self.running().claims_of(job)).await;
                }
            }
        }
    }

    /// Stops the jobs running here that a pause has taken away from this server. They could not commit anything anyway;
    /// stopping them keeps them from sending anything, too.
    pub async fn heed_pauses(&self) {
        self.heed_loss(self.running().claims()).await;
    }

    async fn heed_loss(&self, claims: Vec<(JobId, i64)>) {
        if claims.is_empty() {
            return;
        }
        match self.taken_away(claims).await {
            Ok(lost) => lost.into_iter().for_each(|claim| self.running().stop_claim(claim, Stop::Taken)),
            // Each job will notice when it writes the next time.
            Err(error) => tracing::warn!(%error, "running jobs could not be compared with the queue"),
        }
    }

    async fn taken_away(&self, claims: Vec<(JobId, i64)>) -> Result<Vec<(JobId, i64)>, Error> {
        let conn = &mut self.db().read().await?;
        let mut lost = Vec::new();
        for (job, epoch) in claims {
            if !jobs::is_claimed(conn, job, epoch).await? {
                lost.push((job, epoch));
            }
        }
        Ok(lost)
    }

    async fn is_cancelled(&self, job: JobId) -> Result<bool, Error> {
        jobs::cancel_requested(&mut self.db().read().await?, job).await
    }
}

fn broke_down(panic: &(dyn Any + Send)) -> Trouble {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let said = said.unwrap_or("no message");
    tracing::error!(panic = said, "a job panicked");
    let said = format!("an error in Longshore itself: {said}; please report it");
    Trouble::Final(TroubleMessage::Server { said }.into())
}
