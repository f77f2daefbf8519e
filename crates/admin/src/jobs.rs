//! Viewing, cancelling and retrying jobs, and polling all mirrors (semantics 17, 19).

use crate::Admin;
use crate::guard::{author, user};
use longshore_access::Permission;
use longshore_metadata::jobs::{self, CancelOutcome};
use longshore_metadata::policies::{self, Idle};
use longshore_metadata::{Conn, Tx, pull_mirrors, remotes, repositories, work};
use longshore_model::job::{
    Cause, Concerns, Job, JobFilter, LogLine, LogPart, RemoteOf, Status, Transfer, orders,
};
use longshore_model::{
    Actor, Author, Code, JobId, Page, PageRequest, PolicyId, Problem, Repository, RepositoryState, stored,
};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::sleep;

/// The maximum number of log lines in one response.
const MAX_LINES: i64 = 2000;
/// The waiting times between checks for due evaluations, in milliseconds. An evaluation takes a few.
const EVALUATION_PAUSES: [u64; 8] = [4, 8, 16, 32, 64, 128, 256, 512];

/// The maximum number of unfinished polls of all mirrors per account.
const MOST_POLLS: u64 = 16;

fn too_many_polls() -> Problem {
    let message = format!(
        "{MOST_POLLS} polls of all mirrors that you started have not finished; wait for \
         one, or cancel one"
    );
    Problem::new(Code::LimitReached, message)
}

fn no_such_job(id: JobId) -> Problem {
    Problem::new(
        Code::NoSuchJob,
        format!("there is no job {id}, or it is about a repository that you do not administer"),
    )
}

fn not_again(why: &str) -> Problem {
    Problem::new(Code::InvalidJob, format!("the job cannot be retried: {why}"))
}

/// Why the work of a job is no longer possible (semantics 34); `None` if it is possible.
async fn gone(tx: &mut Tx, job: &stored::Job) -> Result<Option<&'static str>, Problem> {
    if let Some(repository) = job.repository {
        match repositories::get(tx, repository).await? {
            None => return Ok(Some("its repository has been deleted")),
            Some(found) if found.state == RepositoryState::ReadOnly && job.action.fills_repository() => {
                return Ok(Some("its repository is read-only; change that first"));
            }
            Some(_) => {}
        }
    }
    // A mirror's job uses the remote that the mirror has now.
    if let Concerns { policy: None, transfer: Some(Transfer { remote: RemoteOf::Job(remote), .. }), .. } =
        job.parameters.concerns()
        && remotes::get(tx, remote).await?.is_none()
    {
        return Ok(Some("its remote has been deleted"));
    }
    Ok(None)
}

/// Whether `actor` started the job.
fn asked_for(job: &stored::Job, actor: &Actor) -> bool {
    match (&job.cause, actor.user()) {
        (Cause::Asked { author: Author::User { name } }, Some(user)) => *name == user.name,
        _ => false,
    }
}

impl Admin {
    /// The jobs about repositories that the actor administers, and the jobs without a repository that the actor
    /// started, newest first.
    ///
    /// # Errors
    /// The actor is not signed in.
    pub async fn jobs(
        &self,
        actor: &Actor,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> Result<Page<Job>, Problem> {
        user(actor)?;
        let visible = self.0.access.administered(actor);
        let mut redaction = self.redaction(actor).await?;
        let found = jobs::list(redaction.conn(), &visible, Some(&author(actor)), filter, page).await?;
        let (items, page) = found.split();
        Ok(page.with(redaction.jobs(items).await?))
    }

    /// Waits until all committed tag changes have been evaluated, so that a client that pushes and then lists the jobs
    /// finds the copies that its push caused. Waits at most a second: behind a long queue, or if no worker runs, the
    /// list is incomplete.
    ///
    /// # Errors
    /// The actor is not signed in.
    pub async fn after_evaluations(&self, actor: &Actor) -> Result<(), Problem> {
        user(actor)?;
        let now = self.now();
        for pause in EVALUATION_PAUSES {
            let due = jobs::is_evaluation_due(&mut self.read().await?, now).await?;
            if !due {
                break;
            }
            sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    /// One job.
    ///
    /// # Errors
    /// The job does not exist, or it is neither about a repository that the actor administers nor was it started by the
    /// actor.
    pub async fn job(&self, actor: &Actor, id: JobId) -> Result<Job, Problem> {
        let job = self.find_job(actor, id).await?;
        self.redaction(actor).await?.job(job).await
    }

    async fn find_job(&self, actor: &Actor, id: JobId) -> Result<stored::Job, Problem> {
        user(actor)?;
        let mut conn = self.read().await?;
        match jobs::get(&mut conn, id).await? {
            Some(job) if self.sees_job(&mut conn, actor, &job).await? => Ok(job),
            _ => Err(no_such_job(id)),
        }
    }

    /// Whether `actor` may see a job. Administrators may see all jobs; other users those about repositories that they
    /// administer, and those without a repository that they started.
    pub(crate) async fn sees_job(
        &self,
        conn: &mut Conn,
        actor: &Actor,
        job: &stored::Job,
    ) -> Result<bool, Problem> {
        let repository = match job.repository {
            Some(repository) if !actor.is_admin() => repositories::get(conn, repository).await?,
            _ => None,
        };
        Ok(self.may_see_job(actor, job, repository.as_ref()))
    }

    /// As [`Admin::sees_job`], for a job whose repository has been loaded; `repository` is `None` if it does not exist.
    pub(crate) fn may_see_job(
        &self,
        actor: &Actor,
        job: &stored::Job,
        repository: Option<&Repository>,
    ) -> bool {
        match job.repository {
            _ if actor.is_admin() => true,
            Some(_) => {
                repository.is_some_and(|found| self.0.access.may(actor, Permission::Administer, found))
            }
            None => asked_for(job, actor),
        }
    }

    /// Those child jobs of a job that the actor may see.
    ///
    /// # Errors
    /// As [`Admin::job`].
    pub async fn job_children(&self, actor: &Actor, id: JobId) -> Result<Vec<Job>, Problem> {
        self.find_job(actor, id).await?;
        let mut redaction = self.redaction(actor).await?;
        let mut seen = Vec::new();
        for job in jobs::children(redaction.conn(), id).await? {
            if self.sees_job(redaction.conn(), actor, &job).await? {
                seen.push(job);
            }
        }
        redaction.jobs(seen).await
    }

    /// At most `limit` lines of a job's log, after line `after`.
    ///
    /// # Errors
    /// As [`Admin::job`].
    pub async fn job_logs(
        &self,
        actor: &Actor,
        id: JobId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<LogLine>, Problem> {
        self.find_job(actor, id).await?;
        let mut redaction = self.redaction(actor).await?;
        let lines = jobs::logs(redaction.conn(), id, after, limit.clamp(1, MAX_LINES)).await?;
        redaction.shown(lines).await
    }

    /// As [`Admin::job_logs`], with the number of lines that follow.
    ///
    /// # Errors
    /// As [`Admin::job`].
    pub async fn job_log_part(
        &self,
        actor: &Actor,
        id: JobId,
        after: i64,
        limit: i64,
    ) -> Result<LogPart, Problem> {
        let lines = self.job_logs(actor, id, after, limit).await?;
        let more = match lines.last() {
            Some(last) => jobs::lines_behind(&mut self.read().await?, id, last.line).await?,
            None => 0,
        };
        Ok(LogPart { lines, more })
    }

    /// Cancels a job and its children: immediately if it is queued, within a second if it runs.
    ///
    /// # Errors
    /// As [`Admin::job`]; the job has already ended.
    pub async fn cancel_job(&self, actor: &Actor, id: JobId) -> Result<Job, Problem> {
        let job = self.find_job(actor, id).await?;
        if job.status.is_final() {
            let message = format!("the job has already ended: it is {}", job.status.as_str());
            return Err(Problem::new(Code::JobEnded, message));
        }
        let (admin, asks, now) = (self.clone(), actor.clone(), self.now());
        let running = self.write(work!(|tx| {
            let mut stop = vec![id];
            for child in jobs::children(tx, id).await? {
                // Another parent may wait for the same child.
                if !child.status.is_final()
                    && admin.sees_job(tx, &asks, &child).await?
                    && !jobs::is_awaited_by_others(tx, child.id, id).await?
                {
                    stop.push(child.id);
                }
            }
            let mut running = Vec::new();
            for id in stop {
                if matches!(jobs::cancel(tx, id, now).await?, CancelOutcome::Requested) {
                    running.push(id);
                }
            }
            Ok(running)
        }));
        for id in running.await? {
            self.0.engine.cancel(id);
        }
        self.job(actor, id).await
    }

    /// Repeats the work of a job that did not succeed, as a new job. If a retry is already queued or running, that one
    /// is returned.
    ///
    /// # Errors
    /// As [`Admin::job`]; the job has not ended or was successful, or its policy is deleted or disabled (semantics 34).
    pub async fn retry_job(&self, actor: &Actor, id: JobId) -> Result<Job, Problem> {
        let job = self.find_job(actor, id).await?;
        if !job.status.is_final() || job.status == Status::Done {
            let why = match job.status {
                Status::Done => "it was successful",
                _ => "it has not ended yet",
            };
            return Err(not_again(why));
        }
        if job.parameters.waits_for_parts() {
            // Its work consists of its children: retry with the mirrors that exist now.
            return self.poll_all(actor).await;
        }
        let (author, now) = (author(actor), self.now());
        let retried = self.write(work!(|tx| {
            // Taken before any job is locked, as everywhere, and so that two concurrent requests get the same retry.
            jobs::lock_endings(tx).await?;
            if let Some(policy) = job.policy
                && let Some(idle) = policies::idle(tx, policy).await?
            {
                return Err(not_again(match &idle {
                    Idle::Deleted => "its policy has been deleted",
                    Idle::Disabled => "its policy is disabled; enable the policy first",
                    Idle::Paused(_) => "its policy has stopped; enable the policy first",
                }));
            }
            if let Some(why) = gone(tx, &job).await? {
                return Err(not_again(why));
            }
            // Two requests for the same retry get one job.
            let again = match jobs::open_retry(tx, job.id).await? {
                Some(again) => again,
                None => jobs::enqueue(tx, orders::retry(&job, author, now), now).await?,
            };
            Ok(jobs::hasten(tx, again, now).await?)
        }));
        self.redaction(actor).await?.job(retried.await?).await
    }

    /// Polls every enabled pull mirror that the actor administers (semantics 19), and returns the parent job. Polls
    /// that are already queued or running are adopted. Takes a constant number of statements, however many mirrors
    /// there are.
    ///
    /// # Errors
    /// The actor is not signed in; `LIMIT_REACHED` if too many of the actor's polls of all mirrors are unfinished.
    pub async fn poll_all(&self, actor: &Actor) -> Result<Job, Problem> {
        user(actor)?;
        let visible = self.0.access.administered(actor);
        let (author, now) = (author(actor), self.now());
        let parent = self.write(work!(|tx| {
            jobs::lock_endings(tx).await?;
            if jobs::open_wholes(tx, &author).await? >= MOST_POLLS {
                return Err(too_many_polls());
            }
            let mirrors = pull_mirrors::running(tx, &visible).await?;
            let policies: Vec<PolicyId> = mirrors.iter().map(|mirror| mirror.common.id).collect();
            let parent = jobs::enqueue_and_read(tx, orders::poll_all(author.clone(), now), now).await?;
            let polled: HashSet<PolicyId> =
                jobs::adopt_polls(tx, parent.id, &policies, now).await?.into_iter().collect();
            let rest = mirrors.iter().filter(|mirror| !polled.contains(&mirror.common.id));
            let cause = Cause::Asked { author };
            let polls: Vec<_> =
                rest.map(|mirror| orders::poll(mirror, cause.clone(), Some(parent.id), now)).collect();
            jobs::enqueue_polls(tx, parent.id, &polls, now).await?;
            Ok(parent)
        }));
        self.redaction(actor).await?.job(parent.await?).await
    }
}
