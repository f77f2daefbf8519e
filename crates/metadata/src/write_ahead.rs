//! SQLite's write-ahead log: what is committed stands there first, and is moved into the database later.
//!
//! SQLite moves it by itself every [`LOG_PAGES`](crate::opening::LOG_PAGES), and begins the log anew when it was moved
//! whole and nobody reads from it. Where readers follow close upon each other there is no such moment, and the log
//! would grow without end, and every read with it, which looks through the log first. So the writer makes one: above
//! [`MOST`] it waits for those who are reading, who take milliseconds, while new ones read the database alone.

use crate::Error;
use sqlx::{SqliteConnection, SqlitePool};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// Above so many bytes the writer empties the log before its next commit. It is longer only by what one commit
/// writes, and while somebody reads from one instant for long, as a backup does.
pub(crate) const MOST: u64 = 64 << 20;
/// When nobody has written for a second, so many bytes are left where they are.
const KEPT: u64 = 4 << 20;
/// How much the log grows between two tries to empty it of which the first came to nothing.
const STEP: u64 = 16 << 20;
/// How long the writer waits for those who read. A backup reads for minutes.
const PATIENCE: Duration = Duration::from_millis(100);

/// The log, as its writer sees it.
pub(crate) struct WriteAhead {
    path: PathBuf,
    /// It is emptied above so many bytes.
    limit: u64,
}

impl WriteAhead {
    /// The log of the database in this file.
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = OsString::from(database);
        path.push("-wal");
        Self { path: path.into(), limit: MOST }
    }

    /// How long it is, in bytes.
    fn length(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Empties it where it is too long; to be asked after each commit.
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

    /// Empties it while nobody writes.
    pub(crate) async fn tidy(&mut self, pool: &SqlitePool, busy_timeout: Duration) {
        if self.length() > KEPT && empty(pool, busy_timeout).await {
            self.limit = MOST;
        }
    }
}

/// Moves everything into the database and cuts the log off; whether that was done. It is no failure where it was not:
/// somebody is reading, and it is tried again.
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
        tracing::warn!(%error, "the write-ahead log cannot be emptied; it is tried again");
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

    /// So many bytes, which are others for the next number: SQLite does not write what is there already.
    fn text(number: u64, bytes: u64) -> String {
        if number.is_multiple_of(2) { "x" } else { "y" }.repeat(bytes as usize)
    }

    /// Reads something that takes a moment, until it is told to stop.
    async fn read(db: Database, stop: Arc<AtomicBool>) {
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                   SELECT COUNT(*) FROM n, (SELECT key FROM settings LIMIT 1)";
        while !stop.load(Relaxed) {
            let _: i64 = value!(&mut db.read().await.unwrap(), i64, sql).unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_stays_short_whatever_is_read_and_written() {
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
        // A page has a header in the log, and a commit is noticed when it is done.
        assert!(longest <= MOST + 2 * EACH, "the log had {longest} bytes");
        let short = async || {
            let length = log.length();
            if length <= KEPT { Ok(()) } else { Err(length) }
        };
        longshore_testkit::eventually(
            "the log is emptied when nobody writes",
            Duration::from_secs(20),
            short,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_reads_for_long_keeps_nobody_from_writing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("longshore.db");
        let db = Database::open(file.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let backup = db.snapshot().await.unwrap();
        for number in 0..MOST >> 20 {
            put(&db, text(number, 2 << 20)).await;
        }
        assert!(WriteAhead::of(&file).length() > MOST, "the log is needed while somebody reads from it");
        drop(backup);
        put(&db, "y".to_owned()).await;
        let short = async || {
            let length = WriteAhead::of(&file).length();
            if length <= KEPT { Ok(()) } else { Err(length) }
        };
        longshore_testkit::eventually("the log is emptied afterwards", Duration::from_secs(20), short).await;
    }
}
