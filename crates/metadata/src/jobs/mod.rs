//! Jobs: the queue, leases, progress and logs.
//!
//! This module enqueues, looks up and cancels jobs. `claim` gives jobs to workers, `work` records what workers write,
//! `back` releases jobs from them, `list` lists jobs for people, `parts` joins jobs to a parent, `log` stores their
//! logs, `hold` holds them during a pause, `withdraw` ends the jobs of what was changed or deleted, and `row` reads the
//! table. [`history`](crate::history) prunes jobs in the end.

mod back;
mod claim;
mod hold;
mod list;
mod log;
mod parts;
mod row;
mod withdraw;
mod work;

use crate::{
    Change, Conn, Error, Tx, back_offs,
    conn::{change, row, rows, value},
    convert::{id, json, maybe_instant, micros},
};
use hold::narrowest;
use longshore_model::{
    JobId, Message, PolicyId, RemoteId, Timestamp,
    job::{JobAction, RemoteOf},
    message::JobMessage,
    stored::Job,
};
use longshore_oci::Digest;
use row::{Row, select};
use std::collections::HashSet;

pub use back::{any_expired, line_up, release, release_all, release_expired, retry_later};
pub use claim::{Claim, DueLane, Lane, claim, claim_lane, lanes};
pub use hold::{count_held, held, hold, number_held, reconsider, release_held};
pub use list::{get_all, in_repositories, list};
pub use log::{last_line, lines_behind, log, logs};
pub use longshore_model::job::NewJob;
use parts::join;
pub use parts::{
    adopt_polls, children, enqueue_polls, is_awaited_by_others, open_part, open_wholes, parts_done,
};
pub(crate) use withdraw::{Of, withdraw};
pub use work::{fence, finish, is_claimed, lock_endings, progress, renew, set_parameters};

/// The result of a request to cancel a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It was waiting and is now canceled.
    Canceled,
    /// It is running, and its worker will be told.
    Requested,
    /// It had already ended, or does not exist.
    Ended,
}

/// Enqueues a job.
pub async fn enqueue(tx: &mut Tx, new: NewJob, now: Timestamp) -> Result<JobId, Error> {
    let job = JobId::new();
    let remote = remote_of(tx, &new).await?;
    let (action, concerns) = (new.parameters.action(), new.parameters.concerns());
    change!(
        tx.conn,
        // A committed pause is seen here: `pauses::begin` lets no transaction write jobs in the meantime.
        concat!(
            "INSERT INTO jobs (id, action, status, cause, parameters, policy, repository, parent, retry_of, serial_key,
                attempt, retries_left, tags_done, tags_total, bytes_done, bytes_total, created_at, scheduled_at,
                updated_at, epoch, cancel_requested, manifest, subject, remote, lane, held_by)
             VALUES ($1, $2, 'waiting', $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, 0, 0, 0, $11, $12, $11, 0, $13, $16, $17, $14,
                (SELECT $14 || '/' || r.namespace FROM repositories r WHERE r.id = $6),
                CASE WHEN $15 THEN ",
            narrowest!("$6", "$14"),
            " END)"
        ),
        job.to_string(),
        action.as_str(),
        json(&new.cause),
        json(&new.parameters),
        new.policy.map(|policy| policy.to_string()),
        new.repository.map(|repository| repository.to_string()),
        new.parent.map(|parent| parent.to_string()),
        new.retry_of.map(|retried| retried.to_string()),
        new.serial_key.as_deref(),
        i64::from(new.retries),
        micros(now),
        micros(new.scheduled_at),
        false,
        remote,
        action.is_pausable() && new.repository.is_some(),
        // Both manifests are kept until the job has ended (semantics 23).
        concerns.manifest.map(Digest::as_str),
        concerns.subject.map(Digest::as_str)
    )?;
    if let Some(parent) = new.parent {
        join(tx, job, parent).await?;
    }
    tx.announce(Change::JobsWaiting(Some(action)));
    tx.announce(Change::Job(job));
    Ok(job)
}

/// The remote that a job needs.
async fn remote_of(conn: &mut Conn, new: &NewJob) -> Result<Option<String>, Error> {
    match new.parameters.concerns().transfer.map(|transfer| transfer.remote) {
        Some(RemoteOf::Job(remote)) => Ok(Some(remote.to_string())),
        Some(RemoteOf::Mirror { id, .. }) => {
            let sql = "SELECT remote FROM policies WHERE id = $1";
            let found: Option<(Option<String>,)> = row!(conn, (Option<String>,), sql, id.to_string())?;
            Ok(found.and_then(|(remote,)| remote))
        }
        None => Ok(None),
    }
}

/// Enqueues a job and reads it.
pub async fn enqueue_and_read(tx: &mut Tx, new: NewJob, now: Timestamp) -> Result<Job, Error> {
    let job = enqueue(tx, new, now).await?;
    get(tx, job).await?.ok_or(Error::LeaseLost(job))
}

/// Cancels a waiting job, or requests that the worker of a running one stops.
pub async fn cancel(tx: &mut Tx, job: JobId, now: Timestamp) -> Result<CancelOutcome, Error> {
    work::share_endings(tx).await?;
    let canceled = change!(
        tx.conn,
        "UPDATE jobs SET status = 'canceled', finished_at = $2, updated_at = $2, held_by = NULL
         WHERE id = $1 AND status = 'waiting'",
        job.to_string(),
        micros(now)
    )?;
    let requested = change!(
        tx.conn,
        "UPDATE jobs SET cancel_requested = $3, updated_at = $2 WHERE id = $1 AND status = 'running'",
        job.to_string(),
        micros(now),
        true
    )?;
    if canceled > 0 {
        settle_canceled(tx, job).await?;
    }
    tx.announce(Change::Job(job));
    Ok(match (canceled, requested) {
        (0, 0) => CancelOutcome::Ended,
        (0, _) => CancelOutcome::Requested,
        _ => CancelOutcome::Canceled,
    })
}

/// Marks the verdicts that wait for a canceled job's copy as failed.
pub async fn settle_canceled(tx: &mut Tx, job: JobId) -> Result<(), Error> {
    settle_failed(tx, &job.to_string(), &JobMessage::Canceled.into()).await
}

/// Marks the verdicts that wait for a job's copy as failed, with the reason.
async fn settle_failed(tx: &mut Tx, job: &str, why: &Message) -> Result<(), Error> {
    let why = why.stored();
    let sql = "UPDATE verdicts SET result = 'failed', consequence = $2
               WHERE repository = (SELECT j.repository FROM jobs j WHERE j.id = $1) AND result = 'running' AND job = $1";
    change!(tx.conn, sql, job, why.as_str())?;
    Ok(())
}

/// Whether the cancellation of a job was requested.
pub async fn cancel_requested(conn: &mut Conn, job: JobId) -> Result<bool, Error> {
    let sql = "SELECT cancel_requested FROM jobs WHERE id = $1";
    Ok(row!(conn, (bool,), sql, job.to_string())?.is_some_and(|(requested,)| requested))
}

/// One job.
pub async fn get(conn: &mut Conn, job: JobId) -> Result<Option<Job>, Error> {
    row!(conn, Row, select!("WHERE jobs.id = $1"), job.to_string())?.map(Job::try_from).transpose()
}

/// The unfinished job that is a retry of another, if any. Uses an index.
pub async fn open_retry(conn: &mut Conn, of: JobId) -> Result<Option<JobId>, Error> {
    let sql = "SELECT id FROM jobs WHERE retry_of = $1 AND finished_at IS NULL ORDER BY id LIMIT 1";
    row!(conn, (String,), sql, of.to_string())?.map(|(job,)| id(JobId, &job)).transpose()
}

/// Those of these jobs that can still be retried: they have not been retried yet, and are no polls that a later poll of
/// their mirror has replaced. Polls of all mirrors are excluded, because their parts are jobs of their own. One query,
/// which uses indexes.
pub async fn unretried(conn: &mut Conn, jobs: &[JobId]) -> Result<HashSet<JobId>, Error> {
    if jobs.is_empty() {
        return Ok(HashSet::new());
    }
    macro_rules! of {
        ($ids:literal) => {
            concat!(
                "SELECT j.id FROM jobs j WHERE j.id IN (",
                $ids,
                ") AND NOT EXISTS (SELECT 1 FROM jobs again WHERE again.retry_of = j.id)
                 AND (j.action <> $2 OR j.policy IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM jobs later WHERE later.policy = j.policy AND later.id > j.id AND later.action = $2))"
            )
        };
    }
    let sql = match conn.is_postgres() {
        false => of!("SELECT value FROM json_each($1)"),
        true => of!("SELECT json_array_elements_text($1::json)"),
    };
    let found = rows!(conn, (String,), sql, json(&jobs), JobAction::PollMirror.as_str())?;
    found.iter().map(|(job,)| id(JobId, job)).collect()
}

/// The oldest unfinished job of a policy.
pub async fn active_for_policy(
    conn: &mut Conn,
    policy: PolicyId,
    action: JobAction,
) -> Result<Option<Job>, Error> {
    let sql = select!(
        "WHERE jobs.policy = $1 AND jobs.action = $2 AND jobs.finished_at IS NULL ORDER BY jobs.id LIMIT 1"
    );
    row!(conn, Row, sql, policy.to_string(), action.as_str())?.map(Job::try_from).transpose()
}

/// Whether a job of a policy is waiting that was never started; a retry may start in the middle. Uses an index.
pub async fn waits_for_policy(conn: &mut Conn, policy: PolicyId, action: JobAction) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM jobs
               WHERE policy = $1 AND action = $2 AND finished_at IS NULL AND status = 'waiting' AND attempt = 0
               AND retry_of IS NULL";
    Ok(value!(conn, i64, sql, policy.to_string(), action.as_str())? > 0)
}

/// Whether an evaluation that was due at `then` is still waiting; held ones do not count. Uses an index, however many
/// are waiting.
pub async fn is_evaluation_due(conn: &mut Conn, then: Timestamp) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM (
                   SELECT 1 FROM jobs WHERE action = $1 AND status = 'waiting' AND held_by IS NULL
                   AND scheduled_at <= $2 LIMIT 1) AS due";
    Ok(value!(conn, i64, sql, JobAction::Evaluate.as_str(), micros(then))? > 0)
}

/// When, after `now`, the next waiting job is due or a back-off ends. Held jobs do not count.
pub async fn next_due(conn: &mut Conn, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    // One action at a time, so that an index is used, however many jobs are waiting.
    let sql = "SELECT MIN(scheduled_at) FROM jobs
               WHERE action = $1 AND status = 'waiting' AND held_by IS NULL AND scheduled_at > $2";
    let answer = "SELECT MIN(until) FROM back_offs WHERE until > $1";
    let mut next = value!(conn, Option<i64>, answer, micros(now))?;
    for &action in JobAction::ALL {
        let due = value!(conn, Option<i64>, sql, action.as_str(), micros(now))?;
        next = next.into_iter().chain(due).min();
    }
    maybe_instant(next)
}

/// Lets a waiting job start now, because a person requested it: ends its own delay and the back-off of its remote,
/// which this job may probe. Returns the updated job.
pub async fn hasten(tx: &mut Tx, job: JobId, now: Timestamp) -> Result<Job, Error> {
    // Locks the remote's row first and then jobs, in the order of claims.
    let sql = "SELECT remote FROM jobs WHERE id = $1 AND status = 'waiting' AND remote IS NOT NULL";
    if let Some((remote,)) = row!(tx.conn, (String,), sql, job.to_string())? {
        back_offs::probe(tx, id(RemoteId, &remote)?, now).await?;
    }
    let sql = "UPDATE jobs SET scheduled_at = $2, updated_at = $2
               WHERE id = $1 AND status = 'waiting' AND scheduled_at > $2";
    if change!(tx.conn, sql, job.to_string(), micros(now))? > 0 {
        tx.announce(Change::Job(job));
        tx.announce(Change::JobsWaiting(None));
    }
    get(tx, job).await?.ok_or(Error::LeaseLost(job))
}
