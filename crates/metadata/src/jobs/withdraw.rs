//! Ends the jobs of a policy that was changed, disabled or deleted, and of a repository or remote that was deleted, in
//! the same transaction (semantics 34). Waiting jobs are ended; running ones are released from their workers, on
//! whichever server, so that they can commit nothing. Workers learn of it from the commit and stop, even in the middle
//! of a blob.

use super::work::lock_endings;
use crate::{
    Change, Error, Tx,
    conn::{change, rows},
    convert::{id, micros},
};
use longshore_model::{
    JobId, Message, PolicyId, RemoteId, RepositoryId, Timestamp, job_actions,
    message::{JobMessage, Withdrawal},
};
use metrics::counter;

/// Whose jobs are withdrawn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    /// All jobs of a policy, except the one that has just found out that the policy must stop.
    Policy(PolicyId, Option<JobId>),
    /// Polls into a repository, copies out of it, and evaluations of its existing tags by its policies.
    Repository(RepositoryId),
    /// Polls into a repository.
    PollsInto(RepositoryId),
    /// All jobs that need a remote.
    Remote(RemoteId),
}

/// The two statements that end the jobs selected by `$which` with the parameters `$1` and `$2`: verdicts that wait for
/// one of their copies become failed.
macro_rules! ending {
    ($($which:expr),+) => {
        [
            concat!(
                "UPDATE verdicts SET result = 'failed', consequence = $3 WHERE result = 'running' AND job IN (SELECT id FROM jobs WHERE ",
                $($which,)+ " AND id <> $2 AND finished_at IS NULL)"
            ),
            concat!(
                "UPDATE jobs SET status = $4, outcome = CASE WHEN $4 = 'superseded' THEN $3 END,
                    error = CASE WHEN $4 = 'superseded' THEN error ELSE $3 END, finished_at = $5, updated_at = $5, held_by = NULL, boot = NULL,
                    lease_until = NULL
                 WHERE ", $($which,)+ " AND id <> $2 AND finished_at IS NULL RETURNING id, action"
            ),
        ]
    };
}

/// Ends these jobs; returns the number of them. The cost grows with the jobs that are ended: an index finds those of a
/// policy, and those of a repository or a remote are looked up only when it is deleted.
pub(crate) async fn withdraw(tx: &mut Tx, of: Of, why: Withdrawal, now: Timestamp) -> Result<u64, Error> {
    lock_endings(tx).await?;
    let (whose, except) = match of {
        Of::Policy(policy, except) => (policy.to_string(), except.map(|job| job.to_string())),
        Of::Repository(repository) | Of::PollsInto(repository) => (repository.to_string(), None),
        Of::Remote(remote) => (remote.to_string(), None),
    };
    let except = except.unwrap_or_default();
    let [verdicts, jobs] = match of {
        Of::Policy(..) => ending!("policy = $1"),
        Of::Repository(_) => ending!("repository = $1 AND (policy IS NOT NULL OR remote IS NOT NULL)"),
        Of::PollsInto(_) => {
            ending!("repository = $1 AND action IN (", job_actions!(fills_repository), ")")
        }
        Of::Remote(_) => ending!("remote = $1"),
    };
    let (sentence, status) = (Message::from(JobMessage::Withdrawn { why }).stored(), why.status());
    change!(tx.conn, verdicts, whose.as_str(), except.as_str(), sentence.as_str())?;
    let ended = rows!(
        tx.conn,
        (String, String),
        jobs,
        whose.as_str(),
        except.as_str(),
        sentence.as_str(),
        status.as_str(),
        micros(now)
    )?;
    for (job, action) in &ended {
        // Counted before the commit, which fails too rarely to matter.
        counter!("longshore_jobs_ended_total", "action" => action.clone(), "status" => status.as_str())
            .increment(1);
        tx.announce(Change::Job(id(JobId, job)?));
    }
    if !ended.is_empty() {
        // Jobs that waited behind them may start.
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(ended.len() as u64)
}
