//! Live jobs: the loaded ones, and the changes that events have brought since.

use std::collections::HashMap;

use leptos::prelude::*;
use longshore_model::{JobId, job::Job};

use super::progress::Pace;

/// The maximum number of new jobs on a page, which may stay open for days.
const MOST_ARRIVED: usize = 200;

/// The job changes received by events. Cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct Moving {
    changed: RwSignal<HashMap<JobId, (Job, Pace)>>,
    /// New jobs, newest first.
    arrived: RwSignal<Vec<JobId>>,
}

impl Moving {
    pub(super) fn new() -> Self {
        Self { changed: RwSignal::default(), arrived: RwSignal::default() }
    }

    /// Applies an event. `wanted` says whether a job that is new here belongs on the page.
    pub(super) fn take(self, job: Job, wanted: impl FnOnce(&Job) -> bool) {
        let id = job.id;
        let known = self.changed.with_untracked(|changed| changed.contains_key(&id));
        if !known && wanted(&job) {
            self.arrived.update(|arrived| {
                arrived.insert(0, id);
                arrived.truncate(MOST_ARRIVED);
            });
        }
        self.changed.update(|changed| {
            let pace = changed.get(&id).map(|(_, pace)| *pace).unwrap_or_default().after(&job);
            changed.insert(id, (job, pace));
        });
    }

    /// Forgets all changes, after the page was loaded again.
    pub(super) fn reset(self) {
        self.arrived.update(Vec::clear);
        self.changed.update(HashMap::clear);
    }

    /// The latest state of a job.
    pub(super) fn now(self, loaded: Job) -> Memo<Job> {
        Memo::new(move |_| {
            self.changed.with(|changed| match changed.get(&loaded.id) {
                Some((job, _)) if job.updated_at >= loaded.updated_at => job.clone(),
                _ => loaded.clone(),
            })
        })
    }

    /// The speed of a job.
    pub(super) fn pace(self, id: JobId) -> Memo<Pace> {
        Memo::new(move |_| {
            self.changed.with(|changed| changed.get(&id).map(|(_, pace)| *pace).unwrap_or_default())
        })
    }

    /// The loaded jobs, preceded by those that arrived since.
    pub(super) fn with_arrived(self, loaded: Vec<Job>) -> Memo<Vec<Job>> {
        Memo::new(move |_| {
            let arrived = self.arrived.get();
            let fresh = arrived.into_iter().filter(|id| loaded.iter().all(|job| job.id != *id));
            let fresh: Vec<Job> = self.changed.with(|changed| {
                fresh.filter_map(|id| changed.get(&id).map(|(job, _)| job.clone())).collect()
            });
            fresh.into_iter().chain(loaded.iter().cloned()).collect()
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use longshore_model::{
        Timestamp,
        job::{Parameters, Status},
    };

    use super::{super::describe::tests::job, *};

    #[test]
    fn an_older_state_never_replaces_a_newer_one() {
        Owner::new().with(|| {
            let moving = Moving::new();
            let mut loaded = job(Parameters::PollAll);
            loaded.updated_at = Timestamp::from_second(10).unwrap();
            let now = moving.now(loaded.clone());
            let told = |second, status| {
                let mut job = loaded.clone();
                (job.updated_at, job.status) = (Timestamp::from_second(second).unwrap(), status);
                moving.take(job, |_| false);
            };
            told(5, Status::Waiting);
            assert_eq!(now.get_untracked().updated_at, Timestamp::from_second(10).unwrap());
            told(11, Status::Done);
            assert_eq!(now.get_untracked().status, Status::Done);
        });
    }

    #[test]
    fn new_jobs_are_listed_once_and_before_the_loaded_ones() {
        Owner::new().with(|| {
            let moving = Moving::new();
            let (old, new) = (job(Parameters::PollAll), job(Parameters::PollAll));
            let ids = || {
                moving
                    .with_arrived(vec![old.clone()])
                    .get_untracked()
                    .iter()
                    .map(|job| job.id)
                    .collect::<Vec<_>>()
            };
            moving.take(old.clone(), |_| true);
            assert_eq!(ids(), [old.id]);
            moving.take(new.clone(), |_| true);
            moving.take(new.clone(), |_| true);
            assert_eq!(ids(), [new.id, old.id]);
        });
    }
}
