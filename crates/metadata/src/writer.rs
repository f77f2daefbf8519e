//! The one writer of a SQLite database: a task that gathers the transactions that wait into one
//! commit, so that a commit's fsync is shared. Each keeps its own fate: it runs in a savepoint, and
//! one that fails or panics is undone alone.

use crate::{
    Error, Tx, Vault,
    changes::Changes,
    conn::{Backend, Conn},
};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use std::panic::AssertUnwindSafe;
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
    let pool = sqlx::pool::PoolOptions::new().max_connections(1).min_connections(1).connect_with(options).await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(write(pool, receiver, changes, vault));
    Ok(sender)
}

async fn write(pool: SqlitePool, mut waiting: mpsc::Receiver<Work>, changes: Changes, vault: Vault) {
    let mut batch = Vec::with_capacity(MOST_IN_A_COMMIT);
    while waiting.recv_many(&mut batch, MOST_IN_A_COMMIT).await > 0 {
        batch.sort_by_key(|work| work.priority);
        if let Err(error) = commit(&pool, &mut batch, &changes, &vault).await {
            tracing::error!(%error, "a commit failed");
        }
        // Whoever is still waiting learns of it by the dropped channel.
        batch.clear();
    }
}

async fn commit(pool: &SqlitePool, batch: &mut Vec<Work>, changes: &Changes, vault: &Vault) -> Result<(), Error> {
    let mut tx = Tx::new(Conn::new(Backend::Sqlite(pool.acquire().await?), vault.clone()));
    tx.command("BEGIN IMMEDIATE").await?;
    let mut kept = Vec::with_capacity(batch.len());
    let mut announcements = Vec::new();
    for work in batch.drain(..) {
        tx.command("SAVEPOINT one").await?;
        let outcome = AssertUnwindSafe((work.run)(&mut tx)).catch_unwind().await;
        let mut announced = std::mem::take(&mut tx.announcements);
        match outcome {
            Ok(true) => {
                announcements.append(&mut announced);
                tx.command("RELEASE one").await?;
                kept.push(work.committed);
            }
            failed => {
                tx.command("ROLLBACK TO one").await?;
                tx.command("RELEASE one").await?;
                let answer = if failed.is_ok() { Ok(()) } else { Err(Error::Panicked) };
                // The caller may have gone; then nobody needs the answer.
                let _ = work.committed.send(answer);
            }
        }
    }
    let committed = tx.command("COMMIT").await;
    match committed {
        Ok(()) => {
            for answer in kept {
                let _ = answer.send(Ok(()));
            }
            changes.announce(announcements);
            Ok(())
        }
        Err(error) => {
            tx.command("ROLLBACK").await?;
            Err(error)
        }
    }
}
