//! Retrying everything that failed, after an outage or a mistake that has been mended.

use crate::Admin;
use crate::guard::{author, user};
use longshore_metadata::jobs;
use longshore_model::job::{JobFilter, RetriedJobs, Status};
use longshore_model::{Actor, Cursor, JobId, PageRequest, Problem};

/// The most jobs that one call retries; each is a transaction of its own.
const MOST: u32 = 100;
/// The most pages of failed jobs that one call looks at.
const PAGES: usize = 20;
/// How many jobs are on each of them.
const PAGE_SIZE: u32 = 100;

impl Admin {
    /// Retries the newest failed jobs of a filter that nobody has retried yet, each as [`Admin::retry_job`] does, until
    /// 100 are under way. Jobs that cannot be retried are passed over. Of several polls of a mirror only the last one is
    /// retried, since it does the work of all. Looks at 2,000 failed jobs at most.
    ///
    /// # Errors
    /// Nobody is signed in.
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
                    // What is under way is told all the same.
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

    /// A page of the failed jobs that are left to be retried, newest first, and where the next one starts.
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
