//! Jobs in workers' hands: handed out under a lease, prolonged, written to, ended.
//!
//! Each claim of a job has an epoch. What a worker writes is fenced by it: a worker whose lease has
//! gone to another can commit nothing (semantics 25).

use super::row::{Row, columns};
use crate::{
    Change, Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{json, micros},
};
use jiff::SignedDuration;
use longshore_model::{
    BootId, JobId, Message, Timestamp,
    job::{Action, Parameters, Progress, Status},
    stored::Job,
};
use metrics::counter;

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub job: Job,
    /// The number of this claim, which fences what the worker writes.
    pub epoch: i64,
}

impl TryFrom<Row> for Claim {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let epoch = row.epoch;
        Ok(Self { job: row.try_into()?, epoch })
    }
}

/// Hands out jobs that wait and are due, oldest first, at most `limit`. Of several with one serial
/// key only one runs at a time, in the order in which they were put into the queue.
pub async fn claim(
    tx: &mut Tx,
    actions: &[Action],
    boot: BootId,
    worker: &str,
    now: Timestamp,
    lease: SignedDuration,
    limit: i64,
) -> Result<Vec<Claim>, Error> {
    let mut claimed = Vec::new();
    for action in actions {
        let left = limit - i64::try_from(claimed.len()).unwrap_or(i64::MAX);
        if left > 0 {
            claim_action(tx, *action, boot, worker, now, lease, left, &mut claimed).await?;
        }
    }
    Ok(claimed)
}

async fn claim_action(
    tx: &mut Tx,
    action: Action,
    boot: BootId,
    worker: &str,
    now: Timestamp,
    lease: SignedDuration,
    limit: i64,
    claimed: &mut Vec<Claim>,
) -> Result<(), Error> {
    macro_rules! taking {
        ($only:literal, $locked:literal) => {
            concat!(
                "WITH due AS MATERIALIZED (
                    SELECT j.id FROM jobs j WHERE j.action = $1 AND j.status = 'waiting' AND j.held_by IS NULL
                    AND j.scheduled_at <= $2
                    AND (j.serial_key IS NULL OR (
                        NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key AND o.status = 'running')
                        AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key
                                        AND o.status = 'waiting' AND o.held_by IS NULL AND o.scheduled_at <= $2
                                        AND o.id < j.id)",
                $only,
                ")) ORDER BY j.scheduled_at, j.id LIMIT $3",
                $locked,
                ") UPDATE jobs SET status = 'running', attempt = attempt + 1, epoch = epoch + 1, boot = $4,
                    worker = $5, lease_until = $6, started_at = COALESCE(started_at, $2), updated_at = $2, error = NULL
                 WHERE id IN (SELECT id FROM due) RETURNING ",
                columns!()
            )
        };
    }
    // What differs: several servers on one PostgreSQL pass over rows that another is just taking.
    let sql = match tx.is_postgres() {
        false => taking!("", ""),
        true => taking!(
            " AND pg_try_advisory_xact_lock(hashtextextended(j.serial_key, 1))",
            " FOR UPDATE OF j SKIP LOCKED"
        ),
    };
    let taken = rows!(
        tx.conn,
        Row,
        sql,
        action.as_str(),
        micros(now),
        limit,
        boot.to_string(),
        worker,
        micros(now + lease)
    )?;
    let mut taken: Vec<Claim> = taken.into_iter().map(Claim::try_from).collect::<Result<_, _>>()?;
    // An update answers in any order.
    taken.sort_by_key(|claim| (claim.job.scheduled_at, claim.job.id));
    for claim in &taken {
        tx.announce(Change::Job(claim.job.id));
    }
    claimed.append(&mut taken);
    Ok(())
}

/// Prolongs a lease; false when it is lost.
pub async fn renew(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    now: Timestamp,
    lease: SignedDuration,
) -> Result<bool, Error> {
    let renewed = change!(
        tx.conn,
        "UPDATE jobs SET lease_until = $3 WHERE id = $1 AND epoch = $2 AND status = 'running'",
        job.to_string(),
        epoch,
        micros(now + lease)
    )?;
    Ok(renewed > 0)
}

/// Whether a job is in the hands of the worker with this claim.
pub async fn is_claimed(conn: &mut Conn, job: JobId, epoch: i64) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM jobs WHERE id = $1 AND epoch = $2 AND status = 'running'";
    Ok(value!(conn, i64, sql, job.to_string(), epoch)? > 0)
}

/// Ends the transaction of a worker that has lost its lease.
///
/// # Errors
/// [`Error::LeaseLost`]
pub async fn fence(tx: &mut Tx, job: JobId, epoch: i64) -> Result<(), Error> {
    // Locks the row on PostgreSQL, so that the lease cannot go to another before the commit.
    let held = change!(
        tx.conn,
        "UPDATE jobs SET epoch = epoch WHERE id = $1 AND epoch = $2 AND status = 'running'",
        job.to_string(),
        epoch
    )?;
    if held > 0 { Ok(()) } else { Err(Error::LeaseLost(job)) }
}

/// Ends a job.
///
/// # Errors
/// [`Error::LeaseLost`]
pub async fn finish(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    status: Status,
    outcome: Option<&Message>,
    error: Option<&Message>,
    now: Timestamp,
) -> Result<(), Error> {
    let ended = row!(
        tx.conn,
        (bool, String),
        // Who asked a job to stop may have said why.
        "UPDATE jobs SET status = $3, outcome = $4,
            error = CASE WHEN $3 = 'canceled' THEN COALESCE(error, $5) ELSE $5 END,
            finished_at = $6, updated_at = $6, lease_until = NULL
         WHERE id = $1 AND epoch = $2 AND status = 'running'
         RETURNING serial_key IS NOT NULL, action",
        job.to_string(),
        epoch,
        status.as_str(),
        outcome.map(Message::stored),
        error.map(Message::stored),
        micros(now)
    )?;
    let Some((serial, action)) = ended else { return Err(Error::LeaseLost(job)) };
    // Before the commit, which fails too seldom to count for it.
    counter!("longshore_jobs_ended_total", "action" => action, "status" => status.as_str()).increment(1);
    tx.announce(Change::Job(job));
    if serial {
        // One that waits behind the same key may start.
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Writes how far a job is.
pub async fn progress(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    to: &Progress,
    now: Timestamp,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "UPDATE jobs SET tags_done = $3, tags_total = $4, bytes_done = $5, bytes_total = $6, updated_at = $7
         WHERE id = $1 AND epoch = $2",
        job.to_string(),
        epoch,
        to.tags_done.cast_signed(),
        to.tags_total.cast_signed(),
        to.bytes_done.cast_signed(),
        to.bytes_total.cast_signed(),
        micros(now)
    )?;
    tx.announce(Change::Job(job));
    Ok(())
}

/// Writes how far a job has come in what it is about, so that a restart goes on from there.
pub async fn set_parameters(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    parameters: &Parameters,
) -> Result<(), Error> {
    let sql = "UPDATE jobs SET parameters = $3 WHERE id = $1 AND epoch = $2";
    change!(tx.conn, sql, job.to_string(), epoch, json(parameters))?;
    Ok(())
}
