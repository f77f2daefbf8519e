//! Sharing the workers (semantics 39). Copies, polls and housekeeping have queues of their own. Within the first
//! two no remote and no namespace takes more than half of the workers, the lane that was not served longest is
//! next, and a worker whose registry falls silent is lent to others until it speaks again.

use crate::{Engine, running::Stop};
use longshore_metadata::{
    Change, Error, Priority, Tx,
    jobs::{self, Claim, DueLane, Lane},
};
use longshore_model::{RemoteId, job::Action};
use longshore_oci::Namespace;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    select,
    sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// A worker whose registry says nothing for so long is lent to others.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Jobs that try whether a remote answers again need no worker; so many may do so at once.
const PROBES: usize = 32;
/// A garbage collection and a verification of the storage each have a worker; their keys keep them single.
const HOUSEKEEPERS: usize = 2;
/// Parents only wait, and need no worker.
const PARENTS: usize = 1_000;

/// The workers of one queue.
#[derive(Debug, Clone)]
struct Pool {
    workers: Arc<Semaphore>,
    probes: Arc<Semaphore>,
    /// A worker was lent or came back.
    freed: Arc<Notify>,
    load: Arc<Mutex<Load>>,
}

/// How many jobs of each remote run here, and how many workers each namespace has: one that was lent is nobody's.
#[derive(Debug, Default)]
struct Load {
    remotes: HashMap<RemoteId, usize>,
    namespaces: HashMap<Namespace, usize>,
}

impl Load {
    fn of(&self, lane: &Lane) -> (usize, usize) {
        let number = |found: Option<&usize>| found.copied().unwrap_or_default();
        (number(self.namespaces.get(&lane.namespace)), number(self.remotes.get(&lane.remote)))
    }

    fn enter(&mut self, lane: &Lane) {
        *self.remotes.entry(lane.remote).or_default() += 1;
    }

    fn leave(&mut self, lane: &Lane) {
        less(&mut self.remotes, &lane.remote);
    }

    fn work(&mut self, lane: &Lane) {
        *self.namespaces.entry(lane.namespace.clone()).or_default() += 1;
    }

    fn rest(&mut self, lane: &Lane) {
        less(&mut self.namespaces, &lane.namespace);
    }
}

fn less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The lane to take a job from: of those within their share the least busy, and of equals the next one behind
/// `last`. Who is served goes to the end of the line, so with k lanes each is served at least every kth time.
fn choose<'l>(
    lanes: impl Iterator<Item = &'l DueLane>,
    load: &Load,
    share: usize,
    last: Option<&Lane>,
) -> Option<&'l DueLane> {
    lanes
        .filter(|due| {
            let (namespace, remote) = load.of(&due.lane);
            namespace < share && remote < share
        })
        .min_by_key(|due| (load.of(&due.lane), last.is_some_and(|last| due.lane <= *last), due.lane.clone()))
}

/// A running job's place in its queue; others may have it when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pool: Pool,
    lane: Option<Lane>,
    worker: Option<OwnedSemaphorePermit>,
    /// It tries whether its remote answers again, which needs no worker until that is known.
    probe: Option<OwnedSemaphorePermit>,
}

impl Seat {
    /// Lends the worker while the registry is silent, and takes one again when it is not.
    fn mind(&mut self, silence: Duration) {
        if silence >= SILENT_AFTER {
            self.lend();
        } else if self.worker.is_none() && self.probe.is_none() {
            self.worker = self.pool.workers.clone().try_acquire_owned().ok();
            if let (Some(lane), true) = (&self.lane, self.worker.is_some()) {
                self.pool.lock().work(lane);
            }
        }
    }

    fn lend(&mut self) {
        if self.worker.take().is_some() {
            if let Some(lane) = &self.lane {
                self.pool.lock().rest(lane);
            }
            self.pool.freed.notify_one();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lend();
        if let Some(lane) = &self.lane {
            self.pool.lock().leave(lane);
        }
        self.probe = None;
        self.pool.freed.notify_one();
    }
}

impl Pool {
    fn new(workers: usize) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(workers)),
            probes: Arc::new(Semaphore::new(PROBES)),
            freed: Arc::default(),
            load: Arc::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(
        &self,
        lane: Option<Lane>,
        worker: Option<OwnedSemaphorePermit>,
        probe: Option<OwnedSemaphorePermit>,
    ) -> Seat {
        if let Some(lane) = &lane {
            let mut load = self.lock();
            load.enter(lane);
            if worker.is_some() {
                load.work(lane);
            }
        }
        Seat { pool: self.clone(), lane, worker, probe }
    }
}

/// Where a queue's jobs stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// In lanes, one for each remote and namespace.
    Lanes(Action),
    /// One behind the other.
    Single(&'static [Action]),
}

impl Line {
    fn actions(&self) -> &[Action] {
        match self {
            Self::Lanes(action) => std::slice::from_ref(action),
            Self::Single(actions) => actions,
        }
    }
}

impl Engine {
    /// Runs all jobs but evaluations, until `shutdown`.
    pub(crate) async fn run_queues(&self, shutdown: CancellationToken) {
        let workers = self.settings().workers.max(1);
        let queue = |line, workers| self.run_queue(line, workers, shutdown.clone());
        tokio::join!(
            queue(Line::Lanes(Action::PushMirrorTag), workers),
            queue(Line::Lanes(Action::PollMirror), workers),
            queue(Line::Single(&[Action::PollMirror]), PARENTS),
            queue(Line::Single(&[Action::GarbageCollect, Action::Scrub]), HOUSEKEEPERS),
        );
    }

    async fn run_queue(&self, line: Line, workers: usize, shutdown: CancellationToken) {
        let (pool, mut jobs, mut last) = (Pool::new(workers), JoinSet::new(), None);
        let mut changes: broadcast::Receiver<Change> = self.db().changes();
        while !shutdown.is_cancelled() {
            crate::worker::heard(&mut changes);
            let taken = self.take(line, &pool, &mut last).await.unwrap_or_else(|error| {
                tracing::error!(%error, "no jobs could be claimed");
                Vec::new()
            });
            let none = taken.is_empty();
            for (claim, seat) in taken {
                let engine = self.clone();
                jobs.spawn(async move { engine.run_seated(claim, seat).await });
            }
            if none {
                select! {
                    () = self.idle(line.actions(), &mut changes) => {}
                    () = pool.freed.notified() => {}
                    () = shutdown.cancelled() => {}
                }
            }
            while jobs.try_join_next().is_some() {}
        }
        self.running().stop_all(Stop::Parked);
        while jobs.join_next().await.is_some() {}
    }

    /// Takes as many jobs as there are workers free, in one transaction.
    async fn take(
        &self,
        line: Line,
        pool: &Pool,
        last: &mut Option<Lane>,
    ) -> Result<Vec<(Claim, Seat)>, Error> {
        let (engine, its_pool, from) = (self.clone(), pool.clone(), last.clone());
        let write = self.db().write(Priority::Evaluation, move |tx| {
            Box::pin(async move {
                match line {
                    Line::Single(actions) => engine.take_single(tx, actions, &its_pool).await,
                    Line::Lanes(action) => engine.take_lanes(tx, action, &its_pool, from).await,
                }
            })
        });
        let taken = write.await?;
        if let Some((_, Seat { lane: Some(lane), .. })) = taken.last() {
            *last = Some(lane.clone());
        }
        Ok(taken)
    }

    async fn take_single(
        &self,
        tx: &mut Tx,
        actions: &[Action],
        pool: &Pool,
    ) -> Result<Vec<(Claim, Seat)>, Error> {
        let mut taken = Vec::new();
        while let Ok(worker) = pool.workers.clone().try_acquire_owned() {
            let Some(claim) = self.claim(tx, actions, 1).await?.pop() else { break };
            taken.push((claim, pool.seat(None, Some(worker), None)));
        }
        Ok(taken)
    }

    async fn take_lanes(
        &self,
        tx: &mut Tx,
        action: Action,
        pool: &Pool,
        mut last: Option<Lane>,
    ) -> Result<Vec<(Claim, Seat)>, Error> {
        let silent = self.gates().silent(SILENT_AFTER);
        let mut lanes = jobs::lanes(tx, action, self.now()).await?;
        // Whoever does not answer is not asked for more.
        lanes.retain(|due| !silent.contains(&due.lane.remote));
        let mut taken = Vec::new();
        for due in lanes.iter().filter(|due| due.probes) {
            let Ok(probe) = pool.probes.clone().try_acquire_owned() else { break };
            if let Some(claim) = self.claim_lane(tx, action, due).await? {
                taken.push((claim, pool.seat(Some(due.lane.clone()), None, Some(probe))));
            }
        }
        lanes.retain(|due| !due.probes);
        let share = self.settings().workers.max(1).div_ceil(2);
        while let Ok(worker) = pool.workers.clone().try_acquire_owned() {
            let chosen = choose(lanes.iter(), &pool.lock(), share, last.as_ref()).cloned();
            let Some(due) = chosen else { break };
            match self.claim_lane(tx, action, &due).await? {
                Some(claim) => {
                    taken.push((claim, pool.seat(Some(due.lane.clone()), Some(worker), None)));
                    last = Some(due.lane);
                }
                // What is due there waits for another one with its key.
                None => lanes.retain(|other| *other != due),
            }
        }
        Ok(taken)
    }

    async fn run_seated(&self, claim: Claim, mut seat: Seat) {
        let gate = claim.remote.map(|remote| self.gates().of(remote));
        let run = self.run_claim(claim);
        tokio::pin!(run);
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                () = &mut run => return,
                _ = ticks.tick(), if gate.is_some() => {
                    if let Some(guarded) = &gate {
                        if guarded.gate.standing() == longshore_remote::Standing::Open {
                            seat.probe = None;
                        }
                        seat.mind(guarded.gate.silence());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn due(remote: u128, namespace: &str) -> DueLane {
        let remote = RemoteId(uuid::Uuid::from_u128(remote));
        DueLane { lane: Lane { remote, namespace: namespace.parse().unwrap() }, probes: false }
    }

    #[test]
    fn semantics_39_each_lane_has_its_turn() {
        let lanes = [due(1, "dev"), due(2, "qa"), due(3, "ops")];
        let (load, mut last, mut served) = (Load::default(), None, Vec::new());
        for _ in 0..6 {
            let next = choose(lanes.iter(), &load, 4, last.as_ref()).unwrap();
            last = Some(next.lane.clone());
            served.push(next.lane.namespace.to_string());
        }
        assert_eq!(served, ["dev", "qa", "ops", "dev", "qa", "ops"]);
    }

    #[test]
    fn semantics_39_neither_a_remote_nor_a_namespace_takes_more_than_its_share() {
        let (mut load, greedy) = (Load::default(), due(1, "dev"));
        for _ in 0..2 {
            load.enter(&greedy.lane);
            load.work(&greedy.lane);
        }
        let lanes = [greedy.clone(), due(1, "qa"), due(2, "dev")];
        assert_eq!(choose(lanes.iter(), &load, 2, None), None, "the remote and the namespace have theirs");
        let other = [greedy.clone(), due(2, "qa")];
        assert_eq!(choose(other.iter(), &load, 2, None), Some(&other[1]));
        for _ in 0..2 {
            // The least busy first.
            assert_eq!(choose(other.iter(), &load, 3, None), Some(&other[1]));
            load.rest(&greedy.lane);
            load.leave(&greedy.lane);
        }
        assert!(load.remotes.is_empty() && load.namespaces.is_empty());
    }

    #[tokio::test]
    async fn semantics_39_a_silent_registrys_worker_is_lent_to_others() {
        let pool = Pool::new(1);
        let worker = pool.workers.clone().try_acquire_owned().unwrap();
        let mut seat = pool.seat(Some(due(1, "dev").lane), Some(worker), None);
        seat.mind(Duration::from_secs(1));
        assert_eq!(pool.workers.available_permits(), 0);
        seat.mind(SILENT_AFTER);
        assert_eq!(pool.workers.available_permits(), 1);
        assert!(pool.lock().namespaces.is_empty(), "nor does its namespace have it");
        seat.mind(Duration::ZERO);
        assert_eq!(pool.workers.available_permits(), 0);
        drop(seat);
        assert_eq!(pool.workers.available_permits(), 1);
        assert!(pool.lock().remotes.is_empty());
    }
}
