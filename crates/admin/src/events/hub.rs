//! Who follows what. For each follower an event costs a place in a queue; one whose queue is full misses
//! events and is told to load its page again. What they are told, `telling` finds out.

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

/// So many events may wait for one follower.
const QUEUE: usize = 64;

/// What can be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    /// All jobs.
    Jobs,
    /// A job and its log.
    Job(JobId),
    /// The tags of a repository, and the jobs about it. The name is the one that it was followed by.
    Repository(RepositoryId, RepositoryName),
}

/// A topic without what does not tell it from others.
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

/// What can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Job(JobId),
    Log(JobId),
    Tags(RepositoryId),
    Pauses,
    Settings,
}

/// Which of the jobs that changed are followed: these, and of others those in these repositories.
pub(super) struct FollowedJobs {
    pub(super) jobs: Vec<JobId>,
    pub(super) of: Vec<JobId>,
    pub(super) in_repositories: Vec<RepositoryId>,
}

/// Who begins to follow.
pub(super) struct Newcomer {
    pub(super) actor: Actor,
    pub(super) credential: Option<Credential>,
    pub(super) topics: Vec<Topic>,
    pub(super) log_after: i64,
}

/// All who follow.
#[derive(Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Whenever somebody stops following.
    left: Notify,
}

#[derive(Default)]
struct State {
    number: u64,
    followers: BTreeMap<u64, Entry>,
    topics: HashMap<Key, Followed>,
    /// Whether the task runs that tells them.
    running: bool,
}

#[derive(Default)]
struct Followed {
    by: BTreeSet<u64>,
    /// Of a repository: its name when it was followed.
    name: Option<RepositoryName>,
    /// Of a job: the last line of its log that was told.
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

/// A follower's end of the line. It follows until this is dropped.
pub(super) struct Following {
    hub: Arc<Hub>,
    number: u64,
    queue: mpsc::Receiver<Arc<SharedEvent>>,
    shared: Arc<Shared>,
}

impl Following {
    /// The next event; none when there will be none any more.
    pub(super) fn next(&mut self) -> impl Future<Output = Option<Arc<SharedEvent>>> {
        self.queue.recv()
    }

    /// Cancelled when the right to follow has ended.
    pub(super) fn over(&self) -> CancellationToken {
        self.shared.over.clone()
    }

    /// Whether events were missed since this was asked last, and all that came before them is taken.
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

    /// Which of these jobs anybody could want to be told of.
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
    /// Lets somebody follow. Everything that is announced from now on is told.
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

    /// Those who follow one of these topics: their numbers, by who they are.
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

    /// All who follow anything.
    pub(super) fn everybody(&self) -> Vec<(Reader, Actor, Vec<u64>)> {
        let state = self.state();
        let numbers = state.followers.keys().copied().collect();
        state.grouped(numbers)
    }

    /// Tells some of an event.
    pub(super) fn tell(&self, numbers: &[u64], event: &Arc<SharedEvent>) {
        let state = self.state();
        numbers.iter().filter_map(|number| state.followers.get(number)).for_each(|entry| entry.tell(event));
    }

    /// Which of these jobs have to be loaded.
    pub(super) fn followed_among(&self, jobs: Vec<JobId>) -> FollowedJobs {
        self.state().followed_among(jobs)
    }

    /// Ends the streams of those who follow what they may not see any more.
    pub(super) fn end(&self, numbers: &[u64], key: Key) {
        let state = self.state();
        let entries = numbers.iter().filter_map(|number| state.followers.get(number));
        entries.filter(|entry| entry.keys.contains(&key)).for_each(|entry| entry.shared.over.cancel());
    }

    /// The topics that are followed.
    pub(super) fn followed(&self) -> Vec<(Key, Option<RepositoryName>)> {
        self.state().topics.iter().map(|(key, followed)| (*key, followed.name.clone())).collect()
    }

    /// The last line of a job's log that was told; none where nobody follows it.
    pub(super) fn log(&self, job: JobId) -> Option<i64> {
        self.state().topics.get(&Key::Job(job)).map(|followed| followed.log)
    }

    /// Notes the last line that was told.
    pub(super) fn set_log(&self, job: JobId, line: i64) {
        if let Some(followed) = self.state().topics.get_mut(&Key::Job(job)) {
            followed.log = line;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// All who follow have missed something.
    pub(super) fn all_miss(&self) {
        self.state().followers.values().for_each(Entry::miss);
    }

    /// Ends all streams: nobody is there any more to tell them anything.
    pub(super) fn end_all(&self) {
        let mut state = self.state();
        state.followers.values().for_each(|entry| entry.shared.over.cancel());
        state.running = false;
    }

    /// Notes as whom a follower's credential holds now, or ends its stream.
    pub(super) fn holds(&self, number: u64, actor: Option<Actor>) {
        let mut state = self.state();
        let Some(entry) = state.followers.get_mut(&number) else { return };
        match actor {
            Some(actor) => entry.actor = actor,
            None => entry.shared.over.cancel(),
        }
    }

    /// When somebody has stopped following.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    /// Whether nobody follows any more, so that the task may end.
    pub(super) fn is_over(&self) -> bool {
        let mut state = self.state();
        state.running = !state.followers.is_empty();
        !state.running
    }

    /// What of a change somebody wants to be told.
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

    /// The credentials with which somebody follows; those of one account, or of all.
    pub(super) fn credentials(&self, account: Option<AccountId>) -> BTreeMap<u64, Credential> {
        let state = self.state();
        let held =
            state.followers.iter().filter_map(|(number, entry)| Some((*number, entry.credential.clone()?)));
        held.filter(|(_, credential)| account.is_none_or(|account| credential.account() == account)).collect()
    }
}

/// Who followers are, as far as it decides what they see.
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
