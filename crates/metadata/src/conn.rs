//! A connection, a transaction, and the one macro that runs a statement on either database.
//! Statements stand in the module that owns the rows; what differs between the two databases
//! stands in `dialect`.

use crate::vault::Vault;
use longshore_model::{JobId, RepositoryId};
use sqlx::pool::PoolConnection;
use std::ops::{Deref, DerefMut};

/// What happened, told to whoever listens once it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// There is a job that could be claimed.
    JobsWaiting,
    /// A job is new or changed.
    Job(JobId),
    /// A job wrote to its log.
    JobLog(JobId),
    /// Tags of a repository changed.
    Tags(RepositoryId),
}

/// A connection to the database, for reading.
pub struct Conn {
    pub(crate) backend: Backend,
    vault: Vault,
}

/// The two databases.
pub(crate) enum Backend {
    Sqlite(PoolConnection<sqlx::Sqlite>),
    Postgres(PoolConnection<sqlx::Postgres>),
}

impl Conn {
    pub(crate) fn new(backend: Backend, vault: Vault) -> Self {
        Self { backend, vault }
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }
}

/// A transaction: everything a closure does through it becomes durable together, or not at all.
pub struct Tx {
    conn: Conn,
    changes: Vec<Change>,
}

impl Tx {
    pub(crate) fn new(conn: Conn) -> Self {
        Self { conn, changes: Vec::new() }
    }

    /// Tells listeners of `change` after the commit; a transaction that is rolled back tells nothing.
    pub fn announce(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

impl Deref for Tx {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// One statement in both dialects; most are the same text twice.
#[derive(Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl From<&'static str> for Statement {
    fn from(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
}

/// Runs one statement on whichever database the connection speaks to:
///
/// - `sql!(run, conn, "…", binds…)`: the number of rows it changed;
/// - `sql!(all Row, …)`, `sql!(optional Row, …)`, `sql!(one Row, …)`: rows through `FromRow`;
/// - `sql!(value T, …)`: the one column of the one row.
macro_rules! sql {
    (run, $conn:expr, $statement:expr $(, $bind:expr)* $(,)?) => {{
        let statement = $crate::conn::Statement::from($statement);
        match &mut $conn.backend {
            $crate::conn::Backend::Sqlite(conn) => sqlx::query::<sqlx::Sqlite>(statement.sqlite)
                $(.bind($bind))*.execute(&mut **conn).await.map(|done| done.rows_affected()),
            $crate::conn::Backend::Postgres(conn) => sqlx::query::<sqlx::Postgres>(statement.postgres)
                $(.bind($bind))*.execute(&mut **conn).await.map(|done| done.rows_affected()),
        }
    }};
    (all $row:ty, $($rest:tt)*) => { $crate::conn::sql!(@rows fetch_all, $row, $($rest)*) };
    (one $row:ty, $($rest:tt)*) => { $crate::conn::sql!(@rows fetch_one, $row, $($rest)*) };
    (optional $row:ty, $($rest:tt)*) => { $crate::conn::sql!(@rows fetch_optional, $row, $($rest)*) };
    (value $row:ty, $($rest:tt)*) => {
        $crate::conn::sql!(@rows fetch_one, ($row,), $($rest)*).map(|(value,)| value)
    };
    (@rows $fetch:ident, $row:ty, $conn:expr, $statement:expr $(, $bind:expr)* $(,)?) => {{
        let statement = $crate::conn::Statement::from($statement);
        match &mut $conn.backend {
            $crate::conn::Backend::Sqlite(conn) => {
                sqlx::query_as::<sqlx::Sqlite, $row>(statement.sqlite)$(.bind($bind))*.$fetch(&mut **conn).await
            }
            $crate::conn::Backend::Postgres(conn) => {
                sqlx::query_as::<sqlx::Postgres, $row>(statement.postgres)$(.bind($bind))*.$fetch(&mut **conn).await
            }
        }
    }};
}
pub(crate) use sql;
