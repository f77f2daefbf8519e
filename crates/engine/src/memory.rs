//! A cache of what the attempts of a job have looked up at another registry. Each attempt resumes where the last one
//! stopped; otherwise a job at a registry with a rate limit would use up the limit with the same requests every time
//! and never finish. The cache is in memory only: losing it costs requests, nothing else.

use crate::{Engine, trouble::Trouble};
use jiff::SignedDuration;
use longshore_metadata::{jobs::Claim, remotes};
use longshore_model::{JobId, RemoteId, Timestamp, Version, message::TroubleMessage};
use longshore_oci::{Digest, RemoteName, Tag};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc};

/// The maximum number of entries for one job.
const MOST_OF_A_JOB: usize = 50_000;
/// The maximum number of entries for all jobs together, at about 300 bytes each.
const MOST: usize = 200_000;
/// The maximum number of jobs with entries.
const MOST_JOBS: usize = 1_000;
/// The entries of a job that has not been tried again for this long may be evicted.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// The place that entries are about. They are not valid for another place, nor for another version of the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub remote: RemoteId,
    pub version: Version,
    pub repository: RemoteName,
}

/// How long entries are valid, counted from the beginning of the attempt that made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lasting {
    /// Until the job has been through all its work. However many attempts that takes, they form one round; a slow round
    /// whose entries expire early would never end.
    pub within_round: SignedDuration,
    /// After a complete round, when the job only repeats what failed.
    pub after_round: SignedDuration,
}

/// Something that can be looked up at a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Thing {
    /// A tag. Its entry is the digest that it points to, or `None` if it does not exist.
    Tag(Tag),
    /// Content by digest. Its entry is the digest itself, or `None` if the content does not exist.
    Digest(Digest),
}

impl From<&Tag> for Thing {
    fn from(tag: &Tag) -> Self {
        Self::Tag(tag.clone())
    }
}

impl From<&Digest> for Thing {
    fn from(digest: &Digest) -> Self {
        Self::Digest(digest.clone())
    }
}

/// One attempt of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub job: JobId,
    pub epoch: i64,
    /// The time for which this attempt was scheduled.
    pub scheduled_at: Timestamp,
}

impl Attempt {
    fn of(claim: &Claim) -> Self {
        Self { job: claim.job.id, epoch: claim.epoch, scheduled_at: claim.job.scheduled_at }
    }
}

/// The entries of all jobs that are running or will be tried again.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    jobs: HashMap<JobId, Round>,
    /// The number of entries of all jobs.
    total: usize,
}

#[derive(Debug)]
struct Round {
    place: Place,
    /// The epoch of the latest attempt.
    epoch: i64,
    /// The time when the latest attempt began.
    began: Timestamp,
    /// The time for which the next attempt is scheduled.
    due: Option<Timestamp>,
    /// Whether the latest attempt has been through all the work of the job.
    is_through: bool,
    found: HashMap<Thing, Found>,
}

#[derive(Debug)]
struct Found {
    digest: Option<Digest>,
    at: Timestamp,
}

impl Memory {
    /// Begins an attempt. It takes over valid entries if the previous attempt ran on this server and at the same place.
    /// Someone who has the job tried before its time wants to see the present state, so then entries are valid only
    /// within an unfinished round.
    fn begin(self: &Arc<Self>, attempt: Attempt, place: Place, lasting: Lasting, now: Timestamp) -> Notes {
        let Attempt { job, epoch, scheduled_at } = attempt;
        let mut kept = self.lock();
        let mut round = match kept
            .forget(job)
            .filter(|known| known.epoch + 1 == epoch && known.place == place)
        {
            Some(known) => known,
            None => Round { place, epoch, began: now, due: None, is_through: false, found: HashMap::new() },
        };
        // The database keeps microseconds.
        let is_early = round.due.is_some_and(|due| scheduled_at.as_microsecond() < due.as_microsecond());
        let lasts = match (round.is_through, is_early) {
            (false, _) => lasting.within_round,
            (true, false) => lasting.after_round,
            (true, true) => SignedDuration::ZERO,
        };
        round.found.retain(|_, found| now.duration_since(found.at) < lasts);
        (round.epoch, round.began, round.due, round.is_through) = (epoch, now, None, false);
        kept.insert(job, round, now);
        Notes { memory: self.clone(), job, epoch }
    }

    /// Ends an attempt. `due` is the time of the next one; if it is `None`, the job's entries are removed.
    pub(crate) fn end(&self, job: JobId, epoch: i64, due: Option<Timestamp>) {
        let mut kept = self.lock();
        let Some(round) = kept.jobs.get_mut(&job).filter(|round| round.epoch <= epoch) else { return };
        // An attempt that found the gate of its registry closed may have ended before it called `begin`.
        let is_next = epoch - round.epoch <= 1;
        (round.epoch, round.due) = (epoch, due);
        if !is_next || due.is_none() || round.found.is_empty() {
            kept.forget(job);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock()
    }
}

impl Kept {
    fn forget(&mut self, job: JobId) -> Option<Round> {
        let round = self.jobs.remove(&job)?;
        self.total -= round.found.len();
        Some(round)
    }

    /// Inserts a job, unless there are too many of them.
    fn insert(&mut self, job: JobId, round: Round, now: Timestamp) {
        if self.jobs.len() >= MOST_JOBS {
            self.jobs.retain(|_, round| round.due.is_none_or(|due| now.duration_since(due) < ABANDONED));
            self.total = self.jobs.values().map(|round| round.found.len()).sum();
        }
        if self.jobs.len() < MOST_JOBS {
            self.total += round.found.len();
            self.jobs.insert(job, round);
        }
    }

    /// If the cache is full, removes all entries of the job that has the most, so that a job with few tags does not
    /// lose its entries to one with many.
    fn make_room(&mut self) {
        if self.total < MOST {
            return;
        }
        if let Some(largest) = self.jobs.values_mut().max_by_key(|round| round.found.len()) {
            self.total -= largest.found.len();
            largest.found = HashMap::new();
        }
    }
}

/// The entries of one attempt. Empty once a later attempt of the job has begun.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    memory: Arc<Memory>,
    job: JobId,
    epoch: i64,
}

impl Notes {
    /// Notes for work that is not a job: nothing is kept.
    pub(crate) fn none() -> Self {
        Self { memory: Arc::default(), job: JobId::new(), epoch: 0 }
    }

    /// The entry for a thing: `None` if it was not looked up, `Some(None)` if it does not exist.
    pub(crate) fn recall(&self, thing: impl Into<Thing>) -> Option<Option<Digest>> {
        self.with(|round| round.found.get(&thing.into()).map(|found| found.digest.clone()))?
    }

    /// Whether the content is known to exist.
    pub(crate) fn know(&self, digest: &Digest) -> bool {
        self.recall(digest).flatten().is_some()
    }

    /// Adds an entry: the digest, or `None` if the thing does not exist.
    pub(crate) fn add(&self, thing: impl Into<Thing>, digest: Option<&Digest>) {
        let (mut kept, thing) = (self.memory.lock(), thing.into());
        kept.make_room();
        let Some(round) = kept.jobs.get_mut(&self.job).filter(|round| round.epoch == self.epoch) else {
            return;
        };
        let found = Found { digest: digest.cloned(), at: round.began };
        if round.found.contains_key(&thing) || round.found.len() < MOST_OF_A_JOB {
            let is_new = round.found.insert(thing, found).is_none();
            kept.total += usize::from(is_new);
        }
    }

    /// Removes an entry, because it may be out of date.
    pub(crate) fn forget(&self, thing: impl Into<Thing>) {
        let (mut kept, thing) = (self.memory.lock(), thing.into());
        let round = kept.jobs.get_mut(&self.job).filter(|round| round.epoch == self.epoch);
        if round.is_some_and(|round| round.found.remove(&thing).is_some()) {
            kept.total -= 1;
        }
    }

    /// Notes that the attempt has been through all the work of the job, so that only failed parts remain.
    pub(crate) fn went_through(&self) {
        self.with(|round| round.is_through = true);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Round) -> T) -> Option<T> {
        let mut kept = self.memory.lock();
        kept.jobs.get_mut(&self.job).filter(|round| round.epoch == self.epoch).map(act)
    }
}

impl Engine {
    /// The notes of an attempt, with the valid entries of earlier ones.
    pub(crate) async fn notes(
        &self,
        claim: &Claim,
        remote: RemoteId,
        repository: &RemoteName,
        lasting: Lasting,
    ) -> Result<Notes, Trouble> {
        let saved = remotes::get(&mut self.db().read().await?, remote).await?;
        let saved = saved.ok_or_else(|| Trouble::Final(TroubleMessage::RemoteGone.into()))?;
        let place = Place { remote, version: saved.version, repository: repository.clone() };
        Ok(self.memory().begin(Attempt::of(claim), place, lasting, self.now()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const HOUR: Lasting =
        Lasting { within_round: SignedDuration::from_hours(24), after_round: SignedDuration::from_hours(1) };

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn place(version: i64) -> Place {
        let remote = RemoteId(Uuid::from_u128(1));
        Place { remote, version: Version(version), repository: "their/app".parse().unwrap() }
    }

    fn tag(number: usize) -> Tag {
        format!("v{number}").parse().unwrap()
    }

    fn digest(number: u8) -> Digest {
        Digest::sha256([number; 32])
    }

    /// A cache and a job with its present attempt.
    struct Scene {
        memory: Arc<Memory>,
        job: JobId,
        epoch: i64,
    }

    impl Scene {
        fn new() -> Self {
            Self { memory: Arc::default(), job: JobId::new(), epoch: 0 }
        }

        fn another(&self) -> Self {
            Self { memory: self.memory.clone(), job: JobId::new(), epoch: 0 }
        }

        fn begin_at(&mut self, place: Place, scheduled_at: Timestamp, now: Timestamp) -> Notes {
            self.epoch += 1;
            let attempt = Attempt { job: self.job, epoch: self.epoch, scheduled_at };
            self.memory.begin(attempt, place, HOUR, now)
        }

        fn begin(&mut self, minute: i64) -> Notes {
            self.begin_at(place(1), at(minute), at(minute))
        }

        /// Ends the attempt and schedules the next one.
        fn end(&self, minute: i64) {
            self.memory.end(self.job, self.epoch, Some(at(minute)));
        }

        fn holds(&self) -> usize {
            let kept = self.memory.lock();
            let count = kept.jobs.values().map(|round| round.found.len()).sum();
            assert_eq!(kept.total, count);
            count
        }
    }

    #[test]
    fn the_next_attempt_remembers_what_the_last_one_found_or_found_missing() {
        let mut scene = Scene::new();
        let notes = scene.begin(0);
        notes.add(&tag(1), Some(&digest(1)));
        notes.add(&tag(2), None);
        notes.add(&digest(3), Some(&digest(3)));
        notes.add(&digest(1), None);
        notes.add(&tag(4), Some(&digest(4)));
        notes.forget(&tag(4));
        scene.end(1);
        let notes = scene.begin(1);
        assert_eq!(notes.recall(&tag(1)), Some(Some(digest(1))));
        assert_eq!(notes.recall(&tag(2)), Some(None));
        assert!(notes.know(&digest(3)) && !notes.know(&digest(1)));
        assert_eq!(notes.recall(&tag(4)), None);
        assert_eq!(scene.holds(), 4);
    }

    #[test]
    fn nothing_is_remembered_of_a_job_that_ended() {
        let mut scene = Scene::new();
        scene.begin(0).add(&tag(1), None);
        scene.memory.end(scene.job, scene.epoch, None);
        assert_eq!(scene.holds(), 0);
        assert!(scene.memory.lock().jobs.is_empty());
        assert_eq!(scene.begin(1).recall(&tag(1)), None);
    }

    #[test]
    fn a_round_is_remembered_for_a_day_and_what_a_full_round_found_for_an_interval() {
        for (is_through, minutes) in [(false, 24 * 60), (true, 60)] {
            for (later, is_known) in [(minutes - 1, true), (minutes, false)] {
                let mut scene = Scene::new();
                let notes = scene.begin(0);
                notes.add(&tag(1), Some(&digest(1)));
                if is_through {
                    notes.went_through();
                }
                scene.end(later);
                let known = scene.begin(later).recall(&tag(1)).is_some();
                assert_eq!(known, is_known, "through: {is_through}, after {later} minutes");
                assert_eq!(scene.holds(), usize::from(is_known));
            }
        }
    }

    #[test]
    fn entries_that_an_attempt_takes_over_keep_their_age() {
        let mut scene = Scene::new();
        let notes = scene.begin(0);
        notes.add(&tag(1), None);
        notes.went_through();
        scene.end(40);
        scene.begin(40).went_through();
        scene.end(70);
        assert_eq!(scene.begin(70).recall(&tag(1)), None);
    }

    #[test]
    fn retrying_a_full_round_early_ignores_its_entries() {
        for (is_through, is_known) in [(false, true), (true, false)] {
            let mut scene = Scene::new();
            let notes = scene.begin(0);
            notes.add(&tag(1), None);
            if is_through {
                notes.went_through();
            }
            scene.end(15);
            assert_eq!(scene.begin_at(place(1), at(2), at(2)).recall(&tag(1)).is_some(), is_known);
        }
    }

    #[test]
    fn entries_are_not_shared_with_other_places_other_servers_or_attempts_that_lost_their_job() {
        let mut scene = Scene::new();
        scene.begin(0).add(&tag(1), None);
        scene.end(1);
        assert_eq!(scene.begin_at(place(2), at(1), at(1)).recall(&tag(1)), None, "the remote was changed");

        let lost = scene.begin(2);
        lost.add(&tag(1), None);
        scene.epoch += 1;
        assert_eq!(scene.begin(3).recall(&tag(1)), None, "another server had an attempt in between");
        lost.add(&tag(1), None);
        assert_eq!((lost.recall(&tag(1)), scene.holds()), (None, 0));
        scene.memory.end(scene.job, scene.epoch - 2, None);
        assert!(
            scene.memory.lock().jobs.contains_key(&scene.job),
            "the end of the lost one is not the job's"
        );
    }

    #[test]
    fn an_attempt_that_found_its_gate_closed_keeps_the_entries() {
        let mut scene = Scene::new();
        scene.begin(0).add(&tag(1), None);
        scene.end(1);
        scene.epoch += 1;
        scene.end(5);
        assert_eq!(scene.begin(5).recall(&tag(1)), Some(None));
    }

    #[test]
    fn entries_are_limited_for_each_job_and_in_total() {
        let mut small = Scene::new();
        small.begin(0).add(&tag(0), None);
        let mut large = Vec::new();
        for _ in 0..=MOST / MOST_OF_A_JOB {
            let mut scene = small.another();
            let notes = scene.begin(0);
            for number in 0..MOST_OF_A_JOB + 10 {
                notes.add(&tag(number), None);
            }
            assert_eq!(notes.recall(&tag(MOST_OF_A_JOB + 1)), None);
            assert!(small.holds() <= MOST);
            large.push(scene);
        }
        small.end(1);
        assert_eq!(
            small.begin(1).recall(&tag(0)),
            Some(None),
            "a job with few entries keeps them beside large ones"
        );
    }

    #[test]
    fn the_number_of_jobs_is_limited_and_abandoned_ones_are_evicted() {
        let first = Scene::new();
        let fill = |minute| {
            for _ in 0..MOST_JOBS + 10 {
                let mut scene = first.another();
                scene.begin(minute).add(&tag(1), None);
                scene.end(minute + 1);
            }
        };
        fill(0);
        assert_eq!(first.holds(), MOST_JOBS);
        let mut late = first.another();
        late.begin(24 * 60 + 1).add(&tag(1), None);
        assert_eq!(first.holds(), 1);
        late.end(24 * 60 + 2);
        assert_eq!(late.begin(24 * 60 + 2).recall(&tag(1)), Some(None));
    }
}
