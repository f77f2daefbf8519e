//! Numbers of the whole server.

use crate::{Conn, Error, conn::value, repositories};

/// The numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub repositories: u64,
    /// Without digest tags.
    pub tags: u64,
    /// Bytes of all blobs, each counted once.
    pub blobs_bytes: u64,
    pub jobs_waiting: u64,
    pub jobs_running: u64,
}

/// Counts everything.
pub async fn all(conn: &mut Conn) -> Result<Totals, Error> {
    let (repositories, tags) = repositories::counts(conn).await?;
    let bytes = value!(conn, i64, "SELECT bytes FROM store_total")?;
    let waiting = value!(conn, i64, "SELECT COUNT(*) FROM jobs WHERE status = 'waiting'")?;
    let running = value!(conn, i64, "SELECT COUNT(*) FROM jobs WHERE status = 'running'")?;
    Ok(Totals {
        repositories,
        tags,
        blobs_bytes: bytes.max(0).unsigned_abs(),
        jobs_waiting: waiting.unsigned_abs(),
        jobs_running: running.unsigned_abs(),
    })
}
