//! The one writer of a SQLite database: a task that gathers the transactions that wait into one
//! commit, so that a commit's fsync is shared. Each keeps its own fate: it runs in a savepoint, and
//! one that fails or panics is undone alone.

use crate::{
    Change, Error, Tx, Vault,
    changes::Changes,
    conn::{Backend, Conn},
};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use std::{panic::AssertUnwindSafe, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Which transactions go first when several wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// What an event leads to: finished before new events are taken in.
    Evaluation,
    /// Everything else.
    Normal,
}

/// One commit gathers at most this many transactions, so that none waits for long.
const MOST_IN_A_COMMIT: usize = 64;
/// More than this many waiting transactions make callers wait before they can ask.
const QUEUE: usize = 1024;

/// What a transaction does; it answers whether its work shall be kept.
pub(crate) type Run = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, bool> + Send>;

/// A transaction that waits. Its result goes to the caller by a channel of its own.
pub(crate) struct Work {
    pub priority: Priority,
    pub run: Run,
    pub committed: oneshot::Sender<Result<(), Error>>,
}

/// Starts the writer and answers where to send work.
pub(crate) async fn start(
    options: SqliteConnectOptions,
    changes: Changes,
    vault: Vault,
) -> Result<mpsc::Sender<Work>, sqlx::Error> {
    let pool =
        sqlx::pool::PoolOptions::new().max_connections(1).min_connections(1).connect_with(options).await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(write(pool, receiver, changes, vault));
    Ok(sender)
}

async fn write(pool: SqlitePool, mut waiting: mpsc::Receiver<Work>, changes: Changes, vault: Vault) {
    let mut batch = Vec::with_capacity(MOST_IN_A_COMMIT);
    while waiting.recv_many(&mut batch, MOST_IN_A_COMMIT).await > 0 {
        batch.sort_by_key(|work| work.priority);
        let mut kept = Vec::with_capacity(batch.len());
        // Whoever is not there any more to hear the answer does not need it.
        match commit(&pool, &mut batch, &mut kept, &vault).await {
            Ok(announcements) => {
                // First, so that who has the answer knows that it was announced.
                changes.announce(announcements);
                for answer in kept {
                    let _ = answer.send(Ok(()));
                }
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed");
                let error = Arc::new(error);
                for answer in kept.into_iter().chain(batch.drain(..).map(|work| work.committed)) {
                    let _ = answer.send(Err(Error::Commit(error.clone())));
                }
            }
        }
    }
}

/// Runs a batch in one commit and answers what is to be announced. Those whose work is kept wait in
/// `kept` for the commit; those whose work failed are answered at once.
async fn commit(
    pool: &SqlitePool,
    batch: &mut Vec<Work>,
    kept: &mut Vec<oneshot::Sender<Result<(), Error>>>,
    vault: &Vault,
) -> Result<Vec<Change>, Error> {
    let mut tx = Tx::new(Conn::new(Backend::Sqlite(pool.acquire().await?), vault.clone()));
    match run_all(&mut tx, batch, kept).await {
        Ok(announcements) => Ok(announcements),
        Err(error) => {
            tx.undo().await;
            Err(error)
        }
    }
}

async fn run_all(
    tx: &mut Tx,
    batch: &mut Vec<Work>,
    kept: &mut Vec<oneshot::Sender<Result<(), Error>>>,
) -> Result<Vec<Change>, Error> {
    let mut announcements = Vec::new();
    tx.command("BEGIN IMMEDIATE").await?;
    // One by one, so that those behind are still in the batch when the transaction as a whole breaks.
    batch.reverse();
    while let Some(work) = batch.pop() {
        tx.command("SAVEPOINT one").await?;
        let outcome = AssertUnwindSafe(async { (work.run)(&mut *tx).await }).catch_unwind().await;
        let announced = std::mem::take(&mut tx.announcements);
        if let Ok(true) = outcome {
            kept.push(work.committed);
            announcements.extend(announced);
        } else {
            // Its own failure is its answer, even where SQLite has undone everything already.
            let _ = work.committed.send(outcome.map(drop).map_err(|_| Error::Panicked));
            tx.command("ROLLBACK TO one").await?;
        }
        tx.command("RELEASE one").await?;
    }
    tx.command("COMMIT").await?;
    Ok(announcements)
}
