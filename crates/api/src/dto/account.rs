//! Accounts, in the shape of DTR's account service.

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
    /// The identifier.
    id: Uuid,
    /// The name, which is the namespace of the account's repositories.
    #[schema(example = "dev")]
    name: String,
    /// The display name; always the same as `name`.
    full_name: String,
    /// Whether the account is an organization.
    is_org: bool,
    /// Whether the account is an administrator.
    is_admin: bool,
    /// Whether the account is active; always true.
    is_active: bool,
    /// The time of creation.
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
    /// The accounts, ordered by name.
    pub(crate) accounts: Vec<Account>,
    /// The start of the next page; empty on the last page.
    pub(crate) next_page_start: String,
    /// The number of accounts on all pages; absent if there are more than 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource_count: Option<u64>,
}

/// A filter for the list of accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountQuery {
    /// The kind of accounts to list.
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

/// A kind of accounts.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountSort {
    /// Users and organizations.
    All,
    /// Users only.
    Users,
    /// Organizations only.
    Orgs,
}

/// A new user or organization.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateAccount {
    /// The name.
    #[serde(default)]
    #[schema(example = "dev")]
    pub(crate) name: String,
    /// Whether the account is an organization, which owns repositories and cannot sign in.
    #[serde(default)]
    pub(crate) is_org: bool,
    /// Whether the account is an administrator.
    #[serde(default)]
    pub(crate) is_admin: bool,
    /// The password of a user; omitted for organizations.
    #[schema(format = Password, write_only)]
    pub(crate) password: Option<String>,
}

impl Wire for CreateAccount {}

/// A new password for a user.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangePassword {
    /// The current password; required to change one's own.
    #[schema(format = Password, write_only)]
    pub(crate) old_password: Option<String>,
    /// The new password.
    #[serde(default)]
    #[schema(format = Password, write_only)]
    pub(crate) new_password: String,
}

impl Wire for ChangePassword {}
