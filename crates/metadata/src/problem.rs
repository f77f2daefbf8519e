//! The problem that people see when the database fails: it says what they can do; the rest is logged.

use crate::Error;
use longshore_model::{Code, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::SecretUnreadable => Self::field(Code::SecretNeeded, "password", error.to_string()),
            Error::Stale { code, .. } => Self::new(code, error.to_string()),
            Error::NoSuchPage => Self::field(Code::InvalidRequest, "pageStart", error.to_string()),
            Error::LimitReached { .. } => Self::new(Code::LimitReached, error.to_string()),
            Error::Unreadable { what, .. } => {
                tracing::error!(%error, "a value in the database cannot be read");
                Self::new(
                    Code::Internal,
                    format!(
                        "this version of Longshore cannot read a value in the database ({what}), perhaps because a newer \
                         one wrote it; ask an administrator to look at the server's log and to update it"
                    ),
                )
            }
            error => {
                tracing::error!(%error, "the database failed");
                Self::new(
                    Code::Internal,
                    "the server could not read or write its database; try again, and ask an administrator to \
                     look at the server's log if this persists",
                )
            }
        }
    }
}
