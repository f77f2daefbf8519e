//! The followers of events. An event costs each follower a place in its queue; a follower whose queue is full misses
//! events and is told to reload its page. `telling` decides what to send.

use super::SharedEvent;
use super::telling::Telling;
use crate::Admin;
use longshore_access::Credential;
use longshore_metadata::Change;
use longshore_model::{AccountId, Actor, JobId, RepositoryId};
use longshore_oci::RepositoryName;
use metrics::gauge;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// The maximum number of events that wait for one follower.
const QUEUE: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    Jobs,
    Job(JobId),
    /// The tags of a repository, and the jobs about it, with the repository's name when following began.
    Repository(RepositoryId, RepositoryName),
}

/// The identity of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Jobs,
    Job(JobId),
    Repository(RepositoryId),
}

impl Topic {
    fn key(&self) -> Key {
        match self {
            Self::Jobs => Key::Jobs,
            Self::Job(job) => Key::Job(*job),
            Self::Repository(repository, _) => Key::Repository(*repository),
        }
    }
}

/// A thing whose changes are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Job(JobId),
    Log(JobId),
    Tags(RepositoryId),
    Pauses,
    Settings,
}

/// Which of the changed jobs to load: `jobs`, and those of `of` that are about a repository in `in_repositories`.
pub(super) struct FollowedJobs {
    pub(super) jobs: Vec<JobId>,
    pub(super) of: Vec<JobId>,
    pub(super) in_repositories: Vec<RepositoryId>,
}

pub(super) struct Newcomer {
    pub(super) actor: Actor,
    pub(super) credential: Option<Credential>,
    pub(super) topics: Vec<Topic>,
    pub(super) log_after: i64,
}

#[derive(Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Notified whenever a follower leaves.
    left: Notify,
}

#[derive(Default)]
struct State {
    number: u64,
    followers: BTreeMap<u64, Entry>,
    topics: HashMap<Key, Followed>,
    /// Whether the task that informs the followers runs.
    running: bool,
}

#[derive(Default)]
struct Followed {
    by: BTreeSet<u64>,
    /// For a repository: its name when following began.
    name: Option<RepositoryName>,
    /// For a job: the last line of its log that was sent.
    log: i64,
}

struct Entry {
    actor: Actor,
    credential: Option<Credential>,
    keys: Vec<Key>,
    queue: mpsc::Sender<Arc<SharedEvent>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    over: CancellationToken,
    missed: AtomicBool,
}

impl Entry {
    fn tell(&self, event: &Arc<SharedEvent>) {
        if self.queue.try_send(event.clone()).is_err() {
            self.miss();
        }
    }

    fn miss(&self) {
        self.shared.missed.store(true, Ordering::Relaxed);
    }
}

/// A follower's receiver. Dropping it ends the following.
pub(super) struct Following {
    hub: Arc<Hub>,
    number: u64,
    queue: mpsc::Receiver<Arc<SharedEvent>>,
    shared: Arc<Shared>,
}

impl Following {
    /// The next event; `None` after the last one.
    pub(super) fn next(&mut self) -> impl Future<Output = Option<Arc<SharedEvent>>> {
        self.queue.recv()
    }

    /// Cancelled when the permission to follow has ended.
    pub(super) fn over(&self) -> CancellationToken {
        self.shared.over.clone()
    }

    /// Whether events were missed since the last call, and all earlier ones have been received.
    pub(super) fn has_missed(&self) -> bool {
        self.queue.is_empty() && self.shared.missed.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.hub.state().remove(self.number);
        self.hub.left.notify_one();
        gauge!("longshore_event_streams").decrement(1.0);
    }
}

impl State {
    fn remove(&mut self, number: u64) {
        let Some(entry) = self.followers.remove(&number) else { return };
        for key in entry.keys {
            if let Some(followed) = self.topics.get_mut(&key) {
                followed.by.remove(&number);
                if followed.by.is_empty() {
                    self.topics.remove(&key);
                }
            }
        }
    }

    fn follows(&self, key: Key) -> bool {
        self.topics.contains_key(&key)
    }

    fn follows_repositories(&self) -> bool {
        self.topics.keys().any(|key| matches!(key, Key::Repository(_)))
    }

    /// Which of these jobs a follower may want to know about.
    fn followed_among(&self, jobs: Vec<JobId>) -> FollowedJobs {
        if self.follows(Key::Jobs) {
            return FollowedJobs { jobs, of: Vec::new(), in_repositories: Vec::new() };
        }
        let in_repositories = self.topics.keys().filter_map(|key| match key {
            Key::Repository(repository) => Some(*repository),
            Key::Jobs | Key::Job(_) => None,
        });
        let in_repositories: Vec<RepositoryId> = in_repositories.collect();
        let (jobs, of) = jobs.into_iter().partition(|job| self.follows(Key::Job(*job)));
        FollowedJobs { jobs, of, in_repositories }
    }
}

impl Hub {
    /// Adds a follower. It receives everything that is announced from now on.
    pub(super) fn join(self: &Arc<Self>, admin: &Admin, newcomer: Newcomer) -> Following {
        let Newcomer { actor, credential, topics, log_after } = newcomer;
        let (sender, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let mut state = self.state();
        let number = state.number;
        state.number += 1;
        let keys = topics.iter().map(Topic::key).collect();
        for topic in topics {
            let followed = state
                .topics
                .entry(topic.key())
                .or_insert_with(|| Followed { log: log_after, ..Followed::default() });
            followed.by.insert(number);
            if let Topic::Repository(_, name) = topic {
                followed.name = Some(name);
            }
        }
        state
            .followers
            .insert(number, Entry { actor, credential, keys, queue: sender, shared: shared.clone() });
        if !std::mem::replace(&mut state.running, true) {
            tokio::spawn(Telling::new(admin).run(admin.0.db.changes()));
        }
        drop(state);
        gauge!("longshore_event_streams").increment(1.0);
        Following { hub: self.clone(), number, queue, shared }
    }

    /// The followers of any of these topics, grouped by reader.
    pub(super) fn readers(&self, keys: &[Key]) -> Vec<(Reader, Actor, Vec<u64>)> {
        let state = self.state();
        let mut numbers: Vec<u64> = keys
            .iter()
            .filter_map(|key| state.topics.get(key))
            .flat_map(|followed| &followed.by)
            .copied()
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        state.grouped(numbers)
    }

    /// All followers, grouped by reader.
    pub(super) fn everybody(&self) -> Vec<(Reader, Actor, Vec<u64>)> {
        let state = self.state();
        let numbers = state.followers.keys().copied().collect();
        state.grouped(numbers)
    }

    /// Sends an event to some of the followers.
    pub(super) fn tell(&self, numbers: &[u64], event: &Arc<SharedEvent>) {
        let state = self.state();
        numbers.iter().filter_map(|number| state.followers.get(number)).for_each(|entry| entry.tell(event));
    }

    /// Which of these jobs have to be loaded.
    pub(super) fn followed_among(&self, jobs: Vec<JobId>) -> FollowedJobs {
        self.state().followed_among(jobs)
    }

    /// Ends the streams of followers that may no longer see what they follow.
    pub(super) fn end(&self, numbers: &[u64], key: Key) {
        let state = self.state();
        let entries = numbers.iter().filter_map(|number| state.followers.get(number));
        entries.filter(|entry| entry.keys.contains(&key)).for_each(|entry| entry.shared.over.cancel());
    }

    pub(super) fn followed(&self) -> Vec<(Key, Option<RepositoryName>)> {
        self.state().topics.iter().map(|(key, followed)| (*key, followed.name.clone())).collect()
    }

    /// The last line of a job's log that was sent; `None` if the job has no followers.
    pub(super) fn log(&self, job: JobId) -> Option<i64> {
        self.state().topics.get(&Key::Job(job)).map(|followed| followed.log)
    }

    /// Records the last line that was sent.
    pub(super) fn set_log(&self, job: JobId, line: i64) {
        if let Some(followed) = self.state().topics.get_mut(&Key::Job(job)) {
            followed.log = line;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Marks that all followers missed events.
    pub(super) fn all_miss(&self) {
        self.state().followers.values().for_each(Entry::miss);
    }

    /// Ends all streams, because the task that informs the followers has stopped.
    pub(super) fn end_all(&self) {
        let mut state = self.state();
        state.followers.values().for_each(|entry| entry.shared.over.cancel());
        state.running = false;
    }

    /// Updates the actor of a follower's credential, or ends the stream if the credential is no longer valid.
    pub(super) fn holds(&self, number: u64, actor: Option<Actor>) {
        let mut state = self.state();
        let Some(entry) = state.followers.get_mut(&number) else { return };
        match actor {
            Some(actor) => entry.actor = actor,
            None => entry.shared.over.cancel(),
        }
    }

    /// Waits until a follower has left.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    /// Whether there are no followers, so that the task may end.
    pub(super) fn is_over(&self) -> bool {
        let mut state = self.state();
        state.running = !state.followers.is_empty();
        !state.running
    }

    /// The subject that a change concerns, if it has followers.
    pub(super) fn wants(&self, change: &Change) -> Option<Subject> {
        let state = self.state();
        match change {
            Change::Job(id) => {
                let any =
                    state.follows(Key::Jobs) || state.follows(Key::Job(*id)) || state.follows_repositories();
                any.then_some(Subject::Job(*id))
            }
            Change::JobLog(id) => state.follows(Key::Job(*id)).then_some(Subject::Log(*id)),
            Change::Tags(id) => state.follows(Key::Repository(*id)).then_some(Subject::Tags(*id)),
            Change::Pauses => Some(Subject::Pauses),
            Change::Settings => Some(Subject::Settings),
            Change::JobsWaiting(_) | Change::Account(_) => None,
        }
    }

    /// The credentials of the followers, of one account or of all.
    pub(super) fn credentials(&self, account: Option<AccountId>) -> BTreeMap<u64, Credential> {
        let state = self.state();
        let held =
            state.followers.iter().filter_map(|(number, entry)| Some((*number, entry.credential.clone()?)));
        held.filter(|(_, credential)| account.is_none_or(|account| credential.account() == account)).collect()
    }
}

/// The identity of followers, as far as it decides what they may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    Nobody,
    User(AccountId),
    Administrator,
}

impl Reader {
    fn of(actor: &Actor) -> Self {
        match actor.user() {
            None => Self::Nobody,
            Some(user) if user.is_admin => Self::Administrator,
            Some(user) => Self::User(user.id),
        }
    }
}

impl State {
    fn grouped(&self, numbers: Vec<u64>) -> Vec<(Reader, Actor, Vec<u64>)> {
        let mut groups: HashMap<Reader, (Actor, Vec<u64>)> = HashMap::new();
        for number in numbers {
            let Some(entry) = self.followers.get(&number) else { continue };
            let group = groups.entry(Reader::of(&entry.actor));
            group.or_insert_with(|| (entry.actor.clone(), Vec::new())).1.push(number);
        }
        groups.into_iter().map(|(reader, (actor, numbers))| (reader, actor, numbers)).collect()
    }
}
