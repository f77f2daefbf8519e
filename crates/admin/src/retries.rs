//! Retrying all failed jobs, for example after an outage.

use crate::Admin;
use crate::guard::{author, user};
use longshore_metadata::jobs;
use longshore_model::job::{JobFilter, RetriedJobs, Status};
use longshore_model::{Actor, Cursor, JobId, PageRequest, Problem};

/// The maximum number of jobs that one call retries, each in its own transaction.
const MOST: u32 = 100;
/// The maximum number of pages of failed jobs that one call examines.
const PAGES: usize = 20;
const PAGE_SIZE: u32 = 100;

impl Admin {
    /// Retries up to 100 failed jobs that match a filter and have not been retried yet, newest first, each as
    /// [`Admin::retry_job`] does. Jobs that cannot be retried are skipped. Of several polls of a mirror only the last
    /// is retried, since it does the work of all. Examines at most 2,000 failed jobs.
    ///
    /// # Errors
    /// The actor is not signed in.
    pub async fn retry_failed(&self, actor: &Actor, filter: JobFilter) -> Result<RetriedJobs, Problem> {
        user(actor)?;
        let filter = JobFilter { status: Some(Status::Errored), ..filter };
        let mut outcome = RetriedJobs::default();
        let mut page = PageRequest::first(PAGE_SIZE);
        for _ in 0..PAGES {
            let (failed, next) = self.failed_jobs(actor, &filter, &page).await?;
            for id in failed {
                if outcome.retried == MOST {
                    return Ok(RetriedJobs { more: true, ..outcome });
                }
                match self.retry_job(actor, id).await {
                    Ok(_) => outcome.retried += 1,
                    Err(problem) if problem.code.status() < 500 => outcome.left += 1,
                    // Retries that were started before the error are still reported.
                    Err(_) if outcome.retried > 0 => return Ok(RetriedJobs { more: true, ..outcome }),
                    Err(problem) => return Err(problem),
                }
            }
            if next.is_none() {
                return Ok(outcome);
            }
            page.start = next;
        }
        Ok(RetriedJobs { more: true, ..outcome })
    }

    /// One page of failed jobs that have not been retried, newest first, and the start of the next page.
    async fn failed_jobs(
        &self,
        actor: &Actor,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> Result<(Vec<JobId>, Option<Cursor>), Problem> {
        let mut conn = self.read().await?;
        let visible = self.0.access.administered(actor);
        let found = jobs::list(&mut conn, &visible, Some(&author(actor)), filter, page).await?;
        let mut ids: Vec<JobId> = found.items.iter().map(|job| job.id).collect();
        let left = jobs::unretried(&mut conn, &ids).await?;
        ids.retain(|id| left.contains(id));
        Ok((ids, found.next))
    }
}
