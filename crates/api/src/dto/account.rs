//! Accounts, as DTR's account service had them.

use jiff::Timestamp;
use longshore_model::Account as Model;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::extract::Wire;

/// A user or an organization.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Its identifier.
    id: Uuid,
    /// Its name, the first part of the names of its repositories.
    #[schema(example = "dev")]
    name: String,
    /// A name for people; the name itself.
    full_name: String,
    /// Whether it is an organization.
    is_org: bool,
    /// Whether it may do everything, everywhere.
    is_admin: bool,
    /// Whether it can be used; always so.
    is_active: bool,
    /// When it was made.
    created_at: Timestamp,
}

impl From<Model> for Account {
    fn from(account: Model) -> Self {
        Self {
            id: account.id.0,
            name: account.name.to_string(),
            full_name: account.name.to_string(),
            is_org: account.is_org,
            is_admin: account.is_admin,
            is_active: true,
            created_at: account.created_at,
        }
    }
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accounts {
    /// The accounts, by name.
    pub(crate) accounts: Vec<Account>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_start: String,
    /// How many there are on all pages; absent where that is more than 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource_count: Option<u64>,
}

/// Which accounts a list holds.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountQuery {
    /// One sort alone.
    #[param(inline)]
    pub(crate) filter: Option<AccountSort>,
    /// Part of the name.
    search: Option<String>,
}

impl AccountQuery {
    pub(crate) fn search(&self) -> Option<&str> {
        self.search.as_deref().filter(|search| !search.is_empty())
    }
}

/// A sort of accounts.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountSort {
    /// Both.
    All,
    /// Users.
    Users,
    /// Organizations.
    Orgs,
}

/// A new user or organization.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateAccount {
    /// Its name.
    #[serde(default)]
    #[schema(example = "dev")]
    pub(crate) name: String,
    /// Whether it is an organization: owns repositories, cannot sign in.
    #[serde(default)]
    pub(crate) is_org: bool,
    /// Whether it may do everything, everywhere.
    #[serde(default)]
    pub(crate) is_admin: bool,
    /// A user's password.
    #[schema(format = Password, write_only)]
    pub(crate) password: Option<String>,
}

impl Wire for CreateAccount {}

/// A new password for a user.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangePassword {
    /// The one that holds until now; administrators need it for themselves alone.
    #[schema(format = Password, write_only)]
    pub(crate) old_password: Option<String>,
    /// The one that shall hold.
    #[serde(default)]
    #[schema(format = Password, write_only)]
    pub(crate) new_password: String,
}

impl Wire for ChangePassword {}
