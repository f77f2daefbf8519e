//! Opening the database, reading, and writing in transactions.

use crate::{
    Change, Conn, Error, Tx, Vault,
    changes::Changes,
    conn::Backend,
    line::{Priority, Run, Work},
    migrations,
    relay::{self, Relay},
    writer,
};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use metrics::{counter, histogram};
use sqlx::{
    Executor, PgConnection, PgPool, Sqlite, SqlitePool,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    panic::AssertUnwindSafe,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::JoinSet,
};

/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// PostgreSQL undoes a transaction that does nothing for so long. None does while its server lives: it is one that
/// was stopped in the middle, and would keep the others from the rows that it holds.
const IDLE_TRANSACTION: &str = "SET idle_in_transaction_session_timeout = '10s'";
/// Connections to PostgreSQL.
const CONNECTIONS: u32 = 8;
/// Connections that read SQLite. Each is a thread that computes; more than a few take turns with the
/// writer instead of going on beside it.
const SQLITE_READERS: u32 = 4;
/// Pages that SQLite's log gathers before they are moved into the database; at the 1000 that are
/// usual, a busy registry would move them several times a second, and pushes wait for it.
const LOG_PAGES: &str = "8000";
/// Kibibytes of pages that a connection keeps in memory, as the negative number that SQLite expects.
const PAGE_CACHE: &str = "-8000";

/// The database; cheap to clone.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Vault,
    changes: Changes,
}

enum Store {
    Sqlite {
        readers: SqlitePool,
        writer: mpsc::Sender<Work>,
    },
    /// The set holds the task that listens to other servers, which ends with it.
    Postgres {
        pool: PgPool,
        relay: Relay,
        _listening: JoinSet<()>,
    },
}

impl Database {
    /// Opens the database at `url` (`sqlite:///path/to/file`, a plain path, or `postgres://…`),
    /// makes it when there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::Migrate`].
    pub async fn open(url: &str, vault: Vault) -> Result<Self, Error> {
        let changes = Changes::new();
        let opened = match url.starts_with("postgres://") || url.starts_with("postgresql://") {
            true => open_postgres(url, changes.clone()).await,
            false => open_sqlite(url, changes.clone(), vault.clone()).await,
        };
        let store = opened.map_err(|error| match error {
            Error::Sql(source) => Error::Open { url: without_password(url), source },
            other => other,
        })?;
        Ok(Self(Arc::new(Inner { store, vault, changes })))
    }

    /// The name of the database for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.0.store {
            Store::Sqlite { .. } => "SQLite",
            Store::Postgres { .. } => "PostgreSQL",
        }
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// None is to be had.
    pub async fn read(&self) -> Result<Conn, Error> {
        let backend = match &self.0.store {
            Store::Sqlite { readers, .. } => Backend::Sqlite(readers.acquire().await?),
            Store::Postgres { pool, .. } => Backend::Postgres(pool.acquire().await?),
        };
        Ok(Conn::new(backend, self.0.vault.clone()))
    }

    /// Runs `work` in a transaction that is committed when it answers `Ok`, and undone otherwise.
    /// What it announced is told to others after the commit.
    ///
    /// # Errors
    /// Those of `work`; those of the database, turned into one of them.
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
                // A task of its own, so that a caller who goes away leaves no transaction open behind.
                let running = tokio::spawn(on_postgres(pool, vault, relay, changes, work));
                running.await.unwrap_or_else(|_| Err(Error::Closed.into()))
            }
        }
    }

    /// How many connections are open to read with; to PostgreSQL, to write with as well.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let (open, idle, most) = match &self.0.store {
            Store::Sqlite { readers, .. } => (readers.size(), readers.num_idle(), SQLITE_READERS),
            Store::Postgres { pool, .. } => (pool.size(), pool.num_idle(), CONNECTIONS),
        };
        Connections { open: open as usize, idle, most: most as usize }
    }

    /// A connection whose reads all see one instant, whatever is committed meanwhile.
    ///
    /// # Errors
    /// None is to be had.
    pub async fn snapshot(&self) -> Result<Conn, Error> {
        let mut conn = self.read().await?;
        // It is closed afterwards instead of being handed on in the middle of a transaction.
        conn.close_on_drop();
        conn.command(if conn.is_postgres() {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        } else {
            "BEGIN"
        })
        .await?;
        // The instant is that of the first read.
        crate::accounts::count(&mut conn).await?;
        Ok(conn)
    }

    /// Writes everything into one new file beside others that use the database. Only SQLite can.
    ///
    /// # Errors
    /// A file that is there or cannot be written; [`Error::NoFile`] on PostgreSQL.
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

    /// How many transactions of this process have changed something, so that others can tell whether
    /// anything happened since they looked.
    #[must_use]
    pub fn changes_made(&self) -> u64 {
        self.0.changes.made()
    }

    /// Tells of every change from now on, after its commit. A listener that falls behind misses
    /// some; it is expected to look at the database from time to time anyway.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// What encrypts secrets at rest.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }
}

/// Connections to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open ones.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// More are not opened.
    pub most: usize,
}

async fn through_writer<T, E, F>(writer: &mpsc::Sender<Work>, priority: Priority, work: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (result, outcome) = oneshot::channel();
    let (committed, commit) = oneshot::channel();
    let run = keeping(work, result);
    let work = Work { priority, run, committed, since: Instant::now() };
    writer.send(work).await.map_err(|_| Error::Closed)?;
    commit.await.map_err(|_| Error::Closed)??;
    outcome.await.map_err(|_| Error::Closed)?
}

/// Work whose result goes to its caller, and whose success decides whether it is kept.
fn keeping<T, E, F>(work: F, result: oneshot::Sender<Result<T, E>>) -> Run
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    // An annotated function, because a closure's type would tie the future to one lifetime.
    fn higher_ranked<F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, bool> + Send + 'static>(run: F) -> Run {
        Box::new(run)
    }
    higher_ranked(move |tx| {
        let running = work(tx);
        async move {
            let done = running.await;
            let keep = done.is_ok();
            // The caller may have gone; its work is kept all the same.
            let _ = result.send(done);
            keep
        }
        .boxed()
    })
}

/// One transaction on a connection of the pool.
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
    let mut tx = Tx::new(Conn::new(Backend::Postgres(conn), vault));
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

async fn open_sqlite(url: &str, changes: Changes, vault: Vault) -> Result<Store, Error> {
    let path = url.strip_prefix("sqlite://").unwrap_or(url);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged change survives a power cut (semantics 26).
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .pragma("cache_size", PAGE_CACHE)
        .statement_cache_capacity(256);
    let setup = PoolOptions::<Sqlite>::new().max_connections(1).connect_with(options.clone()).await?;
    migrations::sqlite().run(&setup).await?;
    setup.close().await;
    let writer = writer::start(options.clone(), changes, vault).await?;
    let readers = PoolOptions::new()
        .max_connections(SQLITE_READERS)
        // A file does not go away as a server does; asking costs as much as reading.
        .test_before_acquire(false)
        .connect_with(options.read_only(true))
        .await?;
    Ok(Store::Sqlite { readers, writer })
}

async fn open_postgres(url: &str, changes: Changes) -> Result<Store, Error> {
    let options = PgConnectOptions::from_str(url)?;
    let pool = PoolOptions::new()
        .max_connections(CONNECTIONS)
        .after_connect(|conn: &mut PgConnection, _| conn.execute(IDLE_TRANSACTION).map_ok(drop).boxed())
        .connect_with(options)
        .await?;
    migrations::postgres().run(&pool).await?;
    let relay = Relay::new(changes);
    let mut listening = JoinSet::new();
    listening.spawn(relay.clone().listen(relay::listener(url).await?));
    Ok(Store::Postgres { pool, relay, _listening: listening })
}

/// The URL as it may stand in a message.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_message_about_the_database_holds_no_password() {
        assert_eq!(without_password("postgres://u:p@ss@db/longshore"), "postgres://…@db/longshore");
        assert_eq!(without_password("/var/lib/longshore.db"), "/var/lib/longshore.db");
    }
}
