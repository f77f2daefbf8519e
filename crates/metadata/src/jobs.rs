//! Jobs: the queue, the leases of those who work on it, progress and logs.
//!
//! Each claim of a job has an epoch. What a worker writes is fenced by it: a worker whose lease has
//! gone to another can commit nothing (semantics 25).

use crate::{
    Change, Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{as_word, from_json, id, instant, json, maybe_id, maybe_instant, maybe_parse, micros, word},
    page,
    repositories::{self, Visible},
};
use jiff::SignedDuration;
use longshore_model::{
    BootId, JobId, Page, PageRequest, PolicyId, RepositoryId, Timestamp,
    job::{Action, Cause, Job, JobFilter, Level, LogLine, Parameters, Progress, Status},
};
use sqlx::FromRow;

/// A job to be done.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What it does.
    pub action: Action,
    /// What about.
    pub parameters: Parameters,
    /// Why it exists.
    pub cause: Cause,
    /// The policy behind it.
    pub policy: Option<PolicyId>,
    /// The local repository it is about.
    pub repository: Option<RepositoryId>,
    /// The job that it is a part of.
    pub parent: Option<JobId>,
    /// The job whose work is tried again.
    pub retry_of: Option<JobId>,
    /// Two jobs with one key never run at once.
    pub serial_key: Option<String>,
    /// When it may start.
    pub scheduled_at: Timestamp,
    /// How often it may be begun again.
    pub retries: u32,
}

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub job: Job,
    /// The number of this claim, which fences what the worker writes.
    pub epoch: i64,
}

/// What became of the wish to stop a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It waited, and is canceled.
    Canceled,
    /// It runs; its worker is told.
    Requested,
    /// It had ended, or there is none.
    Ended,
}

#[derive(FromRow)]
struct Row {
    id: String,
    action: String,
    status: String,
    cause: String,
    parameters: String,
    policy: Option<String>,
    repository: Option<String>,
    repository_name: Option<String>,
    parent: Option<String>,
    retry_of: Option<String>,
    attempt: i64,
    retries_left: i64,
    tags_done: i64,
    tags_total: i64,
    bytes_done: i64,
    bytes_total: i64,
    error: Option<String>,
    outcome: Option<String>,
    created_at: i64,
    scheduled_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    updated_at: i64,
    worker: Option<String>,
    epoch: i64,
}

impl TryFrom<Row> for Claim {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let epoch = row.epoch;
        Ok(Self { job: row.try_into()?, epoch })
    }
}

impl TryFrom<Row> for Job {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let count = |number: i64| u32::try_from(number).unwrap_or_default();
        Ok(Self {
            id: id(JobId, &row.id)?,
            action: word("action", &row.action)?,
            status: word("job status", &row.status)?,
            cause: from_json("cause", &row.cause)?,
            parameters: from_json("job parameters", &row.parameters)?,
            policy: maybe_id(PolicyId, row.policy.as_deref())?,
            repository: maybe_id(RepositoryId, row.repository.as_deref())?,
            repository_name: maybe_parse("repository name", row.repository_name.as_deref())?,
            parent: maybe_id(JobId, row.parent.as_deref())?,
            retry_of: maybe_id(JobId, row.retry_of.as_deref())?,
            attempt: count(row.attempt),
            retries_left: count(row.retries_left),
            progress: Progress {
                tags_done: row.tags_done.unsigned_abs(),
                tags_total: row.tags_total.unsigned_abs(),
                bytes_done: row.bytes_done.unsigned_abs(),
                bytes_total: row.bytes_total.unsigned_abs(),
            },
            error: row.error,
            outcome: row.outcome,
            created_at: instant(row.created_at)?,
            scheduled_at: instant(row.scheduled_at)?,
            started_at: maybe_instant(row.started_at)?,
            finished_at: maybe_instant(row.finished_at)?,
            updated_at: instant(row.updated_at)?,
            worker: row.worker,
        })
    }
}

macro_rules! select {
    ($($rest:tt)*) => {
        concat!(
            "SELECT j.id, j.action, j.status, j.cause, j.parameters, j.policy, j.repository, r.name AS repository_name,
                    j.parent, j.retry_of, j.attempt, j.retries_left, j.tags_done, j.tags_total, j.bytes_done,
                    j.bytes_total, j.error, j.outcome, j.created_at, j.scheduled_at, j.started_at, j.finished_at,
                    j.updated_at, j.worker, j.epoch
             FROM jobs j LEFT JOIN repositories r ON r.id = j.repository ",
            $($rest)*
        )
    };
}

/// Puts a job into the queue.
pub async fn enqueue(tx: &mut Tx, new: NewJob, now: Timestamp) -> Result<Job, Error> {
    let job = JobId::new();
    change!(
        tx.conn,
        "INSERT INTO jobs (id, action, status, cause, parameters, policy, repository, parent, retry_of, serial_key,
            attempt, retries_left, tags_done, tags_total, bytes_done, bytes_total, created_at, scheduled_at,
            updated_at, epoch, cancel_requested)
         VALUES ($1, $2, 'waiting', $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, 0, 0, 0, $11, $12, $11, 0, $13)",
        job.to_string(),
        new.action.as_str(),
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
        false
    )?;
    tx.announce(Change::JobsWaiting);
    tx.announce(Change::Job(job));
    get(tx, job).await?.ok_or(Error::LeaseLost(job))
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
    // What differs: several servers on one PostgreSQL pass over rows that another is just taking.
    let sql = match tx.is_postgres() {
        false => {
            "SELECT j.id FROM jobs j WHERE j.action = $1 AND j.status = 'waiting' AND j.scheduled_at <= $2
               AND (j.serial_key IS NULL
                    OR (NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key AND o.status = 'running')
                        AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key
                                        AND o.status = 'waiting' AND o.scheduled_at <= $2 AND o.id < j.id)))
             ORDER BY j.scheduled_at, j.id LIMIT $3"
        }
        true => {
            "SELECT j.id FROM jobs j WHERE j.action = $1 AND j.status = 'waiting' AND j.scheduled_at <= $2
               AND (j.serial_key IS NULL
                    OR (NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key AND o.status = 'running')
                        AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key
                                        AND o.status = 'waiting' AND o.scheduled_at <= $2 AND o.id < j.id)
                        AND pg_try_advisory_xact_lock(hashtextextended(j.serial_key, 1))))
             ORDER BY j.scheduled_at, j.id LIMIT $3 FOR UPDATE OF j SKIP LOCKED"
        }
    };
    let due = rows!(tx.conn, (String,), sql, action.as_str(), micros(now), limit)?;
    for (job,) in due {
        change!(
            tx.conn,
            "UPDATE jobs SET status = 'running', attempt = attempt + 1, epoch = epoch + 1, boot = $2, worker = $3,
                lease_until = $4, started_at = COALESCE(started_at, $5), updated_at = $5, error = NULL
             WHERE id = $1 AND status = 'waiting'",
            job.as_str(),
            boot.to_string(),
            worker,
            micros(now + lease),
            micros(now)
        )?;
        if let Some(row) = row!(tx.conn, Row, select!("WHERE j.id = $1"), job.as_str())? {
            let claim = Claim::try_from(row)?;
            tx.announce(Change::Job(claim.job.id));
            claimed.push(claim);
        }
    }
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
    outcome: Option<&str>,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let ended = change!(
        tx.conn,
        "UPDATE jobs SET status = $3, outcome = $4, error = $5, finished_at = $6, updated_at = $6, lease_until = NULL
         WHERE id = $1 AND epoch = $2 AND status = 'running'",
        job.to_string(),
        epoch,
        status.as_str(),
        outcome,
        error,
        micros(now)
    )?;
    if ended == 0 {
        return Err(Error::LeaseLost(job));
    }
    tx.announce(Change::Job(job));
    // One that waits behind the same serial key may start.
    tx.announce(Change::JobsWaiting);
    Ok(())
}

/// Takes running jobs out of their workers' hands at `$1`: into the queue again, or to the end for
/// those that somebody asked to stop.
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

/// Puts a job back until `at`, because of an error that may pass.
///
/// # Errors
/// [`Error::LeaseLost`]
pub async fn retry_later(
    tx: &mut Tx,
    job: JobId,
    epoch: i64,
    at: Timestamp,
    error: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let changed = change!(
        tx.conn,
        put_back!(
            ", retries_left = retries_left - 1, scheduled_at = $4, error = $5
             WHERE id = $2 AND epoch = $3 AND status = 'running'"
        ),
        micros(now),
        job.to_string(),
        epoch,
        micros(at),
        error
    )?;
    back(tx, job, changed)
}

/// Puts a job back as it is, to be taken up again after a restart; no retry is used up.
///
/// # Errors
/// [`Error::LeaseLost`]
pub async fn release(tx: &mut Tx, job: JobId, epoch: i64, now: Timestamp) -> Result<(), Error> {
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
    tx.announce(Change::JobsWaiting);
    Ok(())
}

/// At the start of a server that is alone with its database: whatever another start held is put back.
pub async fn release_all(tx: &mut Tx, not_of: BootId, now: Timestamp) -> Result<u64, Error> {
    // On PostgreSQL others may be at work; their leases run out by themselves.
    if tx.is_postgres() {
        return release_expired(tx, now).await;
    }
    let sql = put_back!(" WHERE status = 'running' AND (boot IS NULL OR boot <> $2) RETURNING id");
    let released = rows!(tx.conn, (String,), sql, micros(now), not_of.to_string())?;
    announce_all(tx, released)
}

/// Whatever a worker holds beyond its lease is put back.
pub async fn release_expired(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    let sql = put_back!(" WHERE status = 'running' AND lease_until < $1 RETURNING id");
    let released = rows!(tx.conn, (String,), sql, micros(now))?;
    announce_all(tx, released)
}

fn announce_all(tx: &mut Tx, released: Vec<(String,)>) -> Result<u64, Error> {
    for (job,) in &released {
        tx.announce(Change::Job(id(JobId, job)?));
    }
    if !released.is_empty() {
        tx.announce(Change::JobsWaiting);
    }
    Ok(released.len() as u64)
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

/// Stops a job that waits, or tells the worker of one that runs.
pub async fn cancel(tx: &mut Tx, job: JobId, now: Timestamp) -> Result<CancelOutcome, Error> {
    let canceled = change!(
        tx.conn,
        "UPDATE jobs SET status = 'canceled', finished_at = $2, updated_at = $2 WHERE id = $1 AND status = 'waiting'",
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
    tx.announce(Change::Job(job));
    Ok(match (canceled, requested) {
        (0, 0) => CancelOutcome::Ended,
        (0, _) => CancelOutcome::Requested,
        _ => CancelOutcome::Canceled,
    })
}

/// Whether somebody wants a job to stop.
pub async fn cancel_requested(conn: &mut Conn, job: JobId) -> Result<bool, Error> {
    let sql = "SELECT cancel_requested FROM jobs WHERE id = $1";
    Ok(row!(conn, (bool,), sql, job.to_string())?.is_some_and(|(requested,)| requested))
}

/// Makes a job that has not ended a part of another; false when it has ended.
pub async fn adopt(tx: &mut Tx, job: JobId, parent: JobId, now: Timestamp) -> Result<bool, Error> {
    let adopted = change!(
        tx.conn,
        "UPDATE jobs SET parent = $2, updated_at = $3 WHERE id = $1 AND status IN ('waiting', 'running')",
        job.to_string(),
        parent.to_string(),
        micros(now)
    )?;
    Ok(adopted > 0)
}

/// One job.
pub async fn get(conn: &mut Conn, job: JobId) -> Result<Option<Job>, Error> {
    row!(conn, Row, select!("WHERE j.id = $1"), job.to_string())?.map(Job::try_from).transpose()
}

/// The conditions of a list, behind the one that finds the rows by an index. Their parameters are
/// those of [`list`].
macro_rules! listed {
    ($found_by:literal) => {
        (
            concat!("SELECT COUNT(*) FROM jobs j ", listed!(@conditions $found_by)),
            select!(listed!(@conditions $found_by), " ORDER BY j.id DESC LIMIT $10 OFFSET $11"),
        )
    };
    (@conditions $found_by:literal) => {
        concat!(
            "WHERE ", $found_by,
            r#" AND ($1 OR j.repository IN (
                    SELECT v.id FROM repositories v
                    WHERE ($2 AND v.visibility = 'public') OR REPLACE($3, '"' || v.namespace || '"', '') <> $3))
                AND ($4 IS NULL OR j.action = $4) AND ($5 IS NULL OR j.status = $5)
                AND ($6 IS NULL OR j.repository = $6) AND ($7 IS NULL OR j.policy = $7)
                AND ($8 IS NULL OR j.parent = $8) AND (NOT $9 OR j.action <> 'evaluate')"#
        )
    };
}

/// How to find the rows of a list: neither database finds an index in `$n IS NULL OR …`.
fn statements(filter: &JobFilter) -> (&'static str, &'static str) {
    match filter {
        JobFilter { parent: Some(_), .. } => listed!("j.parent = $8"),
        JobFilter { policy: Some(_), .. } => listed!("j.policy = $7"),
        JobFilter { repository: Some(_), .. } => listed!("j.repository = $6"),
        JobFilter { status: Some(_), .. } => listed!("j.status = $5"),
        JobFilter { action: Some(_), .. } => listed!("j.action = $4"),
        JobFilter { without_evaluations: true, .. } => listed!("j.action <> 'evaluate'"),
        _ => listed!("j.id > ''"),
    }
}

/// Jobs, newest first, of repositories that may be seen. Without a repository only those who see
/// everything see a job.
pub async fn list(
    conn: &mut Conn,
    visible: &Visible,
    filter: &JobFilter,
    page: &PageRequest,
) -> Result<Page<Job>, Error> {
    let (everything, public, namespaces) = visible.columns();
    let repository = match &filter.repository {
        Some(name) => match repositories::id_of(conn, name).await? {
            Some(repository) => Some(repository),
            None => return Ok(Page { items: Vec::new(), next: None, total: 0 }),
        },
        None => None,
    };
    let action = filter.action.map(Action::as_str);
    let status = filter.status.map(Status::as_str);
    let policy = filter.policy.map(|policy| policy.to_string());
    let parent = filter.parent.map(|parent| parent.to_string());
    let (count, select) = statements(filter);
    let total = value!(
        conn,
        i64,
        count,
        everything,
        public,
        namespaces.as_str(),
        action,
        status,
        repository.as_deref(),
        policy.as_deref(),
        parent.as_deref(),
        filter.without_evaluations
    )?;
    let found = rows!(
        conn,
        Row,
        select,
        everything,
        public,
        namespaces.as_str(),
        action,
        status,
        repository.as_deref(),
        policy.as_deref(),
        parent.as_deref(),
        filter.without_evaluations,
        page.limit(),
        page.offset()
    )?;
    page::of(found, page, total)
}

/// The parts of a job, oldest first.
pub async fn children(conn: &mut Conn, parent: JobId) -> Result<Vec<Job>, Error> {
    let found = rows!(conn, Row, select!("WHERE j.parent = $1 ORDER BY j.id"), parent.to_string())?;
    found.into_iter().map(Job::try_from).collect()
}

/// The job of a policy that waits or runs, the oldest of them.
pub async fn active_for_policy(
    conn: &mut Conn,
    policy: PolicyId,
    action: Action,
) -> Result<Option<Job>, Error> {
    let sql = select!(
        "WHERE j.policy = $1 AND j.action = $2 AND j.status IN ('waiting', 'running') ORDER BY j.id LIMIT 1"
    );
    row!(conn, Row, sql, policy.to_string(), action.as_str())?.map(Job::try_from).transpose()
}

/// When the next waiting job may start.
pub async fn next_due(conn: &mut Conn) -> Result<Option<Timestamp>, Error> {
    maybe_instant(value!(conn, Option<i64>, "SELECT MIN(scheduled_at) FROM jobs WHERE status = 'waiting'")?)
}

/// Appends lines to a job's log.
pub async fn log(tx: &mut Tx, job: JobId, lines: &[(Level, String)], now: Timestamp) -> Result<(), Error> {
    for (level, message) in lines {
        change!(
            tx.conn,
            "INSERT INTO job_logs (job, line, at, level, message)
             SELECT $1, COALESCE(MAX(line), 0) + 1, $2, $3, $4 FROM job_logs WHERE job = $1",
            job.to_string(),
            micros(now),
            as_word(level),
            message.as_str()
        )?;
    }
    tx.announce(Change::JobLog(job));
    Ok(())
}

#[derive(FromRow)]
struct LogRow {
    line: i64,
    at: i64,
    level: String,
    message: String,
}

/// Lines of a job's log behind one that is known.
pub async fn logs(conn: &mut Conn, job: JobId, after_line: i64, limit: i64) -> Result<Vec<LogLine>, Error> {
    let found = rows!(
        conn,
        LogRow,
        "SELECT line, at, level, message FROM job_logs WHERE job = $1 AND line > $2 ORDER BY line LIMIT $3",
        job.to_string(),
        after_line,
        limit
    )?;
    let turn = |row: LogRow| {
        Ok(LogLine {
            line: row.line,
            at: instant(row.at)?,
            level: word("log level", &row.level)?,
            message: row.message,
        })
    };
    found.into_iter().map(turn).collect()
}

/// Forgets jobs that ended before an instant, but keeps the newest `keep` whatever their age.
pub async fn prune(tx: &mut Tx, before: Timestamp, keep: i64) -> Result<u64, Error> {
    let kept = "SELECT id FROM jobs ORDER BY id DESC LIMIT 1 OFFSET $1";
    let Some((oldest_kept,)) = row!(tx.conn, (String,), kept, keep)? else { return Ok(0) };
    change!(
        tx.conn,
        "DELETE FROM job_logs WHERE job IN (SELECT id FROM jobs WHERE id <= $1 AND finished_at < $2)",
        oldest_kept.as_str(),
        micros(before)
    )?;
    let sql = "DELETE FROM jobs WHERE id <= $1 AND finished_at < $2";
    Ok(change!(tx.conn, sql, oldest_kept.as_str(), micros(before))?)
}
