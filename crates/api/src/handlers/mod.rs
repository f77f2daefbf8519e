//! The endpoints, one file per subject. A handler parses the request, calls one use case of `admin` and presents the
//! result; permissions are checked by `admin`.

pub(crate) mod accounts;
pub(crate) mod activity;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod meta;
pub(crate) mod mirroring;
pub(crate) mod pauses;
pub(crate) mod poll_mirroring;
pub(crate) mod promotion_policies;
pub(crate) mod push_mirroring;
pub(crate) mod remotes;
pub(crate) mod repositories;
pub(crate) mod storage;
pub(crate) mod tags;
pub(crate) mod undo;

use crate::error::ApiError;
use longshore_model::{Code, Problem, Version};

/// The result of a handler.
pub(crate) type Answer<T> = Result<T, ApiError>;

/// A change that sets only some of the settings and keeps the others (semantics 33). It reads the newest version and
/// writes over exactly that one. After a concurrent change it reads and writes again, unless the client has named the
/// version that its change is based on.
pub(crate) struct Merge {
    named: Option<Version>,
    tries: u32,
}

impl Merge {
    /// A change over the version that the client has named, or over the newest one if `None`.
    pub(crate) fn over(named: Option<i64>) -> Self {
        // More concurrent changes than this are a permanent conflict.
        Self { named: named.map(Version), tries: 8 }
    }

    /// The version that the client has named.
    pub(crate) fn named(&self) -> Option<Version> {
        self.named
    }

    /// The version to write over, if `now` was read.
    pub(crate) fn based_on(&self, now: Version) -> Version {
        self.named.unwrap_or(now)
    }

    /// Whether to read and write again after a concurrent change.
    pub(crate) fn again<T>(&mut self, written: &Result<T, Problem>) -> bool {
        let conflict = written
            .as_ref()
            .is_err_and(|problem| matches!(problem.code, Code::PolicyChanged | Code::RemoteChanged));
        self.tries = self.tries.saturating_sub(1);
        conflict && self.named.is_none() && self.tries > 0
    }
}
