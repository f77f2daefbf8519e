//! Who there is (accounts) and who does something (actors and authors).

use crate::id::{AccountId, PolicyId};
use crate::policy::PolicyKind;
use jiff::Timestamp;
use longshore_oci::Namespace;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A user or an organization; its name is a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// Its name, the first part of the names of its repositories.
    pub name: Namespace,
    /// Organizations own repositories and cannot sign in.
    pub is_org: bool,
    /// Administrators may do everything, everywhere.
    pub is_admin: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserActor {
    /// The account.
    pub id: AccountId,
    /// The account's name.
    pub name: Namespace,
    /// Whether the account is an administrator at this moment.
    pub is_admin: bool,
}

/// Who asks for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody in particular.
    Anonymous,
    /// A user who proved to be one.
    User(UserActor),
}

impl Actor {
    /// The user, when there is one.
    #[must_use]
    pub fn user(&self) -> Option<&UserActor> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user),
        }
    }

    /// Whether this is an administrator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.user().is_some_and(|user| user.is_admin)
    }
}

/// Who did something, as records keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// A user, by the name at that time.
    User {
        /// The user's name.
        name: Namespace,
    },
    /// A policy or mirror.
    Policy {
        /// Which one.
        id: PolicyId,
        /// Its kind.
        policy: PolicyKind,
    },
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

/// An account as an administrator fills it in.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewAccount {
    /// Its name, as typed.
    pub name: String,
    /// An organization; it has no password.
    pub is_org: bool,
    /// A user who is an administrator.
    pub is_admin: bool,
    /// A user's first password.
    pub password: Option<String>,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of logs, whoever prints the draft.
        f.debug_struct("NewAccount")
            .field("name", &self.name)
            .field("is_org", &self.is_org)
            .field("is_admin", &self.is_admin)
            .finish_non_exhaustive()
    }
}
