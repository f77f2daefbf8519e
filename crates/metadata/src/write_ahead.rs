//! SQLite's write-ahead log, which has committed changes before they are moved into the database.
//!
//! SQLite moves them by itself every [`LOG_PAGES`](crate::opening::LOG_PAGES), and restarts the log when all of it was
//! moved and nobody reads from it. With a constant stream of readers that never happens: the log would grow without
//! limit and slow down all reads, which search the log first. So the writer empties it: above [`MOST`] it waits for the
//! current readers, which take milliseconds, while new ones read only the database.

use crate::Error;
use sqlx::{SqliteConnection, SqlitePool};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// The writer empties a log that is longer than this, in bytes, before its next commit. It gets longer only by one
/// commit, or while a reader keeps its snapshot for long, as a backup does.
pub(crate) const MOST: u64 = 64 << 20;
/// A log of at most this many bytes is left as it is when nobody has written for a second.
const KEPT: u64 = 4 << 20;
/// The number of bytes by which the log grows before another attempt to empty it, after one has failed.
const STEP: u64 = 16 << 20;
/// How long the writer waits for readers. A backup reads for minutes.
const PATIENCE: Duration = Duration::from_millis(100);

/// The log of a database.
pub(crate) struct WriteAhead {
    path: PathBuf,
    /// The length in bytes above which it is emptied.
    limit: u64,
}

impl WriteAhead {
    /// The log of the database in this file.
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = OsString::from(database);
        path.push("-wal");
        Self { path: path.into(), limit: MOST }
    }

    /// The length in bytes.
    fn length(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Empties the log if it is too long. To be called after each commit.
    pub(crate) async fn bound(&mut self, pool: &SqlitePool, busy_timeout: Duration) {
        let length = self.length();
        if length <= self.limit {
            return;
        }
        self.limit = match empty(pool, busy_timeout).await {
            true => MOST,
            false => length + STEP,
        };
    }

    /// Empties the log while nobody is writing.
    pub(crate) async fn tidy(&mut self, pool: &SqlitePool, busy_timeout: Duration) {
        if self.length() > KEPT && empty(pool, busy_timeout).await {
            self.limit = MOST;
        }
    }
}

/// Moves everything into the database and truncates the log; returns whether that was possible. If not, it is no error:
/// a reader is using the log, and it is tried again later.
async fn empty(pool: &SqlitePool, busy_timeout: Duration) -> bool {
    let emptied = async {
        let mut conn = pool.acquire().await?;
        wait_at_most(&mut conn, PATIENCE).await?;
        let checkpoint = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await;
        wait_at_most(&mut conn, busy_timeout).await?;
        let (blocked, _, _): (i64, i64, i64) = checkpoint?;
        Ok::<_, Error>(blocked == 0)
    };
    emptied.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the write-ahead log cannot be emptied; trying again later");
        false
    })
}

async fn wait_at_most(conn: &mut SqliteConnection, time: Duration) -> Result<(), Error> {
    let sql = format!("PRAGMA busy_timeout = {}", time.as_millis());
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::work;
    use crate::{Database, Priority, Vault, conn::value, settings};
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    };

    async fn put(db: &Database, value: String) {
        db.write(Priority::Normal, work!(|tx| settings::put(tx, "key", &value).await)).await.unwrap();
    }

    /// A text of this length that differs from that of the next number, because SQLite does not write unchanged values.
    fn text(number: u64, bytes: u64) -> String {
        if number.is_multiple_of(2) { "x" } else { "y" }.repeat(bytes as usize)
    }

    /// Runs a query that takes a moment, again and again, until it is stopped.
    async fn read(db: Database, stop: Arc<AtomicBool>) {
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                   SELECT COUNT(*) FROM n, (SELECT key FROM settings LIMIT 1)";
        while !stop.load(Relaxed) {
            let _: i64 = value!(&mut db.read().await.unwrap(), i64, sql).unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_stays_short_under_constant_reads_and_writes() {
        const COMMITS: u64 = 160;
        const EACH: u64 = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("longshore.db");
        let db = Database::open(file.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let log = WriteAhead::of(&file);
        let stop = Arc::new(AtomicBool::new(false));
        let reading: Vec<_> = (0..4).map(|_| tokio::spawn(read(db.clone(), stop.clone()))).collect();
        let mut longest = 0;
        for number in 0..COMMITS {
            put(&db, text(number, EACH)).await;
            longest = longest.max(log.length());
        }
        stop.store(true, Relaxed);
        for reader in reading {
            reader.await.unwrap();
        }
        // Each page has a header in the log, and a commit is measured only afterwards.
        assert!(longest <= MOST + 2 * EACH, "the log had {longest} bytes");
        let short = async || {
            let length = log.length();
            if length <= KEPT { Ok(()) } else { Err(length) }
        };
        longshore_testkit::eventually(
            "the log is emptied when nobody is writing",
            Duration::from_secs(20),
            short,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_long_read_does_not_block_writes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("longshore.db");
        let db = Database::open(file.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let backup = db.snapshot().await.unwrap();
        for number in 0..MOST >> 20 {
            put(&db, text(number, 2 << 20)).await;
        }
        assert!(WriteAhead::of(&file).length() > MOST, "the log is needed while it is being read");
        drop(backup);
        put(&db, "y".to_owned()).await;
        let short = async || {
            let length = WriteAhead::of(&file).length();
            if length <= KEPT { Ok(()) } else { Err(length) }
        };
        longshore_testkit::eventually("the log is emptied afterwards", Duration::from_secs(20), short).await;
    }
}
