//! What a request's proof rests on. A token, a stream, whatever was given for a credential, holds only
//! as long as that does (semantics 45).

use longshore_metadata::accounts::CredentialEpoch;
use longshore_model::{AccountId, Timestamp, UserActor};
use std::fmt;

/// The credentials of an account as they were when somebody proved to have them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credential {
    pub(crate) account: AccountId,
    pub(crate) epoch: CredentialEpoch,
    /// The hash of the session's token, where it was a session that proved it.
    pub(crate) session: Option<[u8; 32]>,
}

impl Credential {
    /// Whose it is.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("account", &self.account).finish_non_exhaustive()
    }
}

/// Somebody who proved to be who they say they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The user, as the account stands now.
    pub actor: UserActor,
    /// What the proof rests on.
    pub credential: Credential,
}

/// What is left of a credential that still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The user, as the account stands now.
    pub actor: UserActor,
    /// When the credential ends by itself: a session that nobody uses.
    pub until: Option<Timestamp>,
}
