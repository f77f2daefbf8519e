//! Users and organizations.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{Account, Page, PageRequest, account::NewAccount};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, namespace, peer};

/// Users (`orgs` false) or organizations (`orgs` true).
#[server(input = Json)]
pub async fn accounts(search: Option<String>, orgs: bool, page: PageRequest) -> Answer<Page<Account>> {
    let (admin, actor) = asked().await?;
    Ok(admin.accounts(&actor, search.as_deref(), Some(orgs), &page).await?)
}

/// Makes a user or an organization.
#[server(input = Json)]
pub async fn create_account(draft: NewAccount) -> Answer<Account> {
    let (admin, actor) = asked().await?;
    let NewAccount { name, is_org, is_admin, password } = draft;
    let new = longshore_admin::NewAccount { name, is_org, is_admin, password: password.map(Into::into) };
    Ok(admin.create_account(&actor, new).await?)
}

/// Sets a password: one's own with the old one, another's as an administrator.
#[server(input = Json)]
pub async fn change_password(name: String, old: Option<String>, new: String) -> Answer<()> {
    let (admin, actor) = asked().await?;
    let name = namespace(&name)?;
    Ok(admin.change_password(&actor, &name, old.map(Into::into), new.into(), peer().await?).await?)
}
