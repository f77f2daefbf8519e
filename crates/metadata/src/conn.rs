//! A connection to either database, and the macros that run a statement on either.

use crate::{Change, Error, Vault, line::Waiting, turn::Turn};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{Postgres, Sqlite, pool::PoolConnection};
use std::{
    ops::{Deref, DerefMut},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A connection for reading.
pub struct Conn {
    pub(crate) backend: Backend,
    vault: Vault,
    /// Whether rows were changed since the last call of `take_changed`.
    changed: bool,
    /// The number of statements that read something.
    asked: Arc<AtomicU64>,
}

pub(crate) enum Backend {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A running transaction. It can be used like a [`Conn`].
pub struct Tx {
    pub(crate) conn: Conn,
    pub(crate) announcements: Vec<Change>,
    others: Waiting,
}

impl Tx {
    pub(crate) fn new(conn: Conn, others: Waiting) -> Self {
        Self { conn, announcements: Vec::new(), others }
    }

    /// Begins the transaction's turn. The time it waited for the writer does not count.
    #[must_use]
    pub fn begin_turn(&self) -> Turn {
        Turn::begin(self.others.clone())
    }

    /// Announces a change to other servers after the commit.
    pub fn announce(&mut self, change: Change) {
        if !self.announcements.contains(&change) {
            self.announcements.push(change);
        }
    }

    /// Runs a part of the transaction that may fail alone: if it returns an error or panics, its changes and
    /// announcements are rolled back, and the rest is kept.
    ///
    /// # Errors
    /// The outer one: the whole transaction is broken.
    pub async fn attempt<T, F>(&mut self, part: F) -> Result<Result<T, Error>, Error>
    where
        F: for<'t> FnOnce(&'t mut Self) -> BoxFuture<'t, Result<T, Error>>,
    {
        self.command("SAVEPOINT part").await?;
        let announced = self.announcements.len();
        let outcome = AssertUnwindSafe(async { part(self).await }).catch_unwind().await;
        let outcome = outcome.unwrap_or(Err(Error::Panicked));
        if outcome.is_err() {
            self.announcements.truncate(announced);
            self.command("ROLLBACK TO SAVEPOINT part").await?;
        }
        self.command("RELEASE SAVEPOINT part").await?;
        Ok(outcome)
    }

    /// Rolls the transaction back. If that fails, the connection is never used again: the next transaction must not run
    /// inside this one.
    pub(crate) async fn undo(mut self) {
        if let Err(error) = self.command("ROLLBACK").await {
            tracing::warn!(%error, "a transaction could not be rolled back; its connection is closed");
            self.conn.close_on_drop();
        }
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

impl Conn {
    pub(crate) fn new(backend: Backend, vault: Vault) -> Self {
        Self { backend, vault, changed: false, asked: Arc::default() }
    }

    /// The same connection, which counts its reading statements there.
    pub(crate) fn counting(self, asked: Arc<AtomicU64>) -> Self {
        Self { asked, ..self }
    }

    /// The backend for a reading statement, which is counted.
    pub(crate) fn asking(&mut self) -> &mut Backend {
        self.asked.fetch_add(1, Relaxed);
        &mut self.backend
    }

    /// Records the number of rows that a statement changed.
    pub(crate) fn note_changed(&mut self, rows: u64) {
        self.changed |= rows > 0;
    }

    /// Whether rows were changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Decrypts the secrets that are read.
    pub(crate) fn vault(&self) -> Vault {
        self.vault.clone()
    }

    /// Closes the connection instead of returning it to the pool.
    pub(crate) fn close_on_drop(&mut self) {
        match &mut self.backend {
            Backend::Sqlite(conn) => conn.close_on_drop(),
            Backend::Postgres(conn) => conn.close_on_drop(),
        }
    }

    /// Runs a statement without parameters, such as `BEGIN`.
    pub(crate) async fn command(&mut self, sql: &'static str) -> Result<(), Error> {
        match &mut self.backend {
            Backend::Sqlite(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop)?,
            Backend::Postgres(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop)?,
        }
        Ok(())
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }
}

/// Runs a statement on either database: `on_either!(conn, query_as::<Row>, fetch_all, "…", a, b)`.
macro_rules! on_either {
    ($conn:expr, $query:ident $(::<$row:ty>)?, $how:ident, $sql:expr $(, $value:expr)* $(,)?) => {
        match $conn.asking() {
            $crate::conn::Backend::Sqlite(conn) =>
                sqlx::$query$(::<_, $row>)?($sql)$(.bind($value))*.$how(&mut **conn).await,
            $crate::conn::Backend::Postgres(conn) =>
                sqlx::$query$(::<_, $row>)?($sql)$(.bind($value))*.$how(&mut **conn).await,
        }
    };
}

/// Returns all rows.
macro_rules! rows {
    ($conn:expr, $row:ty, $($rest:tt)*) => {
        $crate::conn::on_either!($conn, query_as::<$row>, fetch_all, $($rest)*)
    };
}

/// Returns the first row, if any.
macro_rules! row {
    ($conn:expr, $row:ty, $($rest:tt)*) => {
        $crate::conn::on_either!($conn, query_as::<$row>, fetch_optional, $($rest)*)
    };
}

/// Returns the single value of the single row.
macro_rules! value {
    ($conn:expr, $row:ty, $($rest:tt)*) => {
        $crate::conn::on_either!($conn, query_scalar::<$row>, fetch_one, $($rest)*)
    };
}

/// Changes rows; returns the number of them.
macro_rules! change {
    ($conn:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        let changed = match &mut $conn.backend {
            $crate::conn::Backend::Sqlite(conn) =>
                sqlx::query($sql)$(.bind($value))*.execute(&mut **conn).await.map(|done| done.rows_affected()),
            $crate::conn::Backend::Postgres(conn) =>
                sqlx::query($sql)$(.bind($value))*.execute(&mut **conn).await.map(|done| done.rows_affected()),
        };
        $conn.note_changed(*changed.as_ref().unwrap_or(&0));
        changed
    }};
}

/// Declares a struct that is read from the columns with the names of its fields; the field after `and` is read from the
/// same row. sqlx can derive this, but its macros would compile both database drivers a second time, for the compiler.
macro_rules! from_row {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident { $($field_vis:vis $field:ident: $type:ty),* $(,)? }
        $(and $inner:ident: $inner_type:ty)?
    ) => {
        $(#[$doc])*
        $vis struct $name { $($field_vis $field: $type,)* $($inner: $inner_type,)? }

        impl<'r, R> sqlx::FromRow<'r, R> for $name
        where
            R: sqlx::Row,
            &'static str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)*
            $($inner_type: sqlx::FromRow<'r, R>,)?
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    $($field: sqlx::Row::try_get(row, stringify!($field))?,)*
                    $($inner: sqlx::FromRow::from_row(row)?,)?
                })
            }
        }
    };
}

pub(crate) use {change, from_row, on_either, row, rows, value};
