//! Jobs that workers have claimed: renews their leases, records their progress, and ends them. `claim` claims them.
//!
//! Each claim of a job has an epoch, which fences the worker's writes: a worker that lost its lease can commit nothing
//! (semantics 25).

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

/// The advisory lock of [`lock_endings`], in the key space of pairs, which nothing else here uses.
const ENDINGS: i32 = 0x4c53;

/// Prevents jobs from ending until this transaction does. Transactions that control jobs (change or stop a policy,
/// withdraw or hold jobs, evaluate) lock many jobs, verdicts and policies; a transaction that ends a job locks that one
/// and its rows. Without this lock they would deadlock on PostgreSQL; SQLite has only one writer. It must come before
/// every other lock of a transaction.
pub async fn lock_endings(tx: &mut Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        change!(tx.conn, "SELECT pg_advisory_xact_lock($1, 0)", ENDINGS)?;
    }
    Ok(())
}

/// The shared lock of endings: jobs may end concurrently, but no transaction controls jobs in the meantime. It is free
/// in a transaction that has the exclusive lock.
pub(super) async fn share_endings(tx: &mut Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        change!(tx.conn, "SELECT pg_advisory_xact_lock_shared($1, 0)", ENDINGS)?;
    }
    Ok(())
}

/// Like [`share_endings`], for a transaction that already locks rows of jobs: returns false instead of waiting for the
/// exclusive lock.
pub(super) async fn try_share_endings(tx: &mut Tx) -> Result<bool, Error> {
    match tx.is_postgres() {
        true => Ok(value!(tx.conn, bool, "SELECT pg_try_advisory_xact_lock_shared($1, 0)", ENDINGS)?),
        false => Ok(true),
    }
}

/// Renews a lease; returns false if it is lost.
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
        // By the database's clock and not by the server's.
        true => renewing!("(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint + $4 + 0 * $3"),
    };
    let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
    let renewed = change!(tx.conn, sql, job.to_string(), epoch, micros(now), lease)?;
    Ok(renewed > 0)
}

/// Whether the worker with this claim still holds the job.
pub async fn is_claimed(conn: &mut Conn, job: JobId, epoch: i64) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM jobs WHERE id = $1 AND epoch = $2 AND status = 'running'";
    Ok(value!(conn, i64, sql, job.to_string(), epoch)? > 0)
}

/// Fails the transaction of a worker that has lost its lease.
///
/// # Errors
/// [`Error::LeaseLost`]
pub async fn fence(tx: &mut Tx, job: JobId, epoch: i64) -> Result<(), Error> {
    share_endings(tx).await?;
    // Locks the row on PostgreSQL, so that the lease cannot be lost before the commit.
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
        // A request to cancel the job may have recorded a reason.
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
    // Counted before the commit, which fails too rarely to matter.
    counter!("longshore_jobs_ended_total", "action" => action, "status" => status.as_str()).increment(1);
    tx.announce(Change::Job(job));
    if is_part {
        tell_wholes(tx, job).await?;
    }
    if serial {
        // A job that waits with the same key may start.
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Announces a change of the jobs that wait for this part.
async fn tell_wholes(tx: &mut Tx, part: JobId) -> Result<(), Error> {
    let sql = "SELECT p.whole FROM job_parts p JOIN jobs j ON j.id = p.whole
               WHERE p.part = $1 AND j.finished_at IS NULL";
    for (whole,) in rows!(tx.conn, (String,), sql, part.to_string())? {
        tx.announce(Change::Job(id(JobId, &whole)?));
    }
    Ok(())
}

/// Records the progress of a job.
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

/// Records how far a job has come in its parameters, so that it resumes there after a restart.
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
