//! Trying everything again that failed, after an outage or a mistake that is mended.

use crate::Admin;
use crate::guard::{author, user};
use longshore_metadata::jobs;
use longshore_model::job::{JobFilter, RetriedJobs, Status};
use longshore_model::{Actor, JobId, PageRequest, Problem};

/// So many jobs are tried again at a time; each is a transaction of its own.
const MOST: usize = 100;
/// So many pages of failed jobs are looked through for those that nobody has tried again yet.
const PAGES: usize = 20;
/// So many jobs are on each of them.
const PAGE_SIZE: u32 = 100;

impl Admin {
    /// Tries the newest failed jobs of a filter again that nobody has tried again yet, as [`Admin::retry_job`] does with
    /// one. What cannot be tried again is left. Looks at 2,000 failed jobs and begins 100 at most.
    ///
    /// # Errors
    /// Nobody is signed in.
    pub async fn retry_failed(&self, actor: &Actor, filter: JobFilter) -> Result<RetriedJobs, Problem> {
        user(actor)?;
        let (failed, more) = self.failed_jobs(actor, filter).await?;
        let mut outcome = RetriedJobs { more, ..RetriedJobs::default() };
        // In the order in which they were made.
        for id in failed.into_iter().rev() {
            match self.retry_job(actor, id).await {
                Ok(_) => outcome.retried += 1,
                Err(problem) if problem.code.status() < 500 => outcome.left += 1,
                Err(problem) => return Err(problem),
            }
        }
        Ok(outcome)
    }

    /// Failed jobs that nobody has tried again, newest first, and whether there are more of them.
    async fn failed_jobs(&self, actor: &Actor, filter: JobFilter) -> Result<(Vec<JobId>, bool), Problem> {
        let filter = JobFilter { status: Some(Status::Errored), ..filter };
        let (visible, asked_by) = (self.0.access.administered(actor), author(actor));
        let (mut failed, mut page) = (Vec::new(), PageRequest::first(PAGE_SIZE));
        for _ in 0..PAGES {
            let mut conn = self.read().await?;
            let found = jobs::list(&mut conn, &visible, Some(&asked_by), &filter, &page).await?;
            let ids: Vec<JobId> = found.items.iter().map(|job| job.id).collect();
            let retried = jobs::retried(&mut conn, &ids).await?;
            failed.extend(ids.into_iter().filter(|id| !retried.contains(id)));
            if failed.len() > MOST || found.next.is_none() {
                break;
            }
            page.start = found.next;
        }
        let more = failed.len() > MOST;
        failed.truncate(MOST);
        Ok((failed, more))
    }
}
