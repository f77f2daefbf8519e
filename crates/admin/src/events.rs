//! What a page that follows something is told while it is open: changes that `metadata` announces,
//! loaded, checked against what the actor may see, and thinned out to four a second for each thing.

use crate::Admin;
use crate::guard::user;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use longshore_access::Action;
use longshore_metadata::{Change, jobs, repositories};
use longshore_model::job::{Event, JobFilter};
use longshore_model::{Actor, JobId, PageRequest, Problem, RepositoryId};
use longshore_oci::RepositoryName;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;

/// One thing is told of at most once in this time.
const PACE: Duration = Duration::from_millis(250);
/// More lines than this are not sent at once; the rest follows.
const LINES: i64 = 500;
/// How many jobs are told of again when announcements were missed.
const CATCH_UP: u32 = 100;

/// What a page wants to be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// One job and its log.
    pub job: Option<JobId>,
    /// The last line of that log which is known already.
    pub log_after: i64,
    /// All jobs that the actor may see.
    pub jobs: bool,
    /// Changes of the tags of one repository, and the jobs about it.
    pub repository: Option<RepositoryName>,
}

/// Events, until the server stops.
pub type EventStream = BoxStream<'static, Event>;

/// What can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Job(JobId),
    Log(JobId),
    Tags(RepositoryId),
    Pauses,
}

struct Follower {
    admin: Admin,
    actor: Actor,
    filter: EventFilter,
    repository: Option<RepositoryId>,
    changes: Receiver<Change>,
    /// When each subject that changed will be told of.
    due: HashMap<Subject, Instant>,
    told: HashMap<Subject, Instant>,
    ready: VecDeque<Event>,
    log_after: i64,
}

impl Admin {
    /// Events for one page. What is announced before this returns may be missing; who needs the
    /// present state asks for it afterwards.
    ///
    /// # Errors
    /// The job or repository in the filter cannot be seen; jobs are asked for by nobody.
    pub async fn events(&self, actor: &Actor, filter: EventFilter) -> Result<EventStream, Problem> {
        let changes = self.0.db.changes();
        if filter.jobs {
            user(actor)?;
        }
        if let Some(job) = filter.job {
            self.job(actor, job).await?;
        }
        let repository = match &filter.repository {
            Some(name) => Some(self.repository_for(actor, Action::Read, name).await?.id),
            None => None,
        };
        let follower = Follower {
            admin: self.clone(),
            actor: actor.clone(),
            log_after: filter.log_after,
            filter,
            repository,
            changes,
            due: HashMap::new(),
            told: HashMap::new(),
            ready: VecDeque::new(),
        };
        let events = stream::unfold(follower, |mut follower| async move {
            let event = follower.next().await?;
            Some((event, follower))
        });
        Ok(events.boxed())
    }
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let next_due = self.due.values().min().copied();
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) => self.note(change),
                    Err(RecvError::Lagged(_)) => self.catch_up().await,
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(next_due) => self.tell().await,
            }
        }
    }

    fn note(&mut self, change: Change) {
        if change == Change::Pauses && self.wants_pauses() {
            self.want(Subject::Pauses);
        }
        let subject = match change {
            Change::Job(id) if self.wants_job(id) => Subject::Job(id),
            Change::JobLog(id) if self.filter.job == Some(id) => Subject::Log(id),
            Change::Tags(id) if self.repository == Some(id) => Subject::Tags(id),
            _ => return,
        };
        self.want(subject);
    }

    /// A pause is news to whoever follows jobs, in whatever way.
    fn wants_pauses(&self) -> bool {
        self.filter.jobs || self.filter.job.is_some() || self.repository.is_some()
    }

    fn wants_job(&self, id: JobId) -> bool {
        self.filter.jobs || self.filter.job == Some(id) || self.repository.is_some()
    }

    fn want(&mut self, subject: Subject) {
        let now = Instant::now();
        let at = self.told.get(&subject).map_or(now, |told| (*told + PACE).max(now));
        self.due.entry(subject).or_insert(at);
    }

    /// Tells of everything that is due. What fails to load is told of when it changes again.
    async fn tell(&mut self) {
        let now = Instant::now();
        self.told.retain(|_, told| *told + PACE > now);
        let due: Vec<Subject> = self.due.iter().filter(|(_, at)| **at <= now).map(|(s, _)| *s).collect();
        for subject in due {
            self.due.remove(&subject);
            self.told.insert(subject, now);
            match self.load(subject).await {
                Ok(event) => self.ready.extend(event),
                Err(problem) => tracing::warn!(%problem, "an event was not delivered"),
            }
        }
    }

    async fn load(&mut self, subject: Subject) -> Result<Option<Event>, Problem> {
        match subject {
            Subject::Job(id) => {
                let mut curtain = self.admin.curtain(&self.actor).await?;
                let Some(job) = jobs::get(curtain.conn(), id).await? else { return Ok(None) };
                let other =
                    self.filter.job != Some(id) && !self.filter.jobs && job.repository != self.repository;
                if other || !self.admin.sees_job(curtain.conn(), &self.actor, &job).await? {
                    return Ok(None);
                }
                let job = Box::new(curtain.job(job).await?);
                Ok(Some(Event::Job { job }))
            }
            Subject::Log(id) => {
                let lines = self.admin.job_logs(&self.actor, id, self.log_after, LINES).await?;
                let Some(last) = lines.last() else { return Ok(None) };
                self.log_after = last.line;
                if lines.len() as i64 == LINES {
                    self.want(subject);
                }
                Ok(Some(Event::Log { job: id, lines }))
            }
            Subject::Pauses => {
                // Any number of jobs is held or free now, and those that are shown are told of.
                self.catch_up().await;
                Ok(Some(Event::Pauses))
            }
            Subject::Tags(id) => {
                let found = repositories::get(&mut self.admin.read().await?, id).await?;
                let access = &self.admin.0.access;
                let Some(found) = found else {
                    // It was deleted under the eyes of who follows it, and may come back.
                    let repository = self.filter.repository.clone();
                    return Ok(repository.map(|repository| Event::Tags { repository }));
                };
                let seen = access.may(&self.actor, Action::Read, &found);
                Ok(seen.then_some(Event::Tags { repository: found.name }))
            }
        }
    }

    /// Announcements were missed: everything that may have changed is told of.
    async fn catch_up(&mut self) {
        if let Some(job) = self.filter.job {
            self.want(Subject::Job(job));
            self.want(Subject::Log(job));
        }
        if let Some(repository) = self.repository {
            self.want(Subject::Tags(repository));
        }
        if self.filter.jobs || self.repository.is_some() {
            let filter = JobFilter { repository: self.filter.repository.clone(), ..JobFilter::default() };
            let newest = PageRequest::first(CATCH_UP);
            if let Ok(page) = self.admin.jobs(&self.actor, &filter, &newest).await {
                page.items.into_iter().for_each(|job| self.want(Subject::Job(job.id)));
            }
        }
    }
}

/// Until `at`, or for ever.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
