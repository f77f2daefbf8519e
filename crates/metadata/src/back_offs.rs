//! Back-off from remotes (semantics 39): one row for each remote, shared by all servers. Until `until`, `jobs::lanes`
//! skips the jobs that wait for the remote; after it, one job probes the remote first.

use crate::{
    Change, Conn, Error, Tx,
    conn::{change, from_row, row},
    convert::{as_word, instant, micros, word},
};
use jiff::SignedDuration;
use longshore_model::{
    RemoteId, Timestamp, job_actions,
    remote::{BackOff, WaitReason},
};

/// After a remote has worked for this long, its earlier failures no longer count.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

from_row! {
    /// The columns of [`columns!`]; all are `NULL` without a back-off.
    pub(crate) struct Columns {
        wait_reason: Option<String>,
        wait_asked: Option<bool>,
        wait_failures: Option<i64>,
        wait_since: Option<i64>,
        wait_until: Option<i64>,
    }
}

/// The columns of [`Columns`], for a statement that joins `back_offs` as `b`.
macro_rules! columns {
    () => {
        "b.reason AS wait_reason, b.asked AS wait_asked, b.failures AS wait_failures, b.since AS wait_since,
         b.until AS wait_until"
    };
}
pub(crate) use columns;

impl Columns {
    /// The back-off from a remote; `None` if there is none. If `until` is over, one job may probe the remote.
    pub(crate) fn read(&self) -> Result<Option<BackOff>, Error> {
        let (Some(reason), Some(asked), Some(failures), Some(since), Some(until)) =
            (&self.wait_reason, self.wait_asked, self.wait_failures, self.wait_since, self.wait_until)
        else {
            return Ok(None);
        };
        Ok(Some(BackOff {
            reason: word("reason of a wait", reason)?,
            asked,
            failures: u32::try_from(failures).unwrap_or(u32::MAX),
            since: instant(since)?,
            until: instant(until)?,
        }))
    }
}

/// The back-off from a remote, as in [`Columns::read`].
pub async fn get(conn: &mut Conn, remote: RemoteId) -> Result<Option<BackOff>, Error> {
    let sql = concat!("SELECT ", columns!(), " FROM back_offs b WHERE b.remote = $1");
    row!(conn, Columns, sql, remote.to_string())?.map_or(Ok(None), |row| row.read())
}

from_row! {
    struct Before {
        failures: i64,
        since: i64,
        until: Option<i64>,
        changed_at: i64,
    }
}

/// Backs off from a remote. `delay` returns for how long, given the number of failures in a row; the count starts again
/// if the remote has `progressed` since the last failure. A longer back-off begun by another server is never shortened.
/// Returns `None` if the remote was deleted.
pub async fn close(
    tx: &mut Tx,
    remote: RemoteId,
    reason: WaitReason,
    asked: bool,
    progressed: bool,
    delay: impl FnOnce(u32) -> SignedDuration,
    now: Timestamp,
) -> Result<Option<BackOff>, Error> {
    let sql = "SELECT failures, since, until, changed_at FROM back_offs WHERE remote = $1";
    let before = row!(tx.conn, Before, sql, remote.to_string())?;
    let (failures, since) = match &before {
        Some(row)
            if !progressed
                && (row.until.is_some()
                    || now.duration_since(instant(row.changed_at)?) < FORGOTTEN_AFTER) =>
        {
            (row.failures.saturating_add(1), instant(row.since)?)
        }
        _ => (1, now),
    };
    let until = now + delay(u32::try_from(failures).unwrap_or(u32::MAX));
    let written = change!(
        tx.conn,
        "INSERT INTO back_offs (remote, reason, asked, failures, since, until, changed_at)
         SELECT r.id, $2, $3, $4, $5, $6, $7 FROM remotes r WHERE r.id = $1
         ON CONFLICT (remote) DO UPDATE SET
            reason = excluded.reason, asked = excluded.asked, failures = excluded.failures,
            since = excluded.since, changed_at = excluded.changed_at,
            until = CASE WHEN back_offs.until > excluded.until THEN back_offs.until ELSE excluded.until END",
        remote.to_string(),
        as_word(&reason),
        asked,
        failures,
        micros(since),
        micros(until),
        micros(now)
    )?;
    if written == 0 {
        return Ok(None);
    }
    tx.announce(Change::JobsWaiting(None));
    get(tx, remote).await
}

/// Ends the back-off until `waited` because the remote has answered; the jobs that wait for it may continue. A newer
/// back-off begun by another server stays. Failures are remembered for a while, so that a remote that soon fails again
/// is backed off for longer. No job that waited for this is scheduled later than `waited`.
pub async fn answered(tx: &mut Tx, remote: RemoteId, waited: Timestamp, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE back_offs SET until = NULL, changed_at = $3 WHERE remote = $1 AND until = $2";
    if change!(tx.conn, sql, remote.to_string(), micros(waited), micros(now))? > 0 {
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Lets one job probe the remote at once, because a person requested it. If the registry answers, all other jobs that
/// waited for the end of the back-off continue as well.
pub async fn probe(tx: &mut Tx, remote: RemoteId, now: Timestamp) -> Result<(), Error> {
    let sql = "SELECT until FROM back_offs WHERE remote = $1 AND until > $2";
    let Some((until,)) = row!(tx.conn, (i64,), sql, remote.to_string(), micros(now))? else { return Ok(()) };
    let sql = "UPDATE back_offs SET until = $2 WHERE remote = $1 AND until > $2";
    if change!(tx.conn, sql, remote.to_string(), micros(now))? > 0 {
        bring_forward(tx, remote, until, now).await?;
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Deletes the record of failures, because the remote's settings changed or a person saw it answer. All jobs that wait
/// for it become due, including those with a retry delay of their own. To be called after
/// [`crate::remotes::get_for_change`].
pub async fn forget(tx: &mut Tx, remote: RemoteId, now: Timestamp) -> Result<(), Error> {
    let forgotten = change!(tx.conn, "DELETE FROM back_offs WHERE remote = $1", remote.to_string())?;
    if forgotten + bring_forward(tx, remote, i64::MAX, now).await? > 0 {
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Makes the jobs due that wait for a remote until `latest` at most, except held ones. The cost grows with the jobs
/// that wait for the remote: the index `jobs_lanes` finds them by action and lane, on both databases. It locks jobs, so
/// it comes after the lock of the row in `back_offs`, as in [`crate::jobs::claim_lane`].
async fn bring_forward(tx: &mut Tx, remote: RemoteId, latest: i64, now: Timestamp) -> Result<u64, Error> {
    // The lanes of a remote begin with its ID and a slash; the character after the slash is `0`.
    let sql = concat!(
        "UPDATE jobs SET scheduled_at = $3, updated_at = $3 WHERE action IN (",
        job_actions!(has_lanes),
        ") AND lane >= $1 AND lane < $2
           AND status = 'waiting' AND held_by IS NULL AND scheduled_at > $3 AND scheduled_at <= $4"
    );
    Ok(change!(tx.conn, sql, format!("{remote}/"), format!("{remote}0"), micros(now), latest)?)
}
