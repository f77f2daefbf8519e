//! Server functions for users and organizations.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{Account, Page, PageRequest, account::NewAccount, repository};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, namespace, peer, refused};

/// Users (`orgs` false) or organizations (`orgs` true).
#[server(input = Json)]
pub(super) async fn accounts(search: Option<String>, orgs: bool, page: PageRequest) -> Answer<Page<Account>> {
    let (admin, actor) = asked()?;
    Ok(admin.accounts(&actor, search.as_deref(), Some(orgs), &page).await?)
}

/// Creates a user or an organization.
#[server(input = Json)]
pub(super) async fn create_account(draft: NewAccount) -> Answer<Account> {
    let (admin, actor) = asked()?;
    let NewAccount { name, is_org, is_admin, password } = draft;
    let new = longshore_admin::NewAccount { name, is_org, is_admin, password: password.map(Into::into) };
    Ok(admin.create_account(&actor, new).await?)
}

/// The storage used by a namespace, and its quota.
#[server(input = Json)]
pub(super) async fn namespace_storage(name: String) -> Answer<repository::NamespaceStorage> {
    let (admin, actor) = asked()?;
    Ok(admin.namespace_storage(&actor, &namespace(&name)?).await?)
}

/// Sets the quota of a namespace, in bytes.
#[server(input = Json)]
pub(super) async fn set_quota(name: String, quota: Option<u64>) -> Answer<repository::NamespaceStorage> {
    let (admin, actor) = asked()?;
    Ok(admin.set_quota(&actor, &namespace(&name)?, quota).await?)
}

/// Sets a password: a user's own requires the old one; an administrator may set anyone's.
#[server(input = Json)]
pub(super) async fn change_password(name: String, old: Option<String>, new: String) -> Answer<()> {
    let (admin, actor) = asked()?;
    let name = namespace(&name)?;
    match admin.change_password(&actor, &name, old.map(Into::into), new.into(), peer()?).await {
        Ok(()) => Ok(()),
        Err(problem) => Err(refused(problem)),
    }
}
