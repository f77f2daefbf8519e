//! Jobs that wait for other jobs, which are their parts. A job may be a part of several.

use super::{
    NewJob,
    hold::narrowest,
    row::{Row, select},
    work::lock_endings,
};
use crate::{
    Change, Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{id, json, micros, readable},
};
use longshore_model::{
    Author, JobId, PolicyId, Timestamp,
    job::{Cause, JobAction, Parameters},
    stored::Job,
};
use serde::Serialize;

/// The number of polls that one statement joins to a parent job.
const AT_ONCE: usize = 500;

pub(super) async fn join(tx: &mut Tx, part: JobId, whole: JobId) -> Result<(), Error> {
    let sql = "INSERT INTO job_parts (whole, part) VALUES ($1, $2) ON CONFLICT (whole, part) DO NOTHING";
    change!(tx.conn, sql, whole.to_string(), part.to_string())?;
    Ok(())
}

/// Whether another unfinished job than `whole` waits for this part.
pub async fn is_awaited_by_others(conn: &mut Conn, part: JobId, whole: JobId) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM job_parts p JOIN jobs j ON j.id = p.whole
               WHERE p.part = $1 AND p.whole <> $2 AND j.finished_at IS NULL";
    Ok(value!(conn, i64, sql, part.to_string(), whole.to_string())? > 0)
}

/// The first unfinished part of a job, starting at `from`. A caller that continues from the returned part passes over
/// each part only once, because a part that has ended stays so.
pub async fn open_part(conn: &mut Conn, whole: JobId, from: Option<JobId>) -> Result<Option<JobId>, Error> {
    let sql = "SELECT p.part FROM job_parts p JOIN jobs j ON j.id = p.part
               WHERE p.whole = $1 AND p.part >= $2 AND j.finished_at IS NULL ORDER BY p.part LIMIT 1";
    let from = from.map(|from| from.to_string()).unwrap_or_default();
    row!(conn, (String,), sql, whole.to_string(), from)?.map(|(part,)| id(JobId, &part)).transpose()
}

/// Makes the oldest unfinished poll of each of these mirrors a part of a job; returns the mirrors that have one. Two
/// statements for each 500 mirrors.
pub async fn adopt_polls(
    tx: &mut Tx,
    whole: JobId,
    mirrors: &[PolicyId],
    now: Timestamp,
) -> Result<Vec<PolicyId>, Error> {
    // Locks many rows, in any order.
    lock_endings(tx).await?;
    macro_rules! adopting {
        ($mirrors:literal) => {
            concat!(
                "UPDATE jobs SET parent = COALESCE(parent, $1), updated_at = $2
                 WHERE id IN (SELECT MIN(j.id) FROM jobs j WHERE j.action = $4 AND j.finished_at IS NULL
                              AND j.policy IN (",
                $mirrors,
                ") GROUP BY j.policy) RETURNING id, policy"
            )
        };
    }
    let sql = match tx.is_postgres() {
        false => adopting!("SELECT value FROM json_each($3)"),
        true => adopting!("SELECT json_array_elements_text($3::json)"),
    };
    let mut polled = Vec::new();
    for some in mirrors.chunks(AT_ONCE) {
        let adopted = rows!(
            tx.conn,
            (String, String),
            sql,
            whole.to_string(),
            micros(now),
            json(&some),
            JobAction::PollMirror.as_str()
        )?;
        let parts: Vec<&str> = adopted.iter().map(|(part, _)| part.as_str()).collect();
        join_all(tx, whole, &parts).await?;
        for (_, policy) in &adopted {
            polled.push(id(PolicyId, policy)?);
        }
    }
    Ok(polled)
}

/// Enqueues polls as parts of a job. Two statements for each 500 polls.
pub async fn enqueue_polls(tx: &mut Tx, whole: JobId, polls: &[NewJob], now: Timestamp) -> Result<(), Error> {
    macro_rules! enqueuing {
        ($orders:literal) => {
            concat!(
                "INSERT INTO jobs (id, action, status, cause, parameters, policy, repository, parent, serial_key, attempt,
                    retries_left, tags_done, tags_total, bytes_done, bytes_total, created_at, scheduled_at, updated_at,
                    epoch, cancel_requested, remote, lane, held_by)
                 SELECT n.id, $4, 'waiting', n.cause, n.parameters, n.policy, n.repository, $2, n.serial_key,
                    0, n.retries, 0, 0, 0, 0, $3, n.scheduled_at, $3, 0, FALSE, m.remote, m.remote || '/' || h.namespace, ",
                narrowest!("n.repository", "m.remote"),
                " FROM (", $orders, ") n
                 LEFT JOIN policies m ON m.id = n.policy LEFT JOIN repositories h ON h.id = n.repository"
            )
        };
    }
    let sql = match tx.is_postgres() {
        false => enqueuing!(
            "SELECT json_extract(e.value, '$[0]') AS id, json_extract(e.value, '$[1]') AS cause,
                    json_extract(e.value, '$[2]') AS parameters, json_extract(e.value, '$[3]') AS policy,
                    json_extract(e.value, '$[4]') AS repository, json_extract(e.value, '$[5]') AS serial_key,
                    json_extract(e.value, '$[6]') AS retries, json_extract(e.value, '$[7]') AS scheduled_at
             FROM json_each($1) e"
        ),
        true => enqueuing!(
            "SELECT e.value ->> 0 AS id, e.value ->> 1 AS cause, e.value ->> 2 AS parameters, e.value ->> 3 AS policy,
                    e.value ->> 4 AS repository, e.value ->> 5 AS serial_key, (e.value ->> 6)::bigint AS retries,
                    (e.value ->> 7)::bigint AS scheduled_at
             FROM json_array_elements($1::json) e"
        ),
    };
    for some in polls.chunks(AT_ONCE) {
        let parts: Vec<JobId> = some.iter().map(|_| JobId::new()).collect();
        let columns = |(part, new): (&JobId, &NewJob)| {
            let (cause, parameters) = (json(&new.cause), json(&new.parameters));
            let key = new.serial_key.clone();
            (*part, cause, parameters, new.policy, new.repository, key, new.retries, micros(new.scheduled_at))
        };
        let orders: Vec<_> = parts.iter().zip(some).map(columns).collect();
        change!(tx.conn, sql, json(&orders), whole.to_string(), micros(now), JobAction::PollMirror.as_str())?;
        join_all(tx, whole, &parts).await?;
        for part in parts {
            tx.announce(Change::Job(part));
        }
    }
    if !polls.is_empty() {
        tx.announce(Change::JobsWaiting(Some(JobAction::PollMirror)));
    }
    Ok(())
}

async fn join_all(tx: &mut Tx, whole: JobId, parts: &[impl Serialize]) -> Result<(), Error> {
    let sql = match tx.is_postgres() {
        false => {
            "INSERT INTO job_parts (whole, part) SELECT $1, value FROM json_each($2) WHERE true
             ON CONFLICT (whole, part) DO NOTHING"
        }
        true => {
            "INSERT INTO job_parts (whole, part) SELECT $1, json_array_elements_text($2::json)
             ON CONFLICT (whole, part) DO NOTHING"
        }
    };
    change!(tx.conn, sql, whole.to_string(), json(&parts))?;
    Ok(())
}

/// The number of unfinished polls of all mirrors that a person started. The cost grows with the number of unfinished
/// polls.
pub async fn open_wholes(conn: &mut Conn, author: &Author) -> Result<u64, Error> {
    let sql = "SELECT COUNT(*) FROM jobs WHERE action = $3 AND status IN ('waiting', 'running')
               AND repository IS NULL AND cause = $1 AND parameters = $2";
    let (cause, whole) = (Cause::Asked { author: author.clone() }, Parameters::PollAll);
    Ok(value!(conn, i64, sql, json(&cause), json(&whole), whole.action().as_str())?.unsigned_abs())
}

/// The number of parts of a job, and of those that succeeded, including unreadable ones.
pub async fn parts_done(conn: &mut Conn, whole: JobId) -> Result<(u64, u64), Error> {
    let sql = "SELECT COUNT(*), COUNT(CASE WHEN j.status = 'done' THEN 1 END)
               FROM job_parts p JOIN jobs j ON j.id = p.part WHERE p.whole = $1";
    let (all, done) = row!(conn, (i64, i64), sql, whole.to_string())?.unwrap_or_default();
    Ok((all.unsigned_abs(), done.unsigned_abs()))
}

/// The parts of a job, oldest first, without unreadable ones.
pub async fn children(conn: &mut Conn, parent: JobId) -> Result<Vec<Job>, Error> {
    let sql =
        select!("WHERE jobs.id IN (SELECT p.part FROM job_parts p WHERE p.whole = $1) ORDER BY jobs.id");
    let found = rows!(conn, Row, sql, parent.to_string())?;
    Ok(readable("job", found, Row::name, Job::try_from))
}
