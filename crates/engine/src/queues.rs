//! Shares the workers fairly (semantics 39). Pushes, polls and housekeeping have queues of their own. In the first two,
//! no remote or namespace takes more than half of the workers, the lane that has waited longest is next, and the worker
//! of a job whose registry does not respond is lent to other jobs until it does.

use crate::{
    Engine,
    listening::NET,
    running::{Slot, Stop},
};
use futures::future::join_all;
use longshore_metadata::{
    Change, Error, Priority, Tx,
    jobs::{self, Claim, DueLane, Lane},
    work,
};
use longshore_model::{
    RemoteId,
    job::{JobAction, Queue},
};
use longshore_oci::Namespace;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};
use tokio::{
    select,
    sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// A worker is lent to other jobs after its registry has not responded for this long.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// How often [`SILENT_AFTER`] is checked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The maximum number of probes in each queue; at most half of them for one namespace. A probe is a job that tries
/// whether its remote answers again, and needs no worker. The remote that has waited longest for a probe is next.
const PROBES: usize = 32;
/// The delay after a database error before jobs are claimed again.
const AFTER_ERROR: Duration = NET;
/// The maximum number of running parents; they only wait for their children, and need no worker.
const PARENTS: usize = 1_000;

/// The workers of one queue.
#[derive(Debug, Clone)]
struct Pool {
    workers: Arc<Semaphore>,
    probes: Arc<Semaphore>,
    /// Notified when a worker has been lent or returned.
    freed: Arc<Notify>,
    load: Arc<Mutex<Load>>,
}

/// The number of running jobs of each remote, and the number of workers and probes of each namespace. A lent worker
/// counts for no namespace.
#[derive(Debug, Default)]
struct Load {
    remotes: HashMap<RemoteId, usize>,
    workers: HashMap<Namespace, usize>,
    probes: HashMap<Namespace, usize>,
}

/// What a running job occupies.
#[derive(Debug)]
enum Place {
    /// A worker.
    Working { _worker: OwnedSemaphorePermit },
    /// A probe: the job needs no worker until its remote answers.
    Probing { _probe: OwnedSemaphorePermit },
    /// Nothing: its worker has been lent to another job.
    Waiting,
}

impl Load {
    /// The number of workers of the lane's namespace, and the number of running jobs of its remote.
    fn of(&self, lane: &Lane) -> (usize, usize) {
        (number(&self.workers, &lane.namespace), number(&self.remotes, &lane.remote))
    }

    fn of_place(&mut self, place: &Place) -> Option<&mut HashMap<Namespace, usize>> {
        match place {
            Place::Working { .. } => Some(&mut self.workers),
            Place::Probing { .. } => Some(&mut self.probes),
            Place::Waiting => None,
        }
    }

    fn take(&mut self, lane: &Lane, place: &Place) {
        if let Some(counts) = self.of_place(place) {
            *counts.entry(lane.namespace.clone()).or_default() += 1;
        }
    }

    fn give_back(&mut self, lane: &Lane, place: &Place) {
        if let Some(counts) = self.of_place(place) {
            less(counts, &lane.namespace);
        }
    }
}

fn number<K: Hash + Eq>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or_default()
}

fn less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The lane to take a job from: the least busy one within its share, and of equally busy ones the next after `last`.
/// With k equally busy lanes, each is served every kth time.
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

/// The remote to probe: the one that has waited longest in the namespace with the fewest probes, if that is within its
/// share. A remote that fails again goes to the end of the line, so each gets its turn, however many do not respond.
fn choose_probe<'l>(lanes: impl Iterator<Item = &'l DueLane>, load: &Load) -> Option<&'l DueLane> {
    let busy = |due: &DueLane| number(&load.probes, &due.lane.namespace);
    lanes
        .filter(|due| busy(due) < PROBES.div_ceil(2))
        .min_by_key(|due| (busy(due), due.probes_since, due.lane.clone()))
}

/// A running job's place in its queue, which is freed on drop.
#[derive(Debug)]
pub(crate) struct Seat {
    pool: Pool,
    lane: Option<Lane>,
    place: Place,
}

impl Seat {
    /// Lends the worker to other jobs while the registry does not respond, and takes one again when it does.
    fn mind(&mut self, silence: Duration) {
        match &self.place {
            Place::Working { .. } if silence >= SILENT_AFTER => self.change(Place::Waiting),
            Place::Waiting if silence < SILENT_AFTER => {
                if let Ok(worker) = self.pool.workers.clone().try_acquire_owned() {
                    self.change(Place::Working { _worker: worker });
                }
            }
            Place::Working { .. } | Place::Probing { .. } | Place::Waiting => {}
        }
    }

    /// Ends a probe, because the remote has answered: from now on the job needs a worker.
    fn answered(&mut self) {
        if matches!(self.place, Place::Probing { .. }) {
            self.change(Place::Waiting);
        }
    }

    fn change(&mut self, place: Place) {
        if let Some(lane) = &self.lane {
            let mut load = self.pool.lock();
            load.give_back(lane, &self.place);
            load.take(lane, &place);
        }
        let frees = matches!(place, Place::Waiting);
        self.place = place;
        if frees {
            self.pool.freed.notify_one();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.change(Place::Waiting);
        if let Some(lane) = &self.lane {
            less(&mut self.pool.lock().remotes, &lane.remote);
        }
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

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.load.lock()
    }

    fn seat(&self, lane: Option<Lane>, place: Place) -> Seat {
        if let Some(lane) = &lane {
            let mut load = self.lock();
            *load.remotes.entry(lane.remote).or_default() += 1;
            load.take(lane, &place);
        }
        Seat { pool: self.clone(), lane, place }
    }
}

/// The way in which a queue's jobs wait.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// In lanes, one for each remote and namespace.
    Lanes(JobAction),
    /// In one line, oldest first.
    Single(Vec<JobAction>),
}

impl Line {
    /// The lines of all jobs except evaluations, with the number of workers of each.
    fn all(workers: usize) -> Vec<(Self, usize)> {
        let (mut lines, mut housekeeping) = (Vec::new(), Vec::new());
        for &action in JobAction::ALL {
            match action.queue() {
                Queue::Evaluations => {}
                Queue::Lanes { parents } => {
                    lines.push((Self::Lanes(action), workers));
                    lines.extend(parents.then(|| (Self::Single(vec![action]), PARENTS)));
                }
                Queue::Housekeeping => housekeeping.push(action),
            }
        }
        // Each action needs only one worker, since its jobs share a key.
        let housekeepers = housekeeping.len();
        lines.push((Self::Single(housekeeping), housekeepers));
        lines
    }

    fn actions(&self) -> &[JobAction] {
        match self {
            Self::Lanes(action) => std::slice::from_ref(action),
            Self::Single(actions) => actions,
        }
    }
}

impl Engine {
    /// Runs all jobs except evaluations, until `shutdown`.
    pub(crate) async fn run_queues(&self, shutdown: CancellationToken) {
        let lines = Line::all(self.settings().workers.max(1)).into_iter();
        join_all(lines.map(|(line, workers)| self.run_queue(line, workers, shutdown.clone()))).await;
    }

    async fn run_queue(&self, line: Line, workers: usize, shutdown: CancellationToken) {
        let (pool, mut jobs, mut last) = (Pool::new(workers), JoinSet::new(), None);
        let mut changes: broadcast::Receiver<Change> = self.db().changes();
        while !shutdown.is_cancelled() {
            crate::listening::heard(&mut changes);
            let taken = match self.take(&line, &pool, &mut last).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::error!(%error, "no jobs could be claimed");
                    // Ignore announcements meanwhile: seats that were given back cause some, too.
                    select! {
                        () = sleep(AFTER_ERROR) => continue,
                        () = shutdown.cancelled() => break,
                    }
                }
            };
            let none = taken.is_empty();
            for (claim, seat) in taken {
                let (engine, slot) = (self.clone(), self.running().enter(claim.job.id, claim.epoch));
                jobs.spawn(async move { engine.run_seated(claim, slot, seat).await });
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

    /// Claims as many jobs as there are free workers, in one transaction.
    async fn take(
        &self,
        line: &Line,
        pool: &Pool,
        last: &mut Option<Lane>,
    ) -> Result<Vec<(Claim, Seat)>, Error> {
        let (engine, line, its_pool, mut served) = (self.clone(), line.clone(), pool.clone(), last.clone());
        let write = self.db().write(
            Priority::Evaluation,
            work!(|tx| {
                let taken = match line {
                    Line::Single(actions) => engine.take_single(tx, &actions, &its_pool).await?,
                    Line::Lanes(action) => {
                        let mut lanes = jobs::lanes(tx, action, engine.now()).await?;
                        // A remote that does not respond gets no further jobs.
                        let silent = engine.gates().silent(SILENT_AFTER);
                        lanes.retain(|due| !silent.contains(&due.lane.remote));
                        engine.take_lanes(tx, action, lanes, &its_pool, &mut served).await?
                    }
                };
                Ok::<_, Error>((taken, served))
            }),
        );
        let (taken, served) = write.await?;
        *last = served;
        Ok(taken)
    }

    async fn take_single(
        &self,
        tx: &mut Tx,
        actions: &[JobAction],
        pool: &Pool,
    ) -> Result<Vec<(Claim, Seat)>, Error> {
        let mut taken = Vec::new();
        while let Ok(worker) = pool.workers.clone().try_acquire_owned() {
            let Some(claim) = self.claim(tx, actions, 1).await?.pop() else { break };
            taken.push((claim, pool.seat(None, Place::Working { _worker: worker })));
        }
        Ok(taken)
    }

    /// Claims probes and then jobs. Time: the number of lanes times the number of claimed jobs.
    async fn take_lanes(
        &self,
        tx: &mut Tx,
        action: JobAction,
        lanes: Vec<DueLane>,
        pool: &Pool,
        last: &mut Option<Lane>,
    ) -> Result<Vec<(Claim, Seat)>, Error> {
        let (mut probing, mut lanes): (Vec<_>, Vec<_>) =
            lanes.into_iter().partition(|due| due.probes_since.is_some());
        let mut taken = Vec::new();
        while let Ok(probe) = pool.probes.clone().try_acquire_owned() {
            let chosen = choose_probe(probing.iter(), &pool.lock()).cloned();
            let Some(due) = chosen else { break };
            if let Some(claim) = self.claim_lane(tx, action, &due).await? {
                taken.push((claim, pool.seat(Some(due.lane.clone()), Place::Probing { _probe: probe })));
            }
            probing.retain(|other| *other != due);
        }
        let share = self.settings().workers.max(1).div_ceil(2);
        while let Ok(worker) = pool.workers.clone().try_acquire_owned() {
            let chosen = choose(lanes.iter(), &pool.lock(), share, last.as_ref()).cloned();
            let Some(due) = chosen else { break };
            match self.claim_lane(tx, action, &due).await? {
                Some(claim) => {
                    taken
                        .push((claim, pool.seat(Some(due.lane.clone()), Place::Working { _worker: worker })));
                    *last = Some(due.lane);
                }
                // The jobs that are due in this lane wait for other jobs with the same key.
                None => lanes.retain(|other| *other != due),
            }
        }
        Ok(taken)
    }

    async fn run_seated(&self, claim: Claim, slot: Slot, mut seat: Seat) {
        let gate = claim.remote.map(|remote| self.gates().of(remote));
        let run = self.run_claim(claim, slot);
        tokio::pin!(run);
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                () = &mut run => return,
                _ = ticks.tick(), if gate.is_some() => {
                    if let Some(guarded) = &gate {
                        if guarded.gate.standing() == longshore_remote::Standing::Open {
                            seat.answered();
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
    use longshore_model::Timestamp;

    fn due(remote: u128, namespace: &str) -> DueLane {
        let remote = RemoteId(uuid::Uuid::from_u128(remote));
        DueLane { lane: Lane { remote, namespace: namespace.parse().unwrap() }, probes_since: None }
    }

    #[test]
    fn semantics_39_lanes_take_turns() {
        let lanes = [due(1, "dev"), due(2, "qa"), due(3, "ops")];
        let (load, mut last, mut served) = (Load::default(), None, Vec::new());
        for _ in 0..6 {
            let next = choose(lanes.iter(), &load, 4, last.as_ref()).unwrap();
            last = Some(next.lane.clone());
            served.push(next.lane.namespace.to_string());
        }
        assert_eq!(served, ["dev", "qa", "ops", "dev", "qa", "ops"]);
    }

    #[tokio::test]
    async fn semantics_39_neither_a_remote_nor_a_namespace_takes_more_than_its_share() {
        let (pool, greedy) = (Pool::new(4), due(1, "dev"));
        let mut seats: Vec<Seat> = (0..2).map(|_| pool.work(&greedy)).collect();
        let chosen = |lanes: &[DueLane], share| {
            choose(lanes.iter(), &pool.lock(), share, None).map(|due| due.lane.clone())
        };
        let lanes = [greedy.clone(), due(1, "qa"), due(2, "dev")];
        assert_eq!(chosen(&lanes, 2), None, "the remote and the namespace have their share");
        let other = [greedy.clone(), due(2, "qa")];
        assert_eq!(chosen(&other, 2), Some(other[1].lane.clone()));
        assert_eq!(chosen(&other, 3), Some(other[1].lane.clone()), "the least busy first");
        seats.clear();
        assert_eq!(chosen(&other, 3), Some(greedy.lane));
        assert!(pool.lock().remotes.is_empty() && pool.lock().workers.is_empty());
    }

    #[test]
    fn semantics_39_a_namespace_whose_registries_hang_leaves_probes_for_others() {
        let away = |remote: u128, namespace: &str, since: i64| DueLane {
            probes_since: Some(Timestamp::from_second(since).unwrap()),
            ..due(remote, namespace)
        };
        let (mut load, mut tried) = (Load::default(), Vec::new());
        let mut lanes: Vec<DueLane> = (0..64).map(|remote| away(remote, "dev", 10)).collect();
        // One of them has been tried before, and the remote of another namespace has waited least.
        lanes[0] = away(0, "dev", 20);
        lanes.push(away(99, "qa", 30));
        while let Some(chosen) = choose_probe(lanes.iter(), &load).cloned() {
            *load.probes.entry(chosen.lane.namespace.clone()).or_default() += 1;
            lanes.retain(|lane| *lane != chosen);
            tried.push(chosen.lane);
        }
        let numbers: Vec<u128> = tried.iter().map(|lane| lane.remote.0.as_u128()).collect();
        assert_eq!(
            numbers[..3],
            [1, 99, 2],
            "namespaces take turns, and the remote that has waited longest is first"
        );
        assert_eq!(numbers.len(), PROBES / 2 + 1, "the other probes are left for others");
        assert!(!numbers.contains(&0));
    }

    impl Pool {
        fn work(&self, due: &DueLane) -> Seat {
            let worker = self.workers.clone().try_acquire_owned().unwrap();
            self.seat(Some(due.lane.clone()), Place::Working { _worker: worker })
        }
    }

    #[tokio::test]
    async fn semantics_39_a_silent_registrys_worker_is_lent_to_others() {
        let pool = Pool::new(1);
        let mut seat = pool.work(&due(1, "dev"));
        seat.mind(Duration::from_secs(1));
        assert_eq!(pool.workers.available_permits(), 0);
        seat.mind(SILENT_AFTER);
        assert_eq!(pool.workers.available_permits(), 1);
        assert!(pool.lock().workers.is_empty(), "a lent worker does not count for its namespace");
        seat.mind(Duration::ZERO);
        assert_eq!(pool.workers.available_permits(), 0);
        drop(seat);
        assert_eq!(pool.workers.available_permits(), 1);
        assert!(pool.lock().remotes.is_empty());
    }

    #[tokio::test]
    async fn semantics_39_an_answered_probe_needs_a_worker() {
        let pool = Pool::new(1);
        let permit = pool.probes.clone().try_acquire_owned().unwrap();
        let mut seat = pool.seat(Some(due(1, "dev").lane), Place::Probing { _probe: permit });
        seat.mind(Duration::ZERO);
        assert_eq!(pool.workers.available_permits(), 1, "the remote has not answered yet");
        seat.answered();
        seat.mind(Duration::ZERO);
        assert_eq!((pool.workers.available_permits(), pool.probes.available_permits()), (0, PROBES));
        assert!(pool.lock().probes.is_empty());
    }
}
