//! Typed identifiers. Each is a UUID; the types keep a job's identifier from being passed where a policy's is
//! expected.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier. Version 7, so that identifiers sort in the order of creation.
            #[must_use]
            #[cfg(not(target_arch = "wasm32"))]
            #[expect(clippy::new_without_default, reason = "two calls never give the same value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The time of creation, to the millisecond.
            #[must_use]
            pub fn made_at(&self) -> crate::Timestamp {
                let made = self.0.get_timestamp().map(|made| made.to_unix());
                let made = made.and_then(|(seconds, nanoseconds)| {
                    crate::Timestamp::new(seconds.try_into().ok()?, nanoseconds.cast_signed()).ok()
                });
                made.unwrap_or(crate::Timestamp::UNIX_EPOCH)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A user or an organization.
    AccountId,
    /// A repository; the same for the repository's whole life.
    RepositoryId,
    /// A promotion policy, push mirror or pull mirror.
    PolicyId,
    /// A saved connection to another registry.
    RemoteId,
    /// One unit of background work.
    JobId,
    /// A blob upload in progress.
    UploadId,
    /// One run of one server process; owns leases.
    BootId,
    /// The storage that holds the bytes of one registry.
    StoreId,
}
