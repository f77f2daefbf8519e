//! Jobs that move while one looks at them: what a page has loaded, and what events made of it since.

use std::collections::HashMap;

use leptos::prelude::*;
use longshore_model::{JobId, job::Job};

use super::progress::Pace;

/// A page that is open for days does not collect more jobs than this.
const MOST_ARRIVED: usize = 200;

/// What events told about jobs. Cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct Moving {
    changed: RwSignal<HashMap<JobId, (Job, Pace)>>,
    /// Those that no list had, newest first.
    arrived: RwSignal<Vec<JobId>>,
}

impl Moving {
    pub(super) fn new() -> Self {
        Self { changed: RwSignal::default(), arrived: RwSignal::default() }
    }

    /// Takes in what an event told. `wanted` says whether a job that is new here belongs on the page.
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

    /// Forgets what was told: the page was loaded again. What has just been told stays.
    pub(super) fn reset(self) {
        self.arrived.update(Vec::clear);
        self.changed.update(HashMap::clear);
    }

    /// A job as it is now.
    pub(super) fn now(self, loaded: Job) -> Memo<Job> {
        Memo::new(move |_| {
            self.changed.with(|changed| match changed.get(&loaded.id) {
                Some((job, _)) if job.updated_at >= loaded.updated_at => job.clone(),
                _ => loaded.clone(),
            })
        })
    }

    /// How fast a job is.
    pub(super) fn pace(self, id: JobId) -> Memo<Pace> {
        Memo::new(move |_| {
            self.changed.with(|changed| changed.get(&id).map(|(_, pace)| *pace).unwrap_or_default())
        })
    }

    /// The loaded jobs, and before them those that arrived since.
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
    fn a_later_state_replaces_an_earlier_one_and_never_the_other_way_round() {
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
    fn what_arrives_stands_before_what_was_loaded_and_only_once() {
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
