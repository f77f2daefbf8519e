//! What can go wrong between the model and its rows.

use std::sync::Arc;

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database could not be opened.
    #[error("the database {url} cannot be opened: {reason}")]
    Open {
        /// Where it is, without a password.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The schema could not be brought up to date.
    #[error("the database could not be brought to this version's schema: {0}")]
    Migrate(Arc<sqlx::migrate::MigrateError>),
    /// The database refused a statement, or cannot be reached.
    #[error("the database answered: {0}")]
    Sql(Arc<sqlx::Error>),
    /// The commit that should have made a change durable did not happen.
    #[error("the change was not made durable: {0}")]
    Commit(Arc<sqlx::Error>),
    /// A value in the database is not what this version writes.
    #[error("the database holds an unreadable {what}: {reason}")]
    Unreadable {
        /// Of what.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The name is taken.
    #[error("the {what} {name} exists already; choose another name")]
    Exists {
        /// Account, repository or remote.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The name belonged to something deleted and stays reserved (semantics 23).
    #[error("the name {name} belonged to a deleted repository and is still reserved; choose another name")]
    Reserved {
        /// The name.
        name: String,
    },
    /// What should be changed is not there (any more).
    #[error("there is no {what} {id}; it may have been deleted meanwhile")]
    NotFound {
        /// Of what kind.
        what: &'static str,
        /// Its identifier or name.
        id: String,
    },
    /// It cannot be deleted while something refers to it.
    #[error("the {what} {id} is still used by {users} mirrors; delete or change those first")]
    InUse {
        /// Of what kind.
        what: &'static str,
        /// Its identifier or name.
        id: String,
        /// By how many.
        users: u64,
    },
    /// Another worker has the job by now, or somebody ended it (semantics 25).
    #[error("this worker does not hold the job {job} any more; nothing was changed")]
    LeaseLost {
        /// Which.
        job: longshore_model::JobId,
    },
    /// A stored secret was sealed with another key (semantics 30).
    #[error(
        "secret unreadable: it was stored with another encryption key; restore the key file or type the \
         secret again"
    )]
    SecretUnreadable,
    /// The code of a transaction panicked; the transaction was rolled back.
    #[error("an internal error stopped the change; nothing was changed (the server's log has details)")]
    Panicked,
    /// The server is shutting down.
    #[error("the database is closed, the server is shutting down")]
    Closed,
}
