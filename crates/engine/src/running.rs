//! The jobs that this process is running, and a way to stop each of them.

use longshore_model::{JobId, remote::BackOff};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;

/// Why a running job is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Someone canceled it.
    Canceled,
    /// The server shuts down; the job is resumed after the next start.
    Parked,
    /// The job was taken away from this worker, either by a pause, after which it is resumed (semantics 29), or because
    /// its policy was changed, disabled or deleted (semantics 34).
    Taken,
    /// Its remote is in back-off; the job is resumed afterwards (semantics 39).
    RemoteWaits(BackOff),
    /// The lease expired, so another worker may claim the job.
    LeaseLost,
}

/// By job and epoch: a job whose lease expired may be claimed again while the worker that lost it is still running.
type Stops = Mutex<HashMap<(JobId, i64), watch::Sender<Option<Stop>>>>;

/// The jobs that this process is running.
#[derive(Debug, Default)]
pub(crate) struct Running(Arc<Stops>);

/// The entry of one running job, which is removed on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    stops: Arc<Stops>,
    claim: (JobId, i64),
    stop: watch::Receiver<Option<Stop>>,
}

impl Running {
    /// Adds a job. Call this before spawning the job's task, so that the job can be stopped from the beginning.
    pub(crate) fn enter(&self, job: JobId, epoch: i64) -> Slot {
        let (sender, stop) = watch::channel(None);
        let claim = (job, epoch);
        self.0.lock().insert(claim, sender);
        Slot { stops: self.0.clone(), claim, stop }
    }

    /// Stops the job, if it is running here. The first reason given counts.
    pub(crate) fn stop(&self, job: JobId, why: Stop) {
        let stops = self.0.lock();
        for (_, stop) in stops.iter().filter(|((running, _), _)| *running == job) {
            pull(stop, why.clone());
        }
    }

    /// Stops all jobs.
    pub(crate) fn stop_all(&self, why: Stop) {
        for stop in self.0.lock().values() {
            pull(stop, why.clone());
        }
    }

    pub(crate) fn has(&self, job: JobId) -> bool {
        self.0.lock().keys().any(|(running, _)| *running == job)
    }

    pub(crate) fn all(&self) -> Vec<JobId> {
        self.claims().into_iter().map(|(job, _)| job).collect()
    }

    /// All running jobs with the epochs of their claims.
    pub(crate) fn claims(&self) -> Vec<(JobId, i64)> {
        self.0.lock().keys().copied().collect()
    }

    /// The claims of one job that are running here.
    pub(crate) fn claims_of(&self, job: JobId) -> Vec<(JobId, i64)> {
        self.claims().into_iter().filter(|(running, _)| *running == job).collect()
    }

    /// Stops one claim of a job; a later claim of the same job continues.
    pub(crate) fn stop_claim(&self, claim: (JobId, i64), why: Stop) {
        if let Some(stop) = self.0.lock().get(&claim) {
            pull(stop, why);
        }
    }
}

fn pull(stop: &watch::Sender<Option<Stop>>, why: Stop) {
    stop.send_if_modified(|stop| {
        let first = stop.is_none();
        stop.get_or_insert(why);
        first
    });
}

impl Slot {
    /// Waits until the job is stopped.
    pub(crate) async fn stopped(&self) -> Stop {
        let mut stop = self.stop.clone();
        match stop.wait_for(Option::is_some).await.map(|stop| stop.clone()) {
            Ok(Some(stop)) => stop,
            // The sender lives as long as the slot.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.stops.lock().remove(&self.claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn semantics_25_a_worker_that_lost_a_job_does_not_affect_the_one_that_has_it_now() {
        let running = Running::default();
        let job = JobId::new();
        let (old, new) = (running.enter(job, 1), running.enter(job, 2));
        drop(old);
        running.stop(job, Stop::Canceled);
        assert_eq!(new.stopped().await, Stop::Canceled);
    }

    #[tokio::test]
    async fn a_running_job_is_stopped_for_the_first_reason_given() {
        let running = Running::default();
        let job = JobId::new();
        running.stop(job, Stop::Canceled);
        let slot = running.enter(job, 1);
        assert!(slot.stopped().now_or_never().is_none());
        running.stop(job, Stop::Canceled);
        running.stop_all(Stop::Parked);
        assert_eq!(slot.stopped().await, Stop::Canceled);
        drop(slot);
        assert!(!running.has(job) && running.all().is_empty());
    }
}
