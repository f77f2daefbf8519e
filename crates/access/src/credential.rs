//! Credentials that have been checked. Tokens, streams and anything else that was issued for a credential are valid
//! only as long as it is (semantics 45).

use longshore_metadata::accounts::CredentialEpoch;
use longshore_model::{AccountId, Timestamp, UserActor};
use std::fmt;

/// The credentials of an account as they were when they were checked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credential {
    pub(crate) account: AccountId,
    pub(crate) epoch: CredentialEpoch,
    /// The hash of the session's token, if the credential is a session.
    pub(crate) session: Option<[u8; 32]>,
}

impl Credential {
    /// The account that the credential belongs to.
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

/// A user who has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The user, with the current state of the account.
    pub actor: UserActor,
    pub credential: Credential,
}

/// A credential that is still valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The user, with the current state of the account.
    pub actor: UserActor,
    /// When the credential expires; for a session, if it is not used until then.
    pub until: Option<Timestamp>,
}
