//! Ending what a policy has in the queue when the policy changes (semantics 34).

use crate::{
    Change, Error, Tx,
    conn::{change, rows},
    convert::{id, micros},
};
use longshore_model::{JobId, Message, PolicyId, Timestamp};
use metrics::counter;

/// What [`cancel_of_policy`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// How many jobs waited and are canceled now.
    pub waited: u64,
    /// Jobs that run, on whichever server: they are asked to stop, and end as canceled.
    pub running: Vec<JobId>,
}

/// The unfinished jobs of policy `$1` that an older version than `$2` put into the queue; with `NULL`,
/// all of them. Found by `jobs_unfinished_by_policy`.
macro_rules! unfinished {
    () => {
        "policy = $1 AND finished_at IS NULL
         AND ($2 IS NULL OR policy_version IS NULL OR policy_version < $2)"
    };
}

/// Ends the unfinished jobs of a policy that was disabled, deleted or edited. Those that wait are canceled
/// with `reason`; those that run are asked to stop, and end with it. `before_version` spares the jobs of that
/// version of the policy and later ones; `None` spares none. Grows with the unfinished jobs of the policy.
///
/// Call it in the transaction that changes the policy, before new jobs are put into the queue.
pub async fn cancel_of_policy(
    tx: &mut Tx,
    policy: PolicyId,
    before_version: Option<i64>,
    reason: &Message,
    now: Timestamp,
) -> Result<Stopped, Error> {
    let (of, reason) = (policy.to_string(), reason.stored());
    // First, while its job can still be found: what waits for a copy hears that it will not come.
    change!(
        tx.conn,
        concat!(
            "UPDATE verdicts SET result = 'failed', consequence = $3 WHERE result = 'running'
             AND job IN (SELECT id FROM jobs WHERE status = 'waiting' AND ",
            unfinished!(),
            ")"
        ),
        of.as_str(),
        before_version,
        reason.as_str()
    )?;
    let canceled = rows!(
        tx.conn,
        (String, String),
        concat!(
            "UPDATE jobs SET status = 'canceled', error = $3, finished_at = $4, updated_at = $4, held_by = NULL
             WHERE status = 'waiting' AND ",
            unfinished!(),
            " RETURNING id, action"
        ),
        of.as_str(),
        before_version,
        reason.as_str(),
        micros(now)
    )?;
    // A running job keeps the reason until it has stopped.
    let asked = rows!(
        tx.conn,
        (String,),
        concat!(
            "UPDATE jobs SET cancel_requested = $5, error = $3, updated_at = $4
             WHERE status = 'running' AND ",
            unfinished!(),
            " RETURNING id"
        ),
        of.as_str(),
        before_version,
        reason.as_str(),
        micros(now),
        true
    )?;
    for (job, action) in &canceled {
        counter!("longshore_jobs_ended_total", "action" => action.clone(), "status" => "canceled")
            .increment(1);
        tx.announce(Change::Job(id(JobId, job)?));
    }
    let running = asked.iter().map(|(job,)| id(JobId, job)).collect::<Result<Vec<_>, _>>()?;
    for job in &running {
        tx.announce(Change::Job(*job));
    }
    Ok(Stopped { waited: canceled.len() as u64, running })
}
