//! Accounts (users and organizations), actors (the callers of use cases) and authors (recorded with changes).

use crate::id::{AccountId, PolicyId};
use crate::policy::PolicyKind;
use jiff::Timestamp;
use longshore_oci::Namespace;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A user or an organization; its name is a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    /// The first part of the names of its repositories.
    pub name: Namespace,
    /// Organizations own repositories and cannot sign in.
    pub is_org: bool,
    /// Administrators may do everything, everywhere.
    pub is_admin: bool,
    pub created_at: Timestamp,
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserActor {
    pub id: AccountId,
    pub name: Namespace,
    /// Whether the account is an administrator now.
    pub is_admin: bool,
}

/// The caller of a use case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A caller without credentials.
    Anonymous,
    /// An authenticated user.
    User(UserActor),
}

impl Actor {
    #[must_use]
    pub fn user(&self) -> Option<&UserActor> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user),
        }
    }

    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.user().is_some_and(|user| user.is_admin)
    }
}

/// The author of a change, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// A user, with the name at that time.
    User { name: Namespace },
    /// A policy or mirror.
    Policy { id: PolicyId, policy: PolicyKind },
    /// The server itself.
    System,
}

impl From<&UserActor> for Author {
    fn from(user: &UserActor) -> Self {
        Self::User { name: user.name.clone() }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { name } => name.fmt(f),
            Self::Policy { policy, .. } => f.write_str(policy.noun()),
            Self::System => f.write_str("Longshore"),
        }
    }
}

/// A new account as an administrator enters it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewAccount {
    /// As typed; not validated yet.
    pub name: String,
    /// An organization has no password.
    pub is_org: bool,
    pub is_admin: bool,
    /// The first password of a user.
    pub password: Option<String>,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keeps the password out of logs.
        f.debug_struct("NewAccount")
            .field("name", &self.name)
            .field("is_org", &self.is_org)
            .field("is_admin", &self.is_admin)
            .finish_non_exhaustive()
    }
}
