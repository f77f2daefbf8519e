//! Whether something is there. Some registries answer 400, 401 or 403 where others answer 404, so what such an answer
//! means depends on why one asks (semantics 40).

use crate::Error;

/// What looking at something showed.
#[derive(Debug)]
pub enum Presence<T> {
    /// It is there.
    There(T),
    /// It is not there.
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
