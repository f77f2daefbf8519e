//! What changed, loaded once, and shown to each sort of reader as far as it may see it.

use super::SharedEvent;
use super::hub::{Key, Subject};
use super::telling::Telling;
use longshore_access::Action;
use longshore_metadata::repositories::Visible;
use longshore_metadata::{Conn, jobs, repositories};
use longshore_model::job::{Event, JobFilter};
use longshore_model::{JobId, PageRequest, Problem, Repository, RepositoryId, stored};
use longshore_oci::RepositoryName;
use metrics::counter;

/// More lines than this are not sent at once; the rest follows.
const LINES: i64 = 500;
/// How many jobs are told of again when any number of them was held or freed.
const CATCH_UP: u32 = 100;

/// A job, and the repository that it is about, where that is there.
type Loaded = (stored::Job, Option<Repository>);

impl Telling {
    /// Tells of one subject.
    pub(super) async fn show(&mut self, subject: Subject) -> Result<(), Problem> {
        counter!("longshore_event_loads_total").increment(1);
        match subject {
            Subject::Job(id) => self.show_job(id).await,
            Subject::Log(id) => self.show_log(id).await,
            Subject::Tags(id) => self.show_tags(id).await,
            Subject::Pauses => self.show_pauses().await,
        }
    }

    async fn show_job(&self, id: JobId) -> Result<(), Problem> {
        let Some((job, repository)) = load(&mut self.admin.read().await?, id).await? else { return Ok(()) };
        let about = job.repository.map(Key::Repository);
        let keys: Vec<Key> = [Key::Jobs, Key::Job(id)].into_iter().chain(about).collect();
        let hub = self.hub();
        for (_, actor, numbers) in hub.readers(&keys) {
            if !self.admin.may_see_job(&actor, &job, repository.as_ref()) {
                hub.end(&numbers, Key::Job(id));
                continue;
            }
            let job = self.admin.curtain(&actor).await?.job(job.clone()).await?;
            hub.tell(&numbers, &SharedEvent::new(Event::Job { job: Box::new(job) }, None));
        }
        Ok(())
    }

    async fn show_log(&mut self, id: JobId) -> Result<(), Problem> {
        let hub = self.hub().clone();
        let Some(after) = hub.log(id) else { return Ok(()) };
        let (lines, loaded) = {
            let mut conn = self.admin.read().await?;
            (jobs::logs(&mut conn, id, after, LINES).await?, load(&mut conn, id).await?)
        };
        let (Some(last), Some((job, repository))) = (lines.last(), loaded) else { return Ok(()) };
        hub.set_log(id, last.line);
        if lines.len() as i64 == LINES {
            self.want(Subject::Log(id));
        }
        for (_, actor, numbers) in hub.readers(&[Key::Job(id)]) {
            if !self.admin.may_see_job(&actor, &job, repository.as_ref()) {
                hub.end(&numbers, Key::Job(id));
                continue;
            }
            let lines = self.admin.curtain(&actor).await?.shown(lines.clone()).await?;
            hub.tell(&numbers, &SharedEvent::new(Event::Log { job: id, lines }, Some(after)));
        }
        Ok(())
    }

    async fn show_tags(&self, id: RepositoryId) -> Result<(), Problem> {
        let found = repositories::get(&mut self.admin.read().await?, id).await?;
        let hub = self.hub();
        let key = Key::Repository(id);
        let followed = hub.followed().into_iter().find(|(followed, _)| *followed == key);
        // It was deleted under the eyes of who follows it, and may come back: its name then is known.
        let name = found.as_ref().map(|found| found.name.clone()).or(followed.and_then(|(_, name)| name));
        let Some(repository) = name else { return Ok(()) };
        let event = SharedEvent::new(Event::Tags { repository }, None);
        for (_, actor, numbers) in hub.readers(&[key]) {
            match found.as_ref().is_none_or(|found| self.admin.0.access.may(&actor, Action::Read, found)) {
                true => hub.tell(&numbers, &event),
                false => hub.end(&numbers, key),
            }
        }
        Ok(())
    }

    /// Any number of jobs is held or free now, and those that are shown are told of.
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
        let event = SharedEvent::new(Event::Pauses, None);
        for (_, _, numbers) in hub.everybody() {
            hub.tell(&numbers, &event);
        }
        Ok(())
    }

    /// Tells of the newest jobs again, of all or of those about a repository.
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

async fn load(conn: &mut Conn, id: JobId) -> Result<Option<Loaded>, Problem> {
    let Some(job) = jobs::get(conn, id).await? else { return Ok(None) };
    let repository = match job.repository {
        Some(repository) => repositories::get(conn, repository).await?,
        None => None,
    };
    Ok(Some((job, repository)))
}
