//! The endpoints, one file per subject: each parses, calls one use case of `admin`, and presents
//! what came of it. Permissions are `admin`'s business.

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

/// What an endpoint answers.
pub(crate) type Answer<T> = Result<T, ApiError>;

/// A change that names only some of the settings, the rest being as they are (semantics 33). It reads the newest
/// version and writes over exactly that one; where somebody else was faster, it is made over what they left, unless
/// the client has named the version that it knows.
pub(crate) struct Merge {
    named: Option<Version>,
    tries: u32,
}

impl Merge {
    /// A change over the version that the client has named, or over the newest.
    pub(crate) fn over(named: Option<i64>) -> Self {
        // Whoever changes something more often than this meanwhile does so on purpose.
        Self { named: named.map(Version), tries: 8 }
    }

    /// The version that the client has named.
    pub(crate) fn named(&self) -> Option<Version> {
        self.named
    }

    /// The version to write over, where `now` was read.
    pub(crate) fn based_on(&self, now: Version) -> Version {
        self.named.unwrap_or(now)
    }

    /// Whether to read and write once more, since somebody else was faster.
    pub(crate) fn again<T>(&mut self, written: &Result<T, Problem>) -> bool {
        let conflict = written
            .as_ref()
            .is_err_and(|problem| matches!(problem.code, Code::PolicyChanged | Code::RemoteChanged));
        self.tries = self.tries.saturating_sub(1);
        conflict && self.named.is_none() && self.tries > 0
    }
}
