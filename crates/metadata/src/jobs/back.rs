//! Releases jobs from their workers: for a later retry, after a server stopped, or after a lease expired.

use super::work::{lock_endings, share_endings};
use crate::{
    Change, Conn, Error, Tx,
    conn::{change, rows, value},
    convert::{id, micros},
};
use longshore_model::{BootId, JobId, Message, Timestamp, job_actions};

/// Releases running jobs at `$1`: back into the queue, or to the end if their cancellation was requested.
macro_rules! put_back {
    ($rest:literal) => {
        concat!(
            "UPDATE jobs SET status = CASE WHEN cancel_requested THEN 'canceled' ELSE 'waiting' END,
                finished_at = CASE WHEN cancel_requested THEN $1 ELSE finished_at END,
                updated_at = $1, boot = NULL, lease_until = NULL",
            $rest
        )
    };
}
pub(super) use put_back;

/// Puts a job back until `at`, because of an error that may be temporary.
///
/// # Errors
/// [`Error::LeaseLost`]
pub async fn retry_later(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    at: Timestamp,
    error: &Message,
    now: Timestamp,
) -> Result<(), Error> {
    share_endings(tx).await?;
    let changed = change!(
        tx.conn,
        put_back!(
            ", retries_left = CASE WHEN retries_left > 0 THEN retries_left - 1 ELSE 0 END, scheduled_at = $4,
                failing_since = COALESCE(failing_since, $1),
                error = CASE WHEN cancel_requested THEN COALESCE(error, $5) ELSE $5 END
             WHERE id = $2 AND epoch = $3 AND status = 'running'"
        ),
        micros(now),
        job.to_string(),
        epoch,
        micros(at),
        error.stored()
    )?;
    back(tx, job, changed)
}

/// Puts a job back unchanged, to be resumed after a restart; this uses up no retry.
///
/// # Errors
/// [`Error::LeaseLost`]
pub async fn release(tx: &mut Tx, job: JobId, epoch: i64, now: Timestamp) -> Result<(), Error> {
    share_endings(tx).await?;
    let changed = change!(
        tx.conn,
        put_back!(" WHERE id = $2 AND epoch = $3 AND status = 'running'"),
        micros(now),
        job.to_string(),
        epoch
    )?;
    back(tx, job, changed)
}

fn back(tx: &mut Tx, job: JobId, changed: u64) -> Result<(), Error> {
    if changed == 0 {
        return Err(Error::LeaseLost(job));
    }
    tx.announce(Change::Job(job));
    tx.announce(Change::JobsWaiting(None));
    Ok(())
}

/// At the start of a server: releases the jobs held by earlier starts, if the server has the database for itself, and
/// assigns lanes to jobs that a server of an older version has enqueued without.
pub async fn release_all(tx: &mut Tx, not_of: BootId, now: Timestamp) -> Result<u64, Error> {
    line_up(tx).await?;
    // With PostgreSQL, other servers may be running; the leases of those that are not will expire.
    if tx.is_postgres() {
        return release_expired(tx, now).await;
    }
    let sql = put_back!(" WHERE status = 'running' AND (boot IS NULL OR boot <> $2) RETURNING id");
    let released = rows!(tx.conn, (String,), sql, micros(now), not_of.to_string())?;
    announce_all(tx, released)
}

/// Assigns lanes to jobs that need a remote and have none; without a lane, they would never be claimed. The cost grows
/// with the jobs that wait outside of lanes: these, and parents of polls.
pub async fn line_up(tx: &mut Tx) -> Result<u64, Error> {
    lock_endings(tx).await?;
    let sql = concat!(
        "UPDATE jobs SET lane = remote || '/' || (SELECT r.namespace FROM repositories r WHERE r.id = jobs.repository)
         WHERE lane IS NULL AND remote IS NOT NULL AND finished_at IS NULL AND action IN (",
        job_actions!(has_lanes),
        ")"
    );
    let lined_up = change!(tx.conn, sql)?;
    if lined_up > 0 {
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(lined_up)
}

/// Jobs whose lease has expired: on PostgreSQL by the database's clock, which all servers share and by which the leases
/// were given; otherwise at `$1`.
macro_rules! expired {
    ($conn:expr, $before:expr, $behind:literal) => {
        match $conn.is_postgres() {
            false => concat!($before, " WHERE status = 'running' AND lease_until < $1", $behind),
            true => concat!(
                $before,
                " WHERE status = 'running'
                  AND lease_until < (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint + 0 * $1",
                $behind
            ),
        }
    };
}

/// Whether a worker holds a job beyond its lease.
pub async fn any_expired(conn: &mut Conn, now: Timestamp) -> Result<bool, Error> {
    let sql = expired!(conn, "SELECT COUNT(*) FROM jobs", "");
    Ok(value!(conn, i64, sql, micros(now))? > 0)
}

/// Releases all jobs that workers hold beyond their leases.
pub async fn release_expired(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    lock_endings(tx).await?;
    let sql = expired!(tx, put_back!(""), " RETURNING id");
    let released = rows!(tx.conn, (String,), sql, micros(now))?;
    announce_all(tx, released)
}

fn announce_all(tx: &mut Tx, released: Vec<(String,)>) -> Result<u64, Error> {
    for (job,) in &released {
        tx.announce(Change::Job(id(JobId, job)?));
    }
    if !released.is_empty() {
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(released.len() as u64)
}
