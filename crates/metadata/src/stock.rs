//! Counts of contents and of the queue, for monitoring. Each is one read of an index or a small table; callers ask at
//! most a few times a minute.

use crate::{
    Conn, Error,
    conn::{row, rows},
    convert::{instant, word},
};
use longshore_model::{
    Timestamp,
    job::{JobAction, Status},
};

/// The counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stock {
    pub repositories: u64,
    pub blobs: u64,
    /// Of these blobs.
    pub blob_bytes: u64,
    /// Unfinished uploads.
    pub uploads: u64,
    /// Waiting and running jobs; an action or status without any is left out.
    pub jobs: Vec<Jobs>,
    /// Paused scopes: the system, namespaces, remotes.
    pub pauses: u64,
    /// Remotes that are backed off, or have not answered since.
    pub waiting_remotes: u64,
    /// Jobs held by a pause; an action without any is left out.
    pub held: Vec<(JobAction, u64)>,
}

/// The waiting or the running jobs of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs {
    pub action: JobAction,
    /// Waiting or running.
    pub status: Status,
    pub count: u64,
    /// Since when the oldest waiting job has been due; `None` for running ones.
    pub due_since: Option<Timestamp>,
}

/// Counts everything.
pub async fn count(conn: &mut Conn) -> Result<Stock, Error> {
    let sql = "SELECT (SELECT COUNT(*) FROM repositories WHERE deleted_at IS NULL), COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT),
                      (SELECT COUNT(*) FROM uploads)
               FROM blobs";
    let counts = row!(conn, (i64, i64, i64, i64), sql)?;
    let (repositories, blobs, blob_bytes, uploads) = counts.unwrap_or_default();
    let waiting = "SELECT COUNT(*), MIN(scheduled_at) FROM jobs
                   WHERE action = $1 AND status = 'waiting' AND held_by IS NULL";
    let mut jobs = Vec::new();
    for &action in JobAction::ALL {
        let counted = row!(conn, (i64, Option<i64>), waiting, action.as_str())?;
        if let Some((count, Some(due))) = counted {
            let due_since = Some(instant(due)?);
            jobs.push(Jobs { action, status: Status::Waiting, count: count.unsigned_abs(), due_since });
        }
    }
    let running = "SELECT action, COUNT(*) FROM jobs WHERE status = 'running' GROUP BY action";
    for (action, count) in rows!(conn, (String, i64), running)? {
        let count = count.unsigned_abs();
        jobs.push(Jobs { action: word("action", &action)?, status: Status::Running, count, due_since: None });
    }
    let sql = "SELECT action, COUNT(*) FROM jobs WHERE status = 'waiting' AND held_by IN (SELECT scope FROM pauses) GROUP BY action";
    let mut held = Vec::new();
    for (action, count) in rows!(conn, (String, i64), sql)? {
        held.push((word("action", &action)?, count.unsigned_abs()));
    }
    let pauses =
        row!(conn, (i64,), "SELECT COUNT(*) FROM pauses")?.map_or(0, |(count,)| count.unsigned_abs());
    let alone = "SELECT COUNT(*) FROM back_offs WHERE until IS NOT NULL";
    let waiting_remotes = row!(conn, (i64,), alone)?.map_or(0, |(count,)| count.unsigned_abs());
    Ok(Stock {
        waiting_remotes,
        repositories: repositories.unsigned_abs(),
        blobs: blobs.unsigned_abs(),
        blob_bytes: blob_bytes.unsigned_abs(),
        uploads: uploads.unsigned_abs(),
        jobs,
        pauses,
        held,
    })
}
