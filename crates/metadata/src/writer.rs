//! The single writer of a SQLite database: a thread that gathers waiting transactions into one commit, so that they
//! share an fsync. Each runs in a savepoint of its own, and one that fails or panics is rolled back alone.
//!
//! It has its own thread because a transaction waits for SQLite dozens of times: as a task of the server, it would
//! queue behind all requests each time.

use crate::{
    Change, Error, Tx, Vault,
    changes::Changes,
    conn::{Backend, Conn},
    line::{Door, Line, Priority},
    write_ahead::WriteAhead,
};
use futures::FutureExt;
use metrics::{counter, gauge, histogram};
use sqlx::{SqlitePool, pool::PoolOptions, sqlite::SqliteConnectOptions};
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, sync::oneshot, time::timeout};

/// The maximum number of transactions in one commit, so that none waits for long.
const MOST_IN_A_COMMIT: usize = 32;
/// After this long without a transaction, there is time to tidy up.
const QUIET: Duration = Duration::from_secs(1);

/// How long a statement waits for a lock of another process.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

type Answer = oneshot::Sender<Result<(), Error>>;

/// Starts the writer; returns the queue for its work.
pub(crate) async fn start(
    options: SqliteConnectOptions,
    log: WriteAhead,
    changes: Changes,
    vault: Vault,
) -> Result<Door, sqlx::Error> {
    let (door, line) = Line::new();
    let (opened, outcome) = oneshot::channel();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let writing = async move {
        let pool = PoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options);
        match pool.await {
            Ok(pool) => {
                let _ = opened.send(Ok(()));
                write(pool, log, line, changes, vault).await;
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        }
    };
    thread::Builder::new().name("database writer".to_owned()).spawn(move || runtime.block_on(writing))?;
    outcome.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?;
    Ok(door)
}

async fn write(pool: SqlitePool, mut log: WriteAhead, mut line: Line, changes: Changes, vault: Vault) {
    loop {
        let next = match timeout(QUIET, line.highest()).await {
            Ok(next) => next,
            Err(_) => {
                log.tidy(&pool, BUSY_TIMEOUT).await;
                line.highest().await
            }
        };
        let Some(priority) = next else { return };
        let mut kept = Vec::new();
        // It is no error if the caller was dropped.
        match commit(&pool, &mut line, priority, &mut kept, &vault).await {
            Ok((announcements, made)) => {
                changes.count(made);
                // First, so that a caller that has the result knows that the changes were announced.
                changes.announce(announcements);
                for answer in kept {
                    let _ = answer.send(Ok(()));
                }
                log.bound(&pool, BUSY_TIMEOUT).await;
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed");
                let error = Arc::new(error);
                for answer in kept.into_iter().chain(line.clear().map(|work| work.committed)) {
                    let _ = answer.send(Err(Error::Commit(error.clone())));
                }
            }
        }
    }
}

/// Runs waiting transactions of one priority in one commit, until a more urgent one arrives. Returns the announcements,
/// and the number of transactions that changed something. Senders of successful transactions are in `kept` until the
/// commit; failed ones are answered at once.
async fn commit(
    pool: &SqlitePool,
    line: &mut Line,
    priority: Priority,
    kept: &mut Vec<Answer>,
    vault: &Vault,
) -> Result<(Vec<Change>, u64), Error> {
    let mut tx = Tx::new(Conn::new(Backend::Sqlite(pool.acquire().await?), vault.clone()), line.waiting());
    match run(&mut tx, line, priority, kept).await {
        Ok(done) => Ok(done),
        Err(error) => {
            tx.undo().await;
            Err(error)
        }
    }
}

async fn run(
    tx: &mut Tx,
    line: &mut Line,
    priority: Priority,
    kept: &mut Vec<Answer>,
) -> Result<(Vec<Change>, u64), Error> {
    let begun = Instant::now();
    let (mut announcements, mut made) = (Vec::new(), 0);
    tx.command("BEGIN IMMEDIATE; SAVEPOINT one").await?;
    for number in 0..MOST_IN_A_COMMIT {
        if !line.leads(priority) {
            break;
        }
        if number > 0 {
            tx.command("RELEASE one; SAVEPOINT one").await?;
        }
        let Some(work) = line.next() else { break };
        histogram!("longshore_database_wait_seconds").record(work.since.elapsed());
        let outcome = AssertUnwindSafe(async { (work.run)(&mut *tx).await }).catch_unwind().await;
        let announced = std::mem::take(&mut tx.announcements);
        let changed = tx.conn.take_changed() || !announced.is_empty();
        if let Ok(true) = outcome {
            kept.push(work.committed);
            made += u64::from(changed);
            announcements.extend(announced);
        } else {
            // Its own error is returned, even if SQLite has already rolled everything back.
            let _ = work.committed.send(outcome.map(drop).map_err(|_| Error::Panicked));
            tx.command("ROLLBACK TO one").await?;
        }
    }
    tx.command("COMMIT").await?;
    counter!("longshore_database_commits_total").increment(1);
    histogram!("longshore_database_commit_seconds").record(begun.elapsed());
    histogram!("longshore_database_commit_transactions").record(kept.len() as f64);
    gauge!("longshore_database_waiting_transactions").set(line.length() as f64);
    Ok((announcements, made))
}
