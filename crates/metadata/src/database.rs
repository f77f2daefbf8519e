//! Opening the database, reading, and writing in transactions.

use crate::{
    Change, Conn, Error, Tx, Vault,
    changes::Changes,
    conn::{Backend, value},
    line::{Line, Priority, Run, Work},
    migrations,
    relay::{self, Relay},
    writer,
};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use metrics::{counter, histogram};
use sqlx::{
    Connection as _, Executor, PgConnection, PgPool, Sqlite, SqlitePool,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    io::{self, ErrorKind},
    panic::AssertUnwindSafe,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};
use url::{Position, Url};

/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// PostgreSQL undoes a transaction that does nothing for so long. None does while its server lives: it is one that
/// was stopped in the middle, and would keep the others from the rows that it holds.
const IDLE_TRANSACTION: &str = "SET idle_in_transaction_session_timeout = '10s'";
/// How long a PostgreSQL that takes no connection is waited for, and how long between two tries.
const START: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);
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
        let opened = match is_postgres(url) {
            true => open_postgres(url, changes.clone()).await,
            false => open_sqlite(url, changes.clone(), vault.clone()).await,
        };
        let store = opened.map_err(|error| not_open(url, error))?;
        Ok(Self(Arc::new(Inner { store, vault, changes })))
    }

    /// Opens a database to read from it, and leaves it and its tables as they are: for who copies what a
    /// server has, which may run and may be of another version. Writing fails.
    ///
    /// # Errors
    /// [`Error::Open`], also where there is none; [`Error::OtherVersion`].
    pub async fn open_as_it_is(url: &str, vault: Vault) -> Result<Self, Error> {
        let changes = Changes::new();
        let opened = match is_postgres(url) {
            true => postgres_as_it_is(url, changes.clone()).await,
            false => sqlite_as_it_is(url).await,
        };
        let store = opened.map_err(|error| not_open(url, error))?;
        let db = Self(Arc::new(Inner { store, vault, changes }));
        let sql = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
        let there: Result<i64, _> = value!(&mut db.read().await?, i64, sql);
        match there.map_err(|error| not_open(url, error.into()))? {
            there if there == migrations::LATEST => Ok(db),
            there => Err(Error::OtherVersion { there, here: migrations::LATEST }),
        }
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

    /// Reads for who cannot wait until a database that stands still goes on.
    ///
    /// # Errors
    /// [`Error::Unanswered`] when `patience` has run out; those of `ask`.
    pub async fn read_within<T>(
        &self,
        patience: Duration,
        ask: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let asked = async { ask(&mut self.read().await?).await };
        timeout(patience, asked).await.unwrap_or(Err(Error::Unanswered(patience)))
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
            // Much may be copied between two reads.
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"
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

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn not_open(url: &str, error: Error) -> Error {
    match error {
        Error::Sql(source) => Error::Open { url: without_password(url), source },
        other => other,
    }
}

fn sqlite_options(url: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(url.strip_prefix("sqlite://").unwrap_or(url))
        .create_if_missing(true)
        // An acknowledged change survives a power cut (semantics 26).
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .pragma("cache_size", PAGE_CACHE)
        .statement_cache_capacity(256)
}

async fn open_sqlite(url: &str, changes: Changes, vault: Vault) -> Result<Store, Error> {
    let options = sqlite_options(url).journal_mode(SqliteJournalMode::Wal);
    let setup = PoolOptions::<Sqlite>::new().max_connections(1).connect_with(options.clone()).await?;
    migrations::sqlite().run(&setup).await?;
    setup.close().await;
    let writer = writer::start(options.clone(), changes, vault).await?;
    Ok(Store::Sqlite { readers: sqlite_readers(options).await?, writer })
}

async fn sqlite_as_it_is(url: &str) -> Result<Store, Error> {
    // Nobody stands behind the door of the line, so that who wants to write hears that it is closed.
    let (writer, _) = Line::new();
    Ok(Store::Sqlite { readers: sqlite_readers(sqlite_options(url)).await?, writer })
}

async fn sqlite_readers(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    let pool = PoolOptions::new()
        .max_connections(SQLITE_READERS)
        // A file does not go away as a server does; asking costs as much as reading.
        .test_before_acquire(false)
        .connect_with(options.read_only(true));
    Ok(pool.await?)
}

async fn open_postgres(url: &str, changes: Changes) -> Result<Store, Error> {
    let pool = postgres_pool(url, IDLE_TRANSACTION).await?;
    migrations::postgres().run(&pool).await?;
    let relay = Relay::new(changes);
    let mut listening = JoinSet::new();
    listening.spawn(relay.clone().listen(relay::listener(url).await?));
    Ok(Store::Postgres { pool, relay, _listening: listening })
}

async fn postgres_as_it_is(url: &str, changes: Changes) -> Result<Store, Error> {
    let pool = postgres_pool(url, "SET default_transaction_read_only = on").await?;
    Ok(Store::Postgres { pool, relay: Relay::new(changes), _listening: JoinSet::new() })
}

/// Connections that begin with a statement.
async fn postgres_pool(url: &str, begin: &'static str) -> Result<PgPool, Error> {
    let options = PgConnectOptions::from_str(url)?;
    wait_for(&options, START).await?.close().await?;
    let pool = PoolOptions::new()
        .max_connections(CONNECTIONS)
        .after_connect(move |conn: &mut PgConnection, _| conn.execute(begin).map_ok(drop).boxed())
        .connect_with(options);
    Ok(pool.await?)
}

/// Waits until PostgreSQL takes a connection: after a power cut it may start later than its servers do. A pool would
/// wait as well, and say in the end that it had no time; this one says why.
async fn wait_for(options: &PgConnectOptions, patience: Duration) -> Result<PgConnection, sqlx::Error> {
    let mut why = io::Error::new(ErrorKind::TimedOut, format!("it has not answered for {patience:?}")).into();
    let connected = async {
        loop {
            match PgConnection::connect_with(options).await {
                Err(error) if is_about_to_start(&error) => why = error,
                done => return done,
            }
            tracing::warn!(error = %why, "PostgreSQL is not there yet; trying again");
            sleep(PAUSE).await;
        }
    };
    match timeout(patience, connected).await {
        Ok(done) => done,
        Err(_) => Err(why),
    }
}

fn is_about_to_start(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        // cannot_connect_now
        sqlx::Error::Database(error) => error.code().as_deref() == Some("57P03"),
        _ => false,
    }
}

/// A database's URL as it may be shown: without user and password, also where these are parameters. Of one that
/// cannot be read the scheme alone is shown, as nobody knows which part of it is the password.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, _)) = url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
        return url.to_owned();
    };
    // An `@` that far behind belongs to a password with a `/`, `?` or `#` in it.
    let Some(read) = Url::parse(url).ok().filter(|read| !read[Position::BeforePath..].contains('@')) else {
        return format!("{scheme}://…");
    };
    let user = if read[..Position::BeforeHost].ends_with('@') { "…@" } else { "" };
    let place = &read[Position::BeforeHost..Position::AfterPath];
    let parameters = read.query_pairs().map(|(name, value)| match &*name {
        "user" | "password" => format!("{name}=…"),
        _ => format!("{name}={value}"),
    });
    let parameters = parameters.collect::<Vec<_>>().join("&");
    let question = if parameters.is_empty() { "" } else { "?" };
    format!("{scheme}://{user}{place}{question}{parameters}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{conn::change, settings};
    use std::net::SocketAddr;
    use tokio::net::{TcpListener, TcpSocket};

    fn vault() -> Vault {
        Vault::from_key([7; 32])
    }

    async fn new_postgres() -> String {
        tokio::task::spawn_blocking(longshore_testkit::postgres::new_database).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_snapshot_on_postgresql_outlasts_the_copying_of_big_blobs() {
        let db = Database::open(&new_postgres().await, vault()).await.unwrap();
        let sql = "SHOW idle_in_transaction_session_timeout";
        let timeout: String = value!(&mut db.read().await.unwrap(), String, sql).unwrap();
        assert_eq!(timeout, "10s", "that of others");
        let timeout: String = value!(&mut db.snapshot().await.unwrap(), String, sql).unwrap();
        assert_eq!(timeout, "0");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_that_is_only_read_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for url in [path("longshore.db"), new_postgres().await] {
            let server = Database::open(&url, vault()).await.unwrap();
            let copying = Database::open_as_it_is(&url, vault()).await.unwrap();
            let put = |db: Database| async move {
                db.write(Priority::Normal, |tx| Box::pin(settings::put(tx, "key", "value"))).await
            };
            assert!(put(copying.clone()).await.is_err());
            put(server.clone()).await.unwrap();
            let read = settings::get(&mut copying.read().await.unwrap(), "key").await.unwrap();
            assert_eq!(read.as_deref(), Some("value"));

            // As if the program were newer than the server.
            let older = server.write(Priority::Normal, |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM _sqlx_migrations WHERE version = $1";
                    Ok::<_, Error>(change!(tx.conn, sql, migrations::LATEST)?)
                })
            });
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

    fn at(address: SocketAddr) -> PgConnectOptions {
        let url = format!("postgres://longshore@{address}/longshore?sslmode=disable");
        PgConnectOptions::from_str(&url).unwrap()
    }

    #[tokio::test]
    async fn a_postgresql_that_never_answers_is_not_waited_for_for_ever() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let patience = Duration::from_millis(200);
        let said = wait_for(&at(silent.local_addr().unwrap()), patience).await.unwrap_err().to_string();
        assert!(said.contains("has not answered for 200ms"), "{said}");
    }

    #[tokio::test]
    async fn a_postgresql_that_starts_later_than_the_server_is_waited_for() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let options = at(socket.local_addr().unwrap());
        let mut waiting = std::pin::pin!(wait_for(&options, START));
        let refused = timeout(PAUSE * 2, waiting.as_mut()).await;
        assert!(refused.is_err(), "nobody listens yet, and it goes on all the same");
        let started = socket.listen(1).unwrap();
        let (waited, met) = tokio::join!(waiting, async { started.accept().await.map(drop) });
        met.unwrap();
        let sqlx::Error::Io(said) = waited.unwrap_err() else { panic!("what hung up was no database") };
        assert_ne!(said.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_message_about_the_database_holds_no_password() {
        for (url, shown) in [
            ("postgres://db:5433/longshore", "postgres://db:5433/longshore"),
            ("postgres://u:p@ss@db/longshore", "postgres://…@db/longshore"),
            ("postgres://u@db/longshore?sslmode=require", "postgres://…@db/longshore?sslmode=require"),
            ("postgres://u:p?ss@db/longshore", "postgres://…"),
            ("postgres://u:5?ss@db/longshore", "postgres://…"),
            ("postgres://u:5/ss@db/longshore", "postgres://…"),
            ("postgres://u:5#ss@db/longshore", "postgres://…"),
            ("mysql://u:p@db", "mysql://…@db"),
            (
                "postgres://db/x?user=u&password=p%40ss&sslmode=require",
                "postgres://db/x?user=…&password=…&sslmode=require",
            ),
            ("postgres://db/x?p%61ssword=geheim", "postgres://db/x?password=…"),
            ("sqlite:///srv/a@b.db", "sqlite:///srv/a@b.db"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
        assert_eq!(without_password("/var/lib/longshore.db"), "/var/lib/longshore.db");
    }
}
