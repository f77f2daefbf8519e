//! The errors of the database.

use longshore_model::{Code, JobId};
use std::{sync::Arc, time::Duration};

/// The database failed, or its content does not permit the operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be opened.
    #[error("the database {url} cannot be opened: {source}")]
    Open {
        /// Without the password.
        url: String,
        source: sqlx::Error,
    },
    /// The tables could not be migrated.
    #[error("the database cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The tables are those of another version of Longshore.
    #[error(
        "the database has the tables of another version of Longshore (migration {there}, this one knows {here}): use \
         the version that the server has, or start the server with this one first"
    )]
    OtherVersion {
        /// The last migration of the database.
        there: i64,
        /// The last migration that this version knows.
        here: i64,
    },
    /// A statement failed.
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// The database is not a file.
    #[error("only SQLite databases can be written into a file")]
    NoFile,
    /// This version cannot read the content of a row.
    #[error("the database holds an unreadable {what}: {why}")]
    Unreadable {
        /// The kind of value.
        what: &'static str,
        why: String,
    },
    /// The name is taken.
    #[error("{what} {name} already exists")]
    Exists {
        /// The kind of thing, with its article.
        what: &'static str,
        name: String,
    },
    /// The limit on the number of things is reached.
    #[error("{whose} has at most {most} {what}; delete some of them, then try again")]
    LimitReached {
        /// Whose limit it is, such as `a namespace`.
        whose: &'static str,
        /// The kind of thing, in the plural.
        what: &'static str,
        /// The maximum number.
        most: i64,
    },
    /// The cursor belongs to another list.
    #[error(
        "the cursor is not one of this list; send one that a page of this list returned, or none for the first page"
    )]
    NoSuchPage,
    /// The worker has lost its lease on the job, so it must not change anything (semantics 25).
    #[error("job {0} has been given to another worker")]
    LeaseLost(JobId),
    /// The version of the row is not the one that the change is based on, so nothing was written (semantics 33).
    #[error("the {what} was changed in the meantime; load it again, then repeat the change")]
    Stale {
        /// The kind of thing.
        what: &'static str,
        /// The code of the resulting problem.
        code: Code,
    },
    /// A stored secret cannot be decrypted with the current key (semantics 30).
    #[error(
        "the stored secret cannot be decrypted with this encryption key: enter it again, or start the server with the \
         key that it was stored with"
    )]
    SecretUnreadable,
    /// The encryption key cannot be read or created.
    #[error("the encryption key {path}: {why}")]
    Key {
        /// The path of its file.
        path: String,
        why: String,
    },
    /// The commit failed, so the changes are lost.
    #[error("the change could not be committed: {0}")]
    Commit(Arc<Error>),
    /// A transaction panicked and was rolled back.
    #[error("a database transaction failed unexpectedly; see the log")]
    Panicked,
    /// The database did not answer within the given time.
    #[error("the database has not answered for {0:?}")]
    Unanswered(Duration),
    /// The server is shutting down.
    #[error("the database is closed")]
    Closed,
}

impl Error {
    /// Whether a row that was written refers to one that no longer exists.
    #[must_use]
    pub fn is_dangling(&self) -> bool {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return false };
        error.is_foreign_key_violation()
    }
}
