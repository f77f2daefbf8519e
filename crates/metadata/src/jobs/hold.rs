//! Jobs held by a pause (semantics 29): they wait and are not claimed. The column `held_by` names the narrowest of the
//! pauses that cover the job, so that each held job is in one queue. It is written when a job is enqueued and when
//! pauses begin or end; `pauses` decides when.

use super::{
    back::put_back,
    row::{Row, select},
    work::lock_endings,
};
use crate::{
    Change, Conn, Error, Tx,
    conn::{change, rows, value},
    convert::{id, micros},
    page::{self, COUNTED, Reading, counted, pages},
};
use longshore_model::{
    JobId, Message, Page, PageRequest, PauseScope, PolicyId, Queued, Timestamp, job_actions,
    pause::{Held, Resumed},
    stored::Job,
};
use metrics::counter;

/// The maximum number of jobs whose release is announced one by one; a list of more is read again when the pause
/// changes.
const TOLD: usize = 200;

/// The narrowest pause that covers a job with this repository and this remote.
macro_rules! narrowest {
    ($repository:literal, $remote:literal) => {
        concat!(
            "(SELECT p.scope FROM pauses p
              WHERE p.scope = 'system' OR p.scope = 'remote/' || ",
            $remote,
            "
                 OR p.scope = 'namespace/' || (SELECT r.namespace FROM repositories r WHERE r.id = ",
            $repository,
            ")
              ORDER BY p.scope LIMIT 1)"
        )
    };
}
pub(super) use narrowest;

/// Jobs of policies and mirrors that a pause with the scope `$2` covers. A job without a repository, such as the parent
/// of several polls, only waits for others.
macro_rules! covered {
    () => {
        concat!(
            "repository IS NOT NULL AND action IN (",
            job_actions!(is_pausable),
            ") AND ($2 = 'system' OR $2 = 'remote/' || remote
              OR $2 = 'namespace/' || (SELECT r.namespace FROM repositories r WHERE r.id = jobs.repository))"
        )
    };
}

/// Those jobs held by the pause `$1` that a newer job makes unnecessary: one for a change of the same tag, or for the
/// same place at another registry. The newest is the one of the newest revision: a retry is newer than the change that
/// it is for.
macro_rules! older {
    ($tag:literal, $revision:literal) => {
        concat!(
            "SELECT id FROM (
                SELECT id, ROW_NUMBER() OVER (PARTITION BY subject ORDER BY revision DESC, id DESC) AS place FROM (
                    SELECT id, COALESCE(serial_key, repository || ':' || CASE WHEN ", $revision,
            " IS NOT NULL THEN ", $tag, " END) AS subject, COALESCE(", $revision, ", 0) AS revision FROM jobs
                    WHERE status = 'waiting' AND held_by = $1) subjects
                WHERE subject IS NOT NULL) places
             WHERE place > 1"
        )
    };
    (of sqlite) => {
        older!(
            "json_extract(parameters, '$.tag')",
            "json_extract(parameters, '$.revision')"
        )
    };
    (of postgres) => {
        older!(
            "parameters::json ->> 'tag'",
            "(parameters::json ->> 'revision')::bigint"
        )
    };
}

/// Holds the jobs that a pause covers: waiting jobs are no longer claimed, and running jobs are released from their
/// workers, on whichever server. Returns the jobs that were running and now wait.
pub async fn hold(tx: &mut Tx, scope: &PauseScope, now: Timestamp) -> Result<Vec<JobId>, Error> {
    lock_endings(tx).await?;
    let text = scope.to_string();
    change!(
        tx.conn,
        concat!(
            "UPDATE jobs SET held_by = $2, updated_at = $1
             WHERE status = 'waiting' AND (held_by IS NULL OR held_by > $2) AND ",
            covered!()
        ),
        micros(now),
        text.as_str()
    )?;
    let ran = rows!(
        tx.conn,
        (String, String),
        concat!(
            put_back!(
                ", held_by = CASE WHEN cancel_requested THEN NULL ELSE $2 END WHERE status = 'running' AND "
            ),
            covered!(),
            " RETURNING id, status"
        ),
        micros(now),
        text.as_str()
    )?;
    let mut held = Vec::with_capacity(ran.len());
    for (job, status) in ran {
        let job = id(JobId, &job)?;
        tx.announce(Change::Job(job));
        match status.as_str() {
            "waiting" => held.push(job),
            // Its cancellation was requested.
            _ => super::settle_canceled(tx, job).await?,
        }
    }
    Ok(held)
}

/// Releases the jobs held by a pause: each continues, is held by another pause that covers it, or ends with the outcome
/// `dropped`. The pause itself must already be removed.
pub async fn release_held(
    tx: &mut Tx,
    scope: &PauseScope,
    queued: Queued,
    dropped: &Message,
    now: Timestamp,
) -> Result<Resumed, Error> {
    lock_endings(tx).await?;
    let text = scope.to_string();
    let ended = drop_held(tx, &text, queued, &dropped.stored(), now).await?;
    let rest = rows!(
        tx.conn,
        (String, bool),
        concat!(
            "UPDATE jobs SET updated_at = $2, held_by = ",
            narrowest!("jobs.repository", "jobs.remote"),
            " WHERE status = 'waiting' AND held_by = $1 RETURNING id, held_by IS NULL"
        ),
        text.as_str(),
        micros(now)
    )?;
    for job in ended.iter().chain(rest.iter().map(|(job, _)| job)).take(TOLD) {
        tx.announce(Change::Job(id(JobId, job)?));
    }
    let freed = rest.iter().filter(|(_, free)| *free).count();
    if freed > 0 {
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(Resumed { freed: freed as u64, dropped: ended.len() as u64, still_held: (rest.len() - freed) as u64 })
}

/// Ends those held jobs that should not run, and returns them. Verdicts that wait for their copies become failed.
async fn drop_held(
    tx: &mut Tx,
    scope: &str,
    queued: Queued,
    why: &str,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    /// Statements for the jobs that `$which` selects among those of a pause.
    macro_rules! dropping {
        ($($which:tt)*) => {
            [
                concat!(
                    "UPDATE verdicts SET result = 'failed', consequence = $2
                     WHERE result = 'running' AND job IN (", $($which)*, ")"
                ),
                concat!(
                    "UPDATE jobs SET status = 'canceled', outcome = $2, finished_at = $3, updated_at = $3, held_by = NULL
                     WHERE id IN (", $($which)*, ") RETURNING id, action"
                ),
            ]
        };
    }
    let [verdicts, jobs] = match (queued, tx.is_postgres()) {
        (Queued::Run, _) => return Ok(Vec::new()),
        (Queued::Drop, _) => dropping!("SELECT id FROM jobs WHERE status = 'waiting' AND held_by = $1"),
        (Queued::Newest, false) => dropping!(older!(of sqlite)),
        (Queued::Newest, true) => dropping!(older!(of postgres)),
    };
    change!(tx.conn, verdicts, scope, why)?;
    let ended = rows!(tx.conn, (String, String), jobs, scope, why, micros(now))?;
    let end = |(job, action): (String, String)| {
        // Counted before the commit, which fails too rarely to matter.
        counter!("longshore_jobs_ended_total", "action" => action, "status" => "canceled").increment(1);
        job
    };
    Ok(ended.into_iter().map(end).collect())
}

/// Updates the remote and lane of a mirror's waiting jobs, and of the next attempt of running ones, after the mirror's
/// remote has changed.
pub async fn reconsider(tx: &mut Tx, policy: PolicyId) -> Result<(), Error> {
    let id = policy.to_string();
    let sql = "UPDATE jobs SET remote = (SELECT p.remote FROM policies p WHERE p.id = $1),
                  lane = (SELECT p.remote || '/' || r.namespace FROM policies p
                          JOIN repositories r ON r.id = p.repository WHERE p.id = $1)
               WHERE policy = $1 AND remote IS NOT NULL AND status IN ('waiting', 'running')";
    if change!(tx.conn, sql, id.as_str())? > 0 {
        let sql = concat!(
            "UPDATE jobs SET held_by = ",
            narrowest!("jobs.repository", "jobs.remote"),
            " WHERE policy = $1 AND remote IS NOT NULL AND status = 'waiting'"
        );
        change!(tx.conn, sql, id.as_str())?;
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// The number of jobs that a pause holds.
pub async fn number_held(conn: &mut Conn, scope: &PauseScope) -> Result<u64, Error> {
    let sql = "SELECT COUNT(*) FROM jobs WHERE status = 'waiting' AND held_by = $1";
    Ok(value!(conn, i64, sql, scope.to_string())?.unsigned_abs())
}

/// The number of jobs that a pause holds, and how many of them no newer job makes unnecessary.
pub async fn count_held(conn: &mut Conn, scope: &PauseScope) -> Result<Held, Error> {
    let total = number_held(conn, scope).await?;
    let text = scope.to_string();
    let sql = match conn.is_postgres() {
        false => concat!("SELECT COUNT(*) FROM (", older!(of sqlite), ") older"),
        true => concat!("SELECT COUNT(*) FROM (", older!(of postgres), ") older"),
    };
    let older = value!(conn, i64, sql, text.as_str())?;
    Ok(Held { total, newest: total.saturating_sub(older.unsigned_abs()) })
}

/// The jobs that a pause holds, oldest first: the order in which they would run.
pub async fn held(conn: &mut Conn, scope: &PauseScope, page: &PageRequest) -> Result<Page<Job>, Error> {
    let reading = Reading::of(page, String::new())?;
    let scope = scope.to_string();
    let sql = "SELECT COUNT(*) FROM (
                   SELECT 1 FROM jobs WHERE status = 'waiting' AND held_by = $1 LIMIT $2) AS counted";
    let number = value!(conn, i64, sql, scope.as_str(), COUNTED)?;
    let sql = reading.choose(pages!({
        select!("WHERE jobs.status = 'waiting' AND jobs.held_by = $1")
    } up ["jobs.id"], key "$2", limit "$3"));
    let found = rows!(conn, Row, sql, scope.as_str(), reading.key.as_str(), reading.limit())?;
    Ok(page::read("job", reading.page(found, Row::name, counted(number)), Row::name))
}
