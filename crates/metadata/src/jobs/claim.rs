//! Handing jobs out under a lease, oldest first.
//!
//! What speaks to a remote stands in a lane: the jobs for one remote on behalf of one namespace. Which lane is
//! next, whoever asks decides; so no remote and no namespace takes more than its share (semantics 39). All other
//! jobs stand in one line per action.

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

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub job: Job,
    /// The number of this claim, which fences what the worker writes.
    pub epoch: i64,
    /// The remote that the job speaks to.
    pub remote: Option<RemoteId>,
    /// Since when it fails for reasons that may pass; none: it did not, or not yet.
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

/// Where jobs wait for one remote on behalf of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The remote.
    pub remote: RemoteId,
    /// The namespace.
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
    /// Which.
    pub lane: Lane,
    /// Since when its remote may be asked again, where it has not answered since it was left alone: one job goes
    /// first.
    pub probes_since: Option<Timestamp>,
}

/// Hands out jobs outside of lanes that wait and are due, oldest first, at most `limit`. Of several with one
/// serial key only one runs at a time, in the order in which they were put into the queue. One that cannot be read
/// ends as errored.
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

/// Hands out a job of a lane that waits and is due, the oldest that may run. Of a remote that did not answer,
/// one job at a time.
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

/// Whether no job runs that speaks to a remote. Of several servers that ask at once, one is told so.
async fn may_probe(tx: &mut Tx, remote: RemoteId) -> Result<bool, Error> {
    let remote = remote.to_string();
    if tx.is_postgres() {
        let sql = "SELECT failures FROM back_offs WHERE remote = $1 FOR UPDATE";
        row!(tx.conn, (i64,), sql, remote.as_str())?;
    }
    let sql = "SELECT COUNT(*) FROM jobs WHERE remote = $1 AND status = 'running'";
    Ok(value!(tx.conn, i64, sql, remote.as_str())? == 0)
}

/// The lanes in which a job of an action is due, except those of remotes that are left alone. Grows with the
/// number of lanes in which jobs wait, not with that of the jobs.
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
    // From each lane an index leads to the next.
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
    /// What differs: several servers on one PostgreSQL pass over rows that another is just taking.
    macro_rules! from {
        ($lane:literal) => {
            match tx.is_postgres() {
                false => taking!($lane, "", "", "$6"),
                true => taking!(
                    $lane,
                    " AND pg_try_advisory_xact_lock(hashtextextended(j.serial_key, 1))",
                    " FOR UPDATE OF j SKIP LOCKED",
                    // Several servers have several clocks, and the database has one.
                    "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint + ($6 - $2)"
                ),
            }
        };
    }
    let key = lane.map(Lane::key);
    let sql = match &key {
        Some(_) => from!("j.lane = $7"),
        // The parameter is named so that both statements have the same ones.
        // An evaluation may take several transactions. Until it has ended, later changes of its repository wait: each
        // revision is evaluated in its turn (semantics 36), whichever server does it.
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
    // An update answers in any order.
    readable.sort_by_key(|claim| (claim.job.scheduled_at, claim.job.id));
    for claim in &readable {
        tx.announce(Change::Job(claim.job.id));
    }
    claimed.append(&mut readable);
    Ok(())
}

/// Puts a job back that cannot be read, while somebody steers work: it is taken again, and ended, a second later.
async fn give_back(tx: &mut Tx, job: &str, action: JobAction, now: Timestamp) -> Result<(), Error> {
    let sql =
        "UPDATE jobs SET status = 'waiting', updated_at = $2, scheduled_at = $3, boot = NULL, lease_until = NULL
         WHERE id = $1";
    // At once, it would be taken and put back over and over until nobody steers.
    change!(tx.conn, sql, job, micros(now), micros(now + SignedDuration::from_secs(1)))?;
    tx.announce(Change::JobsWaiting(Some(action)));
    Ok(())
}

/// Ends a job whose row cannot be read, so that it does not keep those behind it from being handed out. The ends of
/// jobs are shared by then: with the row in its hands, this must not wait for who steers work and wants the row.
async fn end_unreadable(
    tx: &mut Tx,
    job: &str,
    action: JobAction,
    error: &Error,
    now: Timestamp,
) -> Result<(), Error> {
    tracing::error!(job, %error, "a job cannot be read as it is stored, and is ended");
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
    // What stood behind it may start.
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
    async fn a_job_that_cannot_be_read_ends_as_errored_and_keeps_no_other_from_being_handed_out() {
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
