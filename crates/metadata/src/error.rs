//! What can go wrong in the database.

use longshore_model::{Code, JobId};
use std::{sync::Arc, time::Duration};

/// A failure of the database or of what it keeps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be opened.
    #[error("the database {url} cannot be opened: {source}")]
    Open {
        /// Which, without a password.
        url: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The tables could not be brought up to date.
    #[error("the database cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The tables are those of another version of Longshore.
    #[error(
        "the database has the tables of another version of Longshore (number {there}, this one knows {here}): use \
         the version that the server has, or start the server with this one first"
    )]
    OtherVersion {
        /// The last change of its tables.
        there: i64,
        /// The last one that this version knows.
        here: i64,
    },
    /// A statement failed.
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// The database is no file.
    #[error("only SQLite databases can be written into a file")]
    NoFile,
    /// A row holds what this version cannot read.
    #[error("the database holds an unreadable {what}: {why}")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        why: String,
    },
    /// The name is taken.
    #[error("{what} {name} exists already")]
    Exists {
        /// What sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There are as many as there may be.
    #[error("{whose} has at most {most} {what}; delete some that nobody needs, then try again")]
    LimitReached {
        /// Of whom there are so many.
        whose: &'static str,
        /// What sort of thing.
        what: &'static str,
        /// How many there may be.
        most: i64,
    },
    /// What was given as the beginning of a page is that of another list.
    #[error(
        "this is not where a page of this list begins; send what the page before named, or nothing for the first page"
    )]
    NoSuchPage,
    /// The worker has lost its lease on the job, so it may change nothing any more (semantics 25).
    #[error("job {0} has been given to another worker")]
    LeaseLost(JobId),
    /// The row has another version than the change is based on, so nothing was written (semantics 33).
    #[error("the {what} was changed meanwhile; load it again, then repeat the change")]
    Stale {
        /// What sort of thing.
        what: &'static str,
        /// How people are told.
        code: Code,
    },
    /// A stored secret cannot be opened with the present key (semantics 30).
    #[error(
        "the stored secret is unreadable with this encryption key: type it again, or start the server with the key it was stored with"
    )]
    SecretUnreadable,
    /// The encryption key cannot be read or made.
    #[error("the encryption key {path}: {why}")]
    Key {
        /// Its file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The commit that should have made a change durable failed, and the change with it.
    #[error("the change was not made durable: {0}")]
    Commit(Arc<Error>),
    /// A transaction panicked; it was rolled back.
    #[error("a database transaction failed in an unexpected way; the log says where")]
    Panicked,
    /// It did not answer as soon as was asked.
    #[error("the database has not answered for {0:?}")]
    Unanswered(Duration),
    /// The server is shutting down.
    #[error("the database is closed")]
    Closed,
}

impl Error {
    /// Whether what was written refers to a row that is not there any more.
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return false };
        error.is_foreign_key_violation()
    }
}
