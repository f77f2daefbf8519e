//! Claims jobs for workers under a lease, oldest first.
//!
//! Jobs that need a remote are in a lane: the jobs for one remote on behalf of one namespace. The caller decides which
//! lane is next, so that no remote and no namespace takes more than its share (semantics 39). All other jobs are in one
//! queue per action.

use super::{
    row::{Row, columns},
    work::try_share_endings,
};
use crate::{
    Change, Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{id, maybe_id, maybe_instant, micros, parse, readable},
};
use jiff::SignedDuration;
use longshore_model::{
    BootId, JobId, Message, RemoteId, Timestamp,
    job::{JobAction, Status},
    message::JobMessage,
    stored::Job,
};
use longshore_oci::Namespace;
use metrics::counter;

/// A job that a worker has claimed.
#[derive(Debug, Clone)]
pub struct Claim {
    pub job: Job,
    /// The number of this claim, which fences the worker's writes.
    pub epoch: i64,
    /// The remote that the job needs.
    pub remote: Option<RemoteId>,
    /// Since when it has failed for temporary reasons; `None` if it has not.
    pub failing_since: Option<Timestamp>,
}

impl TryFrom<Row> for Claim {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let (epoch, failing_since) = (row.epoch, maybe_instant(row.failing_since)?);
        let remote = maybe_id(RemoteId, row.remote.as_deref())?;
        Ok(Self { job: row.try_into()?, epoch, remote, failing_since })
    }
}

/// The queue of jobs for one remote on behalf of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    pub remote: RemoteId,
    pub namespace: Namespace,
}

impl Lane {
    fn key(&self) -> String {
        format!("{}/{}", self.remote, self.namespace)
    }

    fn read(key: &str) -> Result<Self, Error> {
        let (remote, namespace) = key.split_once('/').unwrap_or((key, ""));
        Ok(Self { remote: id(RemoteId, remote)?, namespace: parse("namespace", namespace)? })
    }
}

/// A lane in which a job is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLane {
    pub lane: Lane,
    /// The end of the back-off from the remote, if it has not answered since: one job must probe it first.
    pub probes_since: Option<Timestamp>,
}

/// Claims waiting jobs outside of lanes that are due, oldest first, at most `limit`. Of the jobs with one serial key
/// only one runs at a time, in the order in which they were enqueued. A job that cannot be read is ended as errored.
pub async fn claim(
    tx: &mut Tx,
    actions: &[JobAction],
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
            claim_from(tx, *action, None, boot, worker, now, lease, left, &mut claimed).await?;
        }
    }
    Ok(claimed)
}

/// Claims the oldest due job of a lane that may run. If the remote has not answered since a back-off, only one job runs
/// at a time.
pub async fn claim_lane(
    tx: &mut Tx,
    action: JobAction,
    due: &DueLane,
    boot: BootId,
    worker: &str,
    now: Timestamp,
    lease: SignedDuration,
) -> Result<Option<Claim>, Error> {
    if due.probes_since.is_some() && !may_probe(tx, due.lane.remote).await? {
        return Ok(None);
    }
    let mut claimed = Vec::new();
    claim_from(tx, action, Some(&due.lane), boot, worker, now, lease, 1, &mut claimed).await?;
    Ok(claimed.pop())
}

/// Whether no running job needs a remote. Of several servers that ask at once, only one gets a yes.
async fn may_probe(tx: &mut Tx, remote: RemoteId) -> Result<bool, Error> {
    let remote = remote.to_string();
    if tx.is_postgres() {
        let sql = "SELECT failures FROM back_offs WHERE remote = $1 FOR UPDATE";
        row!(tx.conn, (i64,), sql, remote.as_str())?;
    }
    let sql = "SELECT COUNT(*) FROM jobs WHERE remote = $1 AND status = 'running'";
    Ok(value!(tx.conn, i64, sql, remote.as_str())? == 0)
}

/// The lanes in which a job of an action is due, except those of remotes that are backed off. The cost grows with the
/// number of lanes with waiting jobs, not with the number of jobs.
pub async fn lanes(conn: &mut Conn, action: JobAction, now: Timestamp) -> Result<Vec<DueLane>, Error> {
    macro_rules! next {
        ($and:literal) => {
            concat!(
                "SELECT MIN(j.lane) FROM jobs j
                 WHERE j.action = $1 AND j.status = 'waiting' AND j.held_by IS NULL AND j.lane IS NOT NULL",
                $and
            )
        };
    }
    // An index leads from each lane to the next.
    let found = rows!(
        conn,
        (String, Option<i64>),
        concat!(
            "WITH RECURSIVE lanes (lane) AS (",
            next!(""),
            " UNION ALL SELECT (",
            next!(" AND j.lane > l.lane"),
            ") FROM lanes l WHERE l.lane IS NOT NULL)
            SELECT l.lane, b.until FROM lanes l
            LEFT JOIN back_offs b ON b.remote = SUBSTR(l.lane, 1, 36)
            WHERE l.lane IS NOT NULL AND (b.until IS NULL OR b.until <= $2)
              AND (SELECT MIN(j.scheduled_at) FROM jobs j WHERE j.action = $1 AND j.status = 'waiting'
                   AND j.held_by IS NULL AND j.lane = l.lane) <= $2"
        ),
        action.as_str(),
        micros(now)
    )?;
    let turn = |(key, until): (String, Option<i64>)| {
        Ok(DueLane { lane: Lane::read(&key)?, probes_since: maybe_instant(until)? })
    };
    Ok(readable("lane", found, |(key, _)| key.clone(), turn))
}

async fn claim_from(
    tx: &mut Tx,
    action: JobAction,
    lane: Option<&Lane>,
    boot: BootId,
    worker: &str,
    now: Timestamp,
    lease: SignedDuration,
    limit: i64,
    claimed: &mut Vec<Claim>,
) -> Result<(), Error> {
    macro_rules! taking {
        ($lane:literal, $only:literal, $locked:literal, $lease:literal) => {
            concat!(
                "WITH due AS MATERIALIZED (
                    SELECT j.id FROM jobs j WHERE j.action = $1 AND j.status = 'waiting' AND j.held_by IS NULL
                    AND j.scheduled_at <= $2 AND ",
                $lane,
                " AND (j.serial_key IS NULL OR (
                        NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key AND o.status = 'running')
                        AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.serial_key = j.serial_key
                                        AND o.status = 'waiting' AND o.held_by IS NULL AND o.scheduled_at <= $2
                                        AND o.id < j.id)",
                $only,
                ")) ORDER BY j.scheduled_at, j.id LIMIT $3",
                $locked,
                ") UPDATE jobs SET status = 'running', attempt = attempt + 1, epoch = epoch + 1, boot = $4,
                    worker = $5, lease_until = ",
                $lease,
                ", started_at = COALESCE(started_at, $2), updated_at = $2, error = NULL
                 WHERE id IN (SELECT id FROM due) RETURNING ",
                columns!(taken)
            )
        };
    }
    /// The difference: several servers on one PostgreSQL skip rows that another one is claiming.
    macro_rules! from {
        ($lane:literal) => {
            match tx.is_postgres() {
                false => taking!($lane, "", "", "$6"),
                true => taking!(
                    $lane,
                    " AND pg_try_advisory_xact_lock(hashtextextended(j.serial_key, 1))",
                    " FOR UPDATE OF j SKIP LOCKED",
                    // Each server has its own clock; the database has only one.
                    "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint + ($6 - $2)"
                ),
            }
        };
    }
    let key = lane.map(Lane::key);
    let sql = match &key {
        Some(_) => from!("j.lane = $7"),
        // The parameter is used so that both statements have the same ones.
        // An evaluation may take several transactions. Until it ends, later changes of its repository wait, so that
        // revisions are evaluated in order (semantics 36), whichever server does it.
        None if action.is_evaluation() => from!(
            "j.lane IS NULL AND $7 IS NULL AND (j.policy IS NOT NULL OR NOT EXISTS (
                 SELECT 1 FROM jobs o WHERE o.status = 'running' AND o.action = $1 AND o.policy IS NULL
                 AND o.repository = j.repository))"
        ),
        None => from!("j.lane IS NULL AND $7 IS NULL"),
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
        micros(now + lease),
        key.as_deref()
    )?;
    let mut readable: Vec<Claim> = Vec::new();
    for row in taken {
        let job = row.id.clone();
        match Claim::try_from(row) {
            Ok(claim) => readable.push(claim),
            Err(error) if try_share_endings(tx).await? => {
                end_unreadable(tx, &job, action, &error, now).await?
            }
            Err(_) => give_back(tx, &job, action, now).await?,
        }
    }
    // `UPDATE … RETURNING` returns rows in any order.
    readable.sort_by_key(|claim| (claim.job.scheduled_at, claim.job.id));
    for claim in &readable {
        tx.announce(Change::Job(claim.job.id));
    }
    claimed.append(&mut readable);
    Ok(())
}

/// Puts back a job that cannot be read while another transaction holds the lock of endings: a second later it is
/// claimed again, and ended.
async fn give_back(tx: &mut Tx, job: &str, action: JobAction, now: Timestamp) -> Result<(), Error> {
    let sql =
        "UPDATE jobs SET status = 'waiting', updated_at = $2, scheduled_at = $3, boot = NULL, lease_until = NULL
         WHERE id = $1";
    // Without the delay, it would be claimed and put back in a busy loop until the lock is free.
    change!(tx.conn, sql, job, micros(now), micros(now + SignedDuration::from_secs(1)))?;
    tx.announce(Change::JobsWaiting(Some(action)));
    Ok(())
}

/// Ends a job whose row cannot be read, so that it does not block those behind it. The caller has taken the shared lock
/// of endings already: while it holds the job's row, it must not wait for a transaction that holds the lock and needs
/// the row.
async fn end_unreadable(
    tx: &mut Tx,
    job: &str,
    action: JobAction,
    error: &Error,
    now: Timestamp,
) -> Result<(), Error> {
    tracing::error!(job, %error, "a stored job cannot be read and is ended");
    let why = Message::from(JobMessage::Unreadable { error: error.to_string() });
    let sql = "UPDATE jobs SET status = $2, error = $3, finished_at = $4, updated_at = $4, boot = NULL,
                  lease_until = NULL
               WHERE id = $1";
    change!(tx.conn, sql, job, Status::Errored.as_str(), why.stored(), micros(now))?;
    super::settle_failed(tx, job, &why).await?;
    counter!("longshore_jobs_ended_total", "action" => action.as_str(), "status" => Status::Errored.as_str())
        .increment(1);
    if let Ok(job) = id(JobId, job) {
        tx.announce(Change::Job(job));
    }
    // Jobs that waited behind it may start.
    tx.announce(Change::JobsWaiting(Some(action)));
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::work;
    use crate::{Database, Priority, Vault, conn::change, jobs};
    use jiff::SignedDuration;
    use longshore_model::{
        Author, BootId, JobId, Timestamp,
        job::{Cause, JobAction, Status, orders},
    };

    fn order() -> jobs::NewJob {
        orders::scrub(Cause::Asked { author: Author::System }, Timestamp::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn an_unreadable_job_ends_as_errored_and_does_not_block_others() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("longshore.db").display());
        let db = Database::open(&url, Vault::from_key([7; 32])).await.unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let (unreadable, behind): (JobId, JobId) = db
            .write(
                Priority::Normal,
                work!(|tx| {
                    let unreadable = jobs::enqueue(tx, order(), now).await?;
                    let sql = "UPDATE jobs SET parameters = '{\"later_versions\":\"work\"}'";
                    change!(tx.conn, sql)?;
                    Ok::<_, crate::Error>((unreadable, jobs::enqueue(tx, order(), now).await?))
                }),
            )
            .await
            .unwrap();
        let claim = async || {
            db.write(
                Priority::Normal,
                work!(|tx| {
                    let lease = SignedDuration::from_secs(60);
                    jobs::claim(tx, &[JobAction::Scrub], BootId::new(), "here", now, lease, 1).await
                }),
            )
            .await
            .unwrap()
        };
        assert!(claim().await.is_empty());
        let claimed: Vec<JobId> = claim().await.into_iter().map(|claim| claim.job.id).collect();
        assert_eq!(claimed, [behind]);
        let mut conn = db.read().await.unwrap();
        let sql = "SELECT status, error FROM jobs WHERE id = $1";
        let ended = crate::conn::row!(conn, (String, String), sql, unreadable.to_string()).unwrap().unwrap();
        assert_eq!(ended.0, Status::Errored.as_str());
        assert!(ended.1.contains("parameters"), "{}", ended.1);
    }
}
