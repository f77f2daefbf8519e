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

/// What an endpoint answers.
pub(crate) type Answer<T> = Result<T, crate::error::ApiError>;
