//! Loads what changed once and shows it to each group of readers as far as they may see it.

use super::SharedEvent;
use super::hub::{FollowedJobs, Key, Reader, Subject};
use super::telling::Telling;
use crate::hide::Redaction;
use longshore_access::Permission;
use longshore_metadata::Visible;
use longshore_metadata::{Conn, jobs, repositories};
use longshore_model::job::{Event, JobFilter};
use longshore_model::{Actor, JobId, PageRequest, Problem, Repository, RepositoryId, stored};
use longshore_oci::RepositoryName;
use metrics::counter;
use std::collections::{HashMap, HashSet};

/// The maximum number of log lines in one event; the rest follows.
const LINES: i64 = 500;
/// The number of jobs that are announced again when a pause began or ended.
const CATCH_UP: u32 = 100;

/// The number of jobs that are loaded in one query.
const AT_ONCE: usize = 200;

/// Changes to be announced now.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) jobs: Vec<JobId>,
    pub(super) logs: Vec<JobId>,
    pub(super) tags: Vec<RepositoryId>,
    pub(super) pauses: bool,
    pub(super) settings: bool,
}

/// A job and the repository that it is about, if it exists.
type Loaded = (stored::Job, Option<Repository>);

impl Telling {
    /// Announces a batch. A subject that cannot be loaded is announced when it changes again.
    pub(super) async fn show(&mut self, batch: Batch) {
        let Batch { jobs, logs, tags, pauses, settings } = batch;
        for jobs in jobs.chunks(AT_ONCE) {
            delivered(self.show_jobs(jobs.to_vec()).await);
        }
        for job in logs {
            counter!("longshore_event_loads_total").increment(1);
            delivered(self.show_log(job).await);
        }
        if !tags.is_empty() {
            delivered(self.show_tags(&tags).await);
        }
        if pauses {
            counter!("longshore_event_loads_total").increment(1);
            delivered(self.show_pauses().await);
        }
        if settings {
            self.spread(&Event::Settings, |reader| reader != Reader::Nobody);
        }
    }

    /// Three statements for all jobs, then one look-up of what they mention, shared by all readers.
    async fn show_jobs(&self, changed: Vec<JobId>) -> Result<(), Problem> {
        let hub = self.hub();
        let FollowedJobs { jobs, of, in_repositories } = hub.followed_among(changed);
        let loaded = {
            let mut conn = self.admin.read().await?;
            let mut wanted = jobs::in_repositories(&mut conn, &of, &in_repositories).await?;
            wanted.extend(jobs);
            counter!("longshore_event_loads_total").increment(wanted.len() as u64);
            load(&mut conn, &wanted).await?
        };
        // Grouped by reader, because a redaction serves one reader at a time.
        let mut readers: HashMap<Reader, (Actor, Vec<(&Loaded, Vec<u64>)>)> = HashMap::new();
        for job in &loaded {
            let about = job.0.repository.map(Key::Repository);
            let keys: Vec<Key> = [Key::Jobs, Key::Job(job.0.id)].into_iter().chain(about).collect();
            for (reader, actor, numbers) in hub.readers(&keys) {
                readers.entry(reader).or_insert_with(|| (actor, Vec::new())).1.push((job, numbers));
            }
        }
        let mut redaction = None;
        for (actor, followed) in readers.values() {
            let mut seen = Vec::new();
            let mut told = Vec::new();
            for ((job, repository), numbers) in followed {
                match self.admin.may_see_job(actor, job, repository.as_ref()) {
                    true => {
                        seen.push(job.clone());
                        told.push(numbers);
                    }
                    false => hub.end(numbers, Key::Job(job.id)),
                }
            }
            let mut current = self.redaction_for(actor, redaction.take()).await?;
            for (job, numbers) in current.jobs(seen).await?.into_iter().zip(told) {
                hub.tell(numbers, &SharedEvent::new(Event::Job { job: Box::new(job) }, None));
            }
            redaction = Some(current);
        }
        Ok(())
    }

    /// The redaction for `actor`; it inherits the look-ups of `redaction`.
    async fn redaction_for<'a>(
        &'a self,
        actor: &'a Actor,
        redaction: Option<Redaction<'a>>,
    ) -> Result<Redaction<'a>, Problem> {
        match redaction {
            Some(redaction) => Ok(redaction.for_reader(actor)),
            None => self.admin.redaction(actor).await,
        }
    }

    async fn show_log(&mut self, id: JobId) -> Result<(), Problem> {
        let hub = self.hub().clone();
        let Some(after) = hub.log(id) else { return Ok(()) };
        let (lines, loaded) = {
            let mut conn = self.admin.read().await?;
            (jobs::logs(&mut conn, id, after, LINES).await?, load(&mut conn, &[id]).await?.pop())
        };
        let (Some(last), Some((job, repository))) = (lines.last(), loaded) else { return Ok(()) };
        hub.set_log(id, last.line);
        if lines.len() as i64 == LINES {
            self.want(Subject::Log(id));
        }
        let readers = hub.readers(&[Key::Job(id)]);
        let mut redaction = None;
        for (_, actor, numbers) in &readers {
            if !self.admin.may_see_job(actor, &job, repository.as_ref()) {
                hub.end(numbers, Key::Job(id));
                continue;
            }
            let mut current = self.redaction_for(actor, redaction.take()).await?;
            let lines = current.shown(lines.clone()).await?;
            hub.tell(numbers, &SharedEvent::new(Event::Log { job: id, lines }, Some(after)));
            redaction = Some(current);
        }
        Ok(())
    }

    async fn show_tags(&self, changed: &[RepositoryId]) -> Result<(), Problem> {
        counter!("longshore_event_loads_total").increment(changed.len() as u64);
        let found = repositories::get_all(&mut self.admin.read().await?, changed).await?;
        let found: HashMap<RepositoryId, Repository> =
            found.into_iter().map(|found| (found.id, found)).collect();
        let hub = self.hub();
        let names: HashMap<Key, Option<RepositoryName>> = hub.followed().into_iter().collect();
        for id in changed {
            let (key, found) = (Key::Repository(*id), found.get(id));
            // The repository was deleted while it was followed and may be restored; use the last known name.
            let name = found.map(|found| found.name.clone()).or_else(|| names.get(&key).cloned().flatten());
            let Some(repository) = name else { continue };
            let event = SharedEvent::new(Event::Tags { repository }, None);
            for (_, actor, numbers) in hub.readers(&[key]) {
                match found.is_none_or(|found| self.admin.0.access.may(&actor, Permission::Read, found)) {
                    true => hub.tell(&numbers, &event),
                    false => hub.end(&numbers, key),
                }
            }
        }
        Ok(())
    }

    /// A pause began or ended, so any number of jobs may have become held or free; announces those that are shown.
    async fn show_pauses(&mut self) -> Result<(), Problem> {
        let hub = self.hub().clone();
        for (key, name) in hub.followed() {
            match (key, name) {
                (Key::Job(job), _) => self.want(Subject::Job(job)),
                (Key::Jobs, _) => self.want_newest(None).await?,
                (Key::Repository(_), Some(name)) => self.want_newest(Some(name)).await?,
                (Key::Repository(_), None) => {}
            }
        }
        self.spread(&Event::Pauses, |_| true);
        Ok(())
    }

    /// Sends an event without names to some of the followers.
    fn spread(&self, event: &Event, whom: impl Fn(Reader) -> bool) {
        let (hub, event) = (self.hub(), SharedEvent::new(event.clone(), None));
        for (reader, _, numbers) in hub.everybody() {
            if whom(reader) {
                hub.tell(&numbers, &event);
            }
        }
    }

    /// Announces the newest jobs again, all or those about a repository.
    async fn want_newest(&mut self, repository: Option<RepositoryName>) -> Result<(), Problem> {
        let filter = JobFilter { repository, ..JobFilter::default() };
        let newest = PageRequest::first(CATCH_UP);
        let page = {
            let mut conn = self.admin.read().await?;
            jobs::list(&mut conn, &Visible::Everything, None, &filter, &newest).await?
        };
        page.items.into_iter().for_each(|job| self.want(Subject::Job(job.id)));
        Ok(())
    }
}

fn delivered(outcome: Result<(), Problem>) {
    if let Err(problem) = outcome {
        tracing::warn!(%problem, "an event was not delivered");
    }
}

/// Loads those of the jobs that exist, in two statements.
async fn load(conn: &mut Conn, ids: &[JobId]) -> Result<Vec<Loaded>, Problem> {
    let jobs = jobs::get_all(conn, ids).await?;
    let about: HashSet<RepositoryId> = jobs.iter().filter_map(|job| job.repository).collect();
    let about = repositories::get_all(conn, &about.into_iter().collect::<Vec<_>>()).await?;
    let about: HashMap<RepositoryId, Repository> = about.into_iter().map(|found| (found.id, found)).collect();
    let with_repository = |job: stored::Job| {
        let repository = job.repository.and_then(|repository| about.get(&repository).cloned());
        (job, repository)
    };
    Ok(jobs.into_iter().map(with_repository).collect())
}
