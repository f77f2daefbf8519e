//! Remotes that are left alone for a while (semantics 39): one row for each, shared by all servers. While
//! `until` lies ahead, `jobs::lanes` passes over what waits for the remote; behind it, one job goes first.

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

/// A remote that has answered for so long has forgotten what was before.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

from_row! {
    /// The columns of [`columns!`]; all are `NULL` where a remote is not left alone.
    pub(crate) struct Columns {
        wait_reason: Option<String>,
        wait_asked: Option<bool>,
        wait_failures: Option<i64>,
        wait_since: Option<i64>,
        wait_until: Option<i64>,
    }
}

/// What [`Columns`] are read from, in a statement that joins `back_offs` as `b`.
macro_rules! columns {
    () => {
        "b.reason AS wait_reason, b.asked AS wait_asked, b.failures AS wait_failures, b.since AS wait_since,
         b.until AS wait_until"
    };
}
pub(crate) use columns;

impl Columns {
    /// Why and until when a remote is left alone; none when it may be asked as usual. An `until` that is over
    /// means that one job may try.
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

/// Why and until when a remote is left alone, as [`Columns::read`] says.
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

/// Leaves a remote alone. `delay` answers for how long, after so many failures in a row: this is the first if the
/// remote has `progressed` since the last. A wait that another server has begun is never shortened. None: the remote
/// was deleted.
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

/// A remote has answered after the wait until `waited`: what waits for it may go on. Another wait, which some
/// server has begun since, stays. How the remote fared is remembered for a while, so that one that soon fails
/// again is left alone for longer. No job that waited for it is scheduled for later than `waited`.
pub async fn answered(tx: &mut Tx, remote: RemoteId, waited: Timestamp, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE back_offs SET until = NULL, changed_at = $3 WHERE remote = $1 AND until = $2";
    if change!(tx.conn, sql, remote.to_string(), micros(waited), micros(now))? > 0 {
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Lets one job try at once, because a person wants to know. If the registry answers it, all others that waited for
/// the end of the wait go on, too.
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

/// Forgets how a remote fared: its settings are others now, or a person saw it answer. All that waits for it is due,
/// also what failed by itself and has a delay of its own. Behind [`crate::remotes::get_for_change`].
pub async fn forget(tx: &mut Tx, remote: RemoteId, now: Timestamp) -> Result<(), Error> {
    let forgotten = change!(tx.conn, "DELETE FROM back_offs WHERE remote = $1", remote.to_string())?;
    if forgotten + bring_forward(tx, remote, i64::MAX, now).await? > 0 {
        tx.announce(Change::JobsWaiting(None));
    }
    Ok(())
}

/// Makes the jobs due that wait for a remote until `latest` at most; what a pause holds stays. Grows with the jobs that
/// wait for the remote: the index `jobs_lanes` finds them by action and lane, on both databases. Locks jobs, and so
/// comes behind the lock of the row in `back_offs`, as in [`crate::jobs::claim_lane`].
async fn bring_forward(tx: &mut Tx, remote: RemoteId, latest: i64, now: Timestamp) -> Result<u64, Error> {
    // The lanes of a remote begin with its identifier and a slash; the next character is a zero.
    let sql = concat!(
        "UPDATE jobs SET scheduled_at = $3, updated_at = $3 WHERE action IN (",
        job_actions!(has_lanes),
        ") AND lane >= $1 AND lane < $2
           AND status = 'waiting' AND held_by IS NULL AND scheduled_at > $3 AND scheduled_at <= $4"
    );
    Ok(change!(tx.conn, sql, format!("{remote}/"), format!("{remote}0"), micros(now), latest)?)
}
