//! Whether something is there. Some registries answer 403 where others answer 404, so what a 403 means depends on
//! why one asks (semantics 40).

use crate::{Error, Refusal};

/// What looking at something showed.
#[derive(Debug, Clone)]
pub enum Presence<T> {
    /// It is there.
    There(T),
    /// It is not there.
    Missing,
    /// The registry will not say: it is not there (Artifactory), or it is not for these credentials.
    Forbidden(Box<Refusal>),
}

impl<T> Presence<T> {
    /// For what need not exist (a tag that is about to be pushed, a signature): forbidden is not there.
    pub fn optional(self) -> Option<T> {
        match self {
            Presence::There(found) => Some(found),
            Presence::Missing | Presence::Forbidden(_) => None,
        }
    }

    /// For what was asked for: forbidden is an error.
    pub fn required(self) -> Result<Option<T>, Error> {
        match self {
            Presence::There(found) => Ok(Some(found)),
            Presence::Missing => Ok(None),
            Presence::Forbidden(refusal) => Err(Error::Refused(refusal)),
        }
    }
}
