//! Opens a database: SQLite or PostgreSQL, to serve from or for reading only, and waits for PostgreSQL to start.
//! `database` uses it.

use crate::{
    Error, Vault,
    changes::Changes,
    line::{Door, Line},
    migrations,
    relay::{self, Relay},
    url::without_password,
    write_ahead::{self, WriteAhead},
    writer::{self, BUSY_TIMEOUT},
};
use futures::{FutureExt, TryFutureExt};
use sqlx::{
    Connection as _, Executor, PgConnection, PgPool, Sqlite, SqlitePool,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    io::{self, ErrorKind},
    str::FromStr,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// PostgreSQL rolls back a transaction that is idle for this long. No transaction of a live server is; one that is
/// belongs to a server that was suspended, and would block the others from the rows that it has locked.
const IDLE_TRANSACTION: &str = "SET idle_in_transaction_session_timeout = '10s'";
/// How long to wait for a PostgreSQL that accepts no connections, and the pause between two attempts.
const START: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);
/// The number of connections to PostgreSQL.
pub(crate) const CONNECTIONS: u32 = 8;
/// The number of connections that read SQLite. Each uses a thread that computes; more than a few would compete with the
/// writer.
pub(crate) const SQLITE_READERS: u32 = 4;
/// The number of pages in SQLite's log before they are moved into the database. With the usual 1000, a busy registry
/// would move them several times a second, and pushes would wait for it.
pub(crate) const LOG_PAGES: &str = "8000";
/// The page cache of a connection in KiB, as the negative number that SQLite expects.
const PAGE_CACHE: &str = "-8000";

/// The connections to the database of a URL.
pub(crate) enum Store {
    Sqlite {
        readers: SqlitePool,
        writer: Door,
    },
    /// The set holds the task that listens to other servers and ends with it.
    Postgres {
        pool: PgPool,
        relay: Relay,
        _listening: JoinSet<()>,
    },
}

/// Adds the database's URL to a connection error.
pub(crate) fn not_open(url: &str, error: Error) -> Error {
    match error {
        Error::Sql(source) => Error::Open { url: without_password(url), source },
        other => other,
    }
}

fn sqlite_options(url: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(url.strip_prefix("sqlite://").unwrap_or(url))
        .create_if_missing(true)
        // A committed change survives a power failure (semantics 26).
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        // A log that was longer is truncated when it starts again.
        .pragma("journal_size_limit", write_ahead::MOST.to_string())
        .pragma("cache_size", PAGE_CACHE)
        .statement_cache_capacity(256)
}

/// Opens a SQLite file and migrates its tables.
pub(crate) async fn open_sqlite(url: &str, changes: Changes, vault: Vault) -> Result<Store, Error> {
    let options = sqlite_options(url).journal_mode(SqliteJournalMode::Wal);
    let setup = PoolOptions::<Sqlite>::new().max_connections(1).connect_with(options.clone()).await?;
    migrations::sqlite().run(&setup).await?;
    setup.close().await;
    let log = WriteAhead::of(options.get_filename());
    let writer = writer::start(options.clone(), log, changes, vault).await?;
    Ok(Store::Sqlite { readers: sqlite_readers(options).await?, writer })
}

/// Opens a SQLite file for reading only.
pub(crate) async fn sqlite_as_it_is(url: &str) -> Result<Store, Error> {
    // Nothing takes work from this queue, so that attempts to write fail as closed.
    let (writer, _) = Line::new();
    Ok(Store::Sqlite { readers: sqlite_readers(sqlite_options(url)).await?, writer })
}

async fn sqlite_readers(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    let pool = PoolOptions::new()
        .max_connections(SQLITE_READERS)
        // A file does not go away like a server, and a test would cost as much as a read.
        .test_before_acquire(false)
        .connect_with(options.read_only(true));
    Ok(pool.await?)
}

/// Opens a PostgreSQL database and migrates its tables.
pub(crate) async fn open_postgres(url: &str, changes: Changes) -> Result<Store, Error> {
    let pool = postgres_pool(url, IDLE_TRANSACTION).await?;
    migrations::postgres().run(&pool).await?;
    let relay = Relay::new(changes);
    let mut listening = JoinSet::new();
    listening.spawn(relay.clone().listen(relay::listener(url).await?));
    Ok(Store::Postgres { pool, relay, _listening: listening })
}

/// Opens a PostgreSQL database for reading only.
pub(crate) async fn postgres_as_it_is(url: &str, changes: Changes) -> Result<Store, Error> {
    let pool = postgres_pool(url, "SET default_transaction_read_only = on").await?;
    Ok(Store::Postgres { pool, relay: Relay::new(changes), _listening: JoinSet::new() })
}

/// A pool of connections that each run a statement first.
async fn postgres_pool(url: &str, begin: &'static str) -> Result<PgPool, Error> {
    let options = PgConnectOptions::from_str(url)?;
    wait_for(&options, START).await?.close().await?;
    let pool = PoolOptions::new()
        .max_connections(CONNECTIONS)
        .after_connect(move |conn: &mut PgConnection, _| conn.execute(begin).map_ok(drop).boxed())
        .connect_with(options);
    Ok(pool.await?)
}

/// Waits until PostgreSQL accepts a connection: after a power failure it may start later than its servers. A pool would
/// wait as well, but only report a timeout; this reports the reason.
async fn wait_for(options: &PgConnectOptions, patience: Duration) -> Result<PgConnection, sqlx::Error> {
    let mut why = io::Error::new(ErrorKind::TimedOut, format!("it has not answered for {patience:?}")).into();
    let connected = async {
        loop {
            match PgConnection::connect_with(options).await {
                Err(error) if is_about_to_start(&error) => why = error,
                done => return done,
            }
            tracing::warn!(error = %why, "PostgreSQL is not ready yet; trying again");
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::net::{TcpListener, TcpSocket};

    fn at(address: SocketAddr) -> PgConnectOptions {
        let url = format!("postgres://longshore@{address}/longshore?sslmode=disable");
        PgConnectOptions::from_str(&url).unwrap()
    }

    #[tokio::test]
    async fn waiting_for_a_postgresql_that_never_answers_ends() {
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
        assert!(refused.is_err(), "nothing is listening yet, and it keeps waiting");
        let started = socket.listen(1).unwrap();
        let (waited, met) = tokio::join!(waiting, async { started.accept().await.map(drop) });
        met.unwrap();
        let sqlx::Error::Io(said) = waited.unwrap_err() else { panic!("it is an I/O error") };
        assert_ne!(said.kind(), ErrorKind::ConnectionRefused);
    }
}
