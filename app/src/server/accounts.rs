//! Users and organizations.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{Account, Page, PageRequest, account::NewAccount};

use super::Answer;
#[cfg(feature = "ssr")]
use super::asked;

/// Users (`orgs` false) or organizations (`orgs` true).
#[server(input = Json)]
pub async fn accounts(search: Option<String>, orgs: bool, page: PageRequest) -> Answer<Page<Account>> {
    let (admin, actor) = asked().await?;
    Ok(admin.accounts(&actor, search, Some(orgs), &page).await?)
}

/// Makes a user or an organization.
#[server(input = Json)]
pub async fn create_account(draft: NewAccount) -> Answer<Account> {
    let (admin, actor) = asked().await?;
    Ok(admin.create_account(&actor, draft).await?)
}

/// Sets a password: one's own with the old one, another's as an administrator.
#[server(input = Json)]
pub async fn change_password(name: String, old: Option<String>, new: String) -> Answer<()> {
    let (admin, actor) = asked().await?;
    Ok(admin.change_password(&actor, &name, old.map(Into::into), new.into()).await?)
}
