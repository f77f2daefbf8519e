//! Ending the work of a policy that was changed, disabled or deleted, and of a repository or remote that is
//! not there any more, in the very transaction that says so (semantics 34). What waits is ended; what runs is
//! taken out of its worker's hands, on whichever server, so that it can commit nothing any more. Workers hear of
//! it with the commit and stop, in the middle of a blob too.

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

/// Whose work is withdrawn.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    /// All of a policy's, except for the job that is just finding out that the policy has to stop.
    Policy(PolicyId, Option<JobId>),
    /// What polls into a repository, copies out of it, or asks its policies about present tags.
    Repository(RepositoryId),
    /// What polls into a repository.
    PollsInto(RepositoryId),
    /// All that goes to a remote or comes from it.
    Remote(RemoteId),
}

/// The two statements that end the jobs which `$which` names by `$1` and `$2`: those that wait for one of them
/// to copy something hear that it will not.
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

/// Ends that work; answers how many jobs it was. Grows with the jobs that are ended: an index leads to those of a
/// policy, and what a repository or a remote has is looked for only when that goes away.
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
        // Before the commit, which fails too seldom to count for it.
        counter!("longshore_jobs_ended_total", "action" => action.clone(), "status" => status.as_str())
            .increment(1);
        tx.announce(Change::Job(id(JobId, job)?));
    }
    if !ended.is_empty() {
        // What waited behind them may start.
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(ended.len() as u64)
}
