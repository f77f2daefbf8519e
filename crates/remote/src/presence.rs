//! Whether a resource exists. Some registries return 400, 401 or 403 where others return 404, so the meaning depends on
//! why the client asked (semantics 40).

use crate::Error;

/// The result of a check.
#[derive(Debug)]
pub enum Presence<T> {
    /// It exists.
    There(T),
    /// It does not exist.
    Missing,
    /// The registry will not say: it is not there (Artifactory says so with 403), or it is not for these
    /// credentials.
    Unsaid(Error),
}

impl<T> Presence<T> {
    /// For what need not exist (a tag that is about to be pushed, a signature): unsaid is not there.
    pub fn optional(self) -> Option<T> {
        match self {
            Presence::There(found) => Some(found),
            Presence::Missing | Presence::Unsaid(_) => None,
        }
    }

    /// For what was asked for: unsaid is an error.
    pub fn required(self) -> Result<Option<T>, Error> {
        match self {
            Presence::There(found) => Ok(Some(found)),
            Presence::Missing => Ok(None),
            Presence::Unsaid(error) => Err(error),
        }
    }
}
