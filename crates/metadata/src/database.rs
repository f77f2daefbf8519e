//! The database: reading, and writing in transactions.

use crate::{
    Change, Conn, Error, Tx, Vault,
    changes::Changes,
    conn::{Backend, value},
    line::{Door, Priority, Run, Waiting, Work},
    migrations,
    opening::{
        CONNECTIONS, SQLITE_READERS, Store, not_open, open_postgres, open_sqlite, postgres_as_it_is,
        sqlite_as_it_is,
    },
    relay::Relay,
    url::is_postgres,
};
use futures::{FutureExt, future::BoxFuture};
use metrics::{counter, histogram};
use sqlx::PgPool;
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{broadcast, oneshot},
    time::timeout,
};

/// Writes the work of a transaction: `db.write(Priority::Normal, work!(|tx| tags::set(tx, change).await))`.
///
/// The work borrows the connection and its future has to be [`Send`]. An async closure cannot promise the latter yet,
/// so this boxes the future.
#[macro_export]
macro_rules! work {
    (|$tx:ident| $work:expr) => {
        move |$tx| ::std::boxed::Box::pin(async move { $work })
    };
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Vault,
    changes: Changes,
    /// The number of reading statements outside of transactions.
    asked: Arc<AtomicU64>,
}

impl Database {
    /// Opens the database at `url` (`sqlite:///path/to/file`, a plain path, or `postgres://…`), creates it if it does
    /// not exist, and migrates its tables.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::Migrate`].
    pub async fn open(url: &str, vault: Vault) -> Result<Self, Error> {
        let changes = Changes::new();
        let opened = match is_postgres(url) {
            true => open_postgres(url, changes.clone()).await,
            false => open_sqlite(url, changes.clone(), vault.clone()).await,
        };
        let store = opened.map_err(|error| not_open(url, error))?;
        Ok(Self(Arc::new(Inner { store, vault, changes, asked: Arc::default() })))
    }

    /// Opens a database for reading only, without migrating its tables, to copy the data of a server that may be
    /// running and may be of another version. Writing fails.
    ///
    /// # Errors
    /// [`Error::Open`], also if it does not exist; [`Error::OtherVersion`].
    pub async fn open_as_it_is(url: &str, vault: Vault) -> Result<Self, Error> {
        let changes = Changes::new();
        let opened = match is_postgres(url) {
            true => postgres_as_it_is(url, changes.clone()).await,
            false => sqlite_as_it_is(url).await,
        };
        let store = opened.map_err(|error| not_open(url, error))?;
        let db = Self(Arc::new(Inner { store, vault, changes, asked: Arc::default() }));
        let sql = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
        let there: Result<i64, _> = value!(&mut db.read().await?, i64, sql);
        match there.map_err(|error| not_open(url, error.into()))? {
            there if there == migrations::LATEST => Ok(db),
            there => Err(Error::OtherVersion { there, here: migrations::LATEST }),
        }
    }

    /// The name of the database system, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.0.store {
            Store::Sqlite { .. } => "SQLite",
            Store::Postgres { .. } => "PostgreSQL",
        }
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// If none is available.
    pub async fn read(&self) -> Result<Conn, Error> {
        let backend = match &self.0.store {
            Store::Sqlite { readers, .. } => Backend::Sqlite(readers.acquire().await?),
            Store::Postgres { pool, .. } => Backend::Postgres(pool.acquire().await?),
        };
        Ok(Conn::new(backend, self.0.vault.clone()).counting(self.0.asked.clone()))
    }

    /// The number of reading statements outside of transactions: the cost of a response, independent of the clock.
    #[must_use]
    pub fn reads_made(&self) -> u64 {
        self.0.asked.load(Relaxed)
    }

    /// Runs `ask` with a time limit, for callers that must not wait for a database that hangs.
    ///
    /// # Errors
    /// [`Error::Unanswered`] after `patience`; the errors of `ask`.
    pub async fn read_within<T>(
        &self,
        patience: Duration,
        ask: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let asked = async { ask(&mut self.read().await?).await };
        timeout(patience, asked).await.unwrap_or(Err(Error::Unanswered(patience)))
    }

    /// Runs `work` in a transaction that is committed if it returns `Ok`, and rolled back otherwise. Its changes are
    /// announced after the commit.
    ///
    /// # Errors
    /// Those of `work`; errors of the database are converted into that type.
    pub async fn write<T, E, F>(&self, priority: Priority, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &self.0.store {
            Store::Sqlite { writer, .. } => through_writer(writer, priority, work).await,
            Store::Postgres { pool, relay, .. } => {
                let (pool, vault, relay) = (pool.clone(), self.0.vault.clone(), relay.clone());
                let changes = self.0.changes.clone();
                // On its own task, so that a dropped caller leaves no transaction open.
                let running = tokio::spawn(on_postgres(pool, vault, relay, changes, work));
                running.await.unwrap_or_else(|_| Err(Error::Closed.into()))
            }
        }
    }

    /// The state of the pool of connections for reading; with PostgreSQL, it is also used for writing.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let (open, idle, most) = match &self.0.store {
            Store::Sqlite { readers, .. } => (readers.size(), readers.num_idle(), SQLITE_READERS),
            Store::Postgres { pool, .. } => (pool.size(), pool.num_idle(), CONNECTIONS),
        };
        Connections { open: open as usize, idle, most: most as usize }
    }

    /// A connection whose reads all see the same instant, whatever is committed in the meantime.
    ///
    /// # Errors
    /// If no connection is available.
    pub async fn snapshot(&self) -> Result<Conn, Error> {
        let mut conn = self.read().await?;
        // It is closed afterwards, because it must not return to the pool inside a transaction.
        conn.close_on_drop();
        conn.command(if conn.is_postgres() {
            // Much may be copied between two reads.
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"
        } else {
            "BEGIN"
        })
        .await?;
        // The snapshot is taken at the first read.
        crate::accounts::count(&mut conn).await?;
        Ok(conn)
    }

    /// Whether the database can write itself to a file ([`Database::write_to_file`]).
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.0.store, Store::Sqlite { .. })
    }

    /// Writes the whole database, as it is at one instant, into a new file, while others use it. Only SQLite supports
    /// this.
    ///
    /// # Errors
    /// If the file exists or cannot be written; [`Error::NoFile`] on PostgreSQL.
    pub async fn write_to_file(&self, path: &str) -> Result<(), Error> {
        let mut conn = self.read().await?;
        match &mut conn.backend {
            Backend::Sqlite(conn) => {
                sqlx::query("VACUUM INTO $1").bind(path).execute(&mut **conn).await.map(drop)?;
                Ok(())
            }
            Backend::Postgres(_) => Err(Error::NoFile),
        }
    }

    /// Closes the connections for reading, so that the file can be changed or moved. Nothing can be read afterwards.
    pub async fn close(&self) {
        match &self.0.store {
            Store::Sqlite { readers, .. } => readers.close().await,
            Store::Postgres { pool, .. } => pool.close().await,
        }
    }

    /// The number of transactions of this process that changed something, so that others can see whether anything
    /// changed since they last looked.
    #[must_use]
    pub fn changes_made(&self) -> u64 {
        self.0.changes.made()
    }

    /// Announces every change after its commit. A listener that lags behind misses some, so it should read the database
    /// from time to time.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// Encrypts secrets at rest.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }
}

/// The state of the pool of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    pub open: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// The maximum number of open connections.
    pub most: usize,
}

async fn through_writer<T, E, F>(writer: &Door, priority: Priority, work: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (result, outcome) = oneshot::channel();
    let (committed, commit) = oneshot::channel();
    let run = keeping(work, result);
    let work = Work { priority, run, committed, since: Instant::now() };
    writer.join(work).await?;
    commit.await.map_err(|_| Error::Closed)??;
    outcome.await.map_err(|_| Error::Closed)?
}

/// Work that sends its result to the caller, and whose success decides whether it is committed.
fn keeping<T, E, F>(work: F, result: oneshot::Sender<Result<T, E>>) -> Run
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    // A function with an annotated type, because a closure's type would tie the future to one lifetime.
    fn higher_ranked<F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, bool> + Send + 'static>(run: F) -> Run {
        Box::new(run)
    }
    higher_ranked(move |tx| {
        let running = work(tx);
        async move {
            let done = running.await;
            let keep = done.is_ok();
            // If the caller was dropped, its work is still committed.
            let _ = result.send(done);
            keep
        }
        .boxed()
    })
}

/// Runs one transaction on a connection of the pool.
async fn on_postgres<T, E, F>(
    pool: PgPool,
    vault: Vault,
    relay: Relay,
    changes: Changes,
    work: F,
) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
    E: From<Error>,
{
    let asked = Instant::now();
    let conn = pool.acquire().await.map_err(Error::from)?;
    histogram!("longshore_database_wait_seconds").record(asked.elapsed());
    let begun = Instant::now();
    let mut tx = Tx::new(Conn::new(Backend::Postgres(conn), vault), Waiting::default());
    tx.command("BEGIN").await?;
    let outcome = AssertUnwindSafe(async { work(&mut tx).await }).catch_unwind().await;
    let value = match outcome.unwrap_or_else(|_| Err(Error::Panicked.into())) {
        Ok(value) => value,
        Err(error) => {
            tx.undo().await;
            return Err(error);
        }
    };
    let announcements = std::mem::take(&mut tx.announcements);
    let committed = async {
        relay.notify(&mut tx, &announcements).await?;
        tx.command("COMMIT").await
    };
    match committed.await {
        Ok(()) => {
            counter!("longshore_database_commits_total").increment(1);
            histogram!("longshore_database_commit_seconds").record(begun.elapsed());
            let changed = tx.conn.take_changed() || !announcements.is_empty();
            changes.count(u64::from(changed));
            relay.announce(announcements);
            Ok(value)
        }
        Err(error) => {
            tx.undo().await;
            Err(Error::Commit(Arc::new(error)).into())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{conn::change, settings};

    fn vault() -> Vault {
        Vault::from_key([7; 32])
    }

    async fn new_postgres() -> String {
        tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_snapshot_on_postgresql_has_no_idle_timeout() {
        let db = Database::open(&new_postgres().await, vault()).await.unwrap();
        let sql = "SHOW idle_in_transaction_session_timeout";
        let timeout: String = value!(&mut db.read().await.unwrap(), String, sql).unwrap();
        assert_eq!(timeout, "10s", "the timeout of other connections");
        let timeout: String = value!(&mut db.snapshot().await.unwrap(), String, sql).unwrap();
        assert_eq!(timeout, "0");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_that_is_opened_for_reading_is_not_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for url in [path("longshore.db"), new_postgres().await] {
            let server = Database::open(&url, vault()).await.unwrap();
            let copying = Database::open_as_it_is(&url, vault()).await.unwrap();
            let put = |db: Database| async move {
                db.write(Priority::Normal, work!(|tx| settings::put(tx, "key", "value").await)).await
            };
            assert!(put(copying.clone()).await.is_err());
            put(server.clone()).await.unwrap();
            let read = settings::get(&mut copying.read().await.unwrap(), "key").await.unwrap();
            assert_eq!(read.as_deref(), Some("value"));

            // As if the program were newer than the server.
            let older = server.write(
                Priority::Normal,
                work!(|tx| {
                    let sql = "DELETE FROM _sqlx_migrations WHERE version = $1";
                    Ok::<_, Error>(change!(tx.conn, sql, migrations::LATEST)?)
                }),
            );
            older.await.unwrap();
            let refused = Database::open_as_it_is(&url, vault()).await.map(drop).unwrap_err();
            let there = migrations::LATEST - 1;
            assert!(
                matches!(refused, Error::OtherVersion { there: found, .. } if found == there),
                "{refused}"
            );
        }
        let nothing = path("nothing.db");
        assert!(matches!(Database::open_as_it_is(&nothing, vault()).await, Err(Error::Open { .. })));
        assert!(!std::path::Path::new(&nothing).exists());
    }
}
