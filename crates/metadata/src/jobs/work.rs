//! Jobs in workers' hands: their leases prolonged, written to, ended. `claim` hands them out.
//!
//! Each claim of a job has an epoch. What a worker writes is fenced by it: a worker whose lease has
//! gone to another can commit nothing (semantics 25).

use crate::{
    Change, Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{id, json, micros},
};
use jiff::SignedDuration;
use longshore_model::{
    JobId, Message, Timestamp,
    job::{Parameters, Progress, Status},
};
use metrics::counter;

/// The advisory lock of [`lock_endings`], in the key space of two numbers that nothing else here uses.
const ENDINGS: i32 = 0x4c53;

/// Keeps jobs from ending until this transaction does. Whoever steers work (changes or stops a policy, withdraws
/// or holds jobs, evaluates) locks many jobs, verdicts and policies; whoever ends a job locks that one and what
/// belongs to it. Without this, the two wait for each other in a circle on PostgreSQL; SQLite has one writer.
/// It comes before every other lock of a transaction.
pub async fn lock_endings(tx: &mut Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        change!(tx.conn, "SELECT pg_advisory_xact_lock($1, 0)", ENDINGS)?;
    }
    Ok(())
}

/// Lets jobs end side by side, and nobody steer meanwhile. Free where this transaction steers itself.
pub(super) async fn share_endings(tx: &mut Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        change!(tx.conn, "SELECT pg_advisory_xact_lock_shared($1, 0)", ENDINGS)?;
    }
    Ok(())
}

/// As [`share_endings`], for who holds rows of jobs already: false, at once, while somebody steers.
pub(super) async fn try_share_endings(tx: &mut Tx) -> Result<bool, Error> {
    match tx.is_postgres() {
        true => Ok(value!(tx.conn, bool, "SELECT pg_try_advisory_xact_lock_shared($1, 0)", ENDINGS)?),
        false => Ok(true),
    }
}

/// Prolongs a lease; false when it is lost.
pub async fn renew(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    now: Timestamp,
    lease: SignedDuration,
) -> Result<bool, Error> {
    macro_rules! renewing {
        ($until:literal) => {
            concat!(
                "UPDATE jobs SET lease_until = ",
                $until,
                " WHERE id = $1 AND epoch = $2 AND status = 'running'"
            )
        };
    }
    let sql = match tx.is_postgres() {
        false => renewing!("$3 + $4"),
        // Whatever the server's own clock says.
        true => renewing!("(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint + $4 + 0 * $3"),
    };
    let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
    let renewed = change!(tx.conn, sql, job.to_string(), epoch, micros(now), lease)?;
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
    share_endings(tx).await?;
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
    share_endings(tx).await?;
    let ended = row!(
        tx.conn,
        (bool, bool, String),
        // Who asked a job to stop may have said why.
        "UPDATE jobs SET status = $3, outcome = $4,
            error = CASE WHEN $3 = 'canceled' THEN COALESCE(error, $5) ELSE $5 END,
            finished_at = $6, updated_at = $6, lease_until = NULL
         WHERE id = $1 AND epoch = $2 AND status = 'running'
         RETURNING serial_key IS NOT NULL, parent IS NOT NULL, action",
        job.to_string(),
        epoch,
        status.as_str(),
        outcome.map(Message::stored),
        error.map(Message::stored),
        micros(now)
    )?;
    let Some((serial, is_part, action)) = ended else { return Err(Error::LeaseLost(job)) };
    // Before the commit, which fails too seldom to count for it.
    counter!("longshore_jobs_ended_total", "action" => action, "status" => status.as_str()).increment(1);
    tx.announce(Change::Job(job));
    if is_part {
        tell_wholes(tx, job).await?;
    }
    if serial {
        // One that waits behind the same key may start.
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Those that wait for a part hear that it has ended.
async fn tell_wholes(tx: &mut Tx, part: JobId) -> Result<(), Error> {
    let sql = "SELECT p.whole FROM job_parts p JOIN jobs j ON j.id = p.whole
               WHERE p.part = $1 AND j.finished_at IS NULL";
    for (whole,) in rows!(tx.conn, (String,), sql, part.to_string())? {
        tx.announce(Change::Job(id(JobId, &whole)?));
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
