//! Saved connections to other registries.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest, RemoteId, Version,
    connect::ConnectReport,
    remote::{self, RemoteDraft},
};

use super::Answer;
#[cfg(feature = "ssr")]
use super::asked;

/// The remotes that the reader may use.
#[server(input = Json)]
pub async fn remotes(search: Option<String>, page: PageRequest) -> Answer<Page<remote::Remote>> {
    let (admin, actor) = asked()?;
    Ok(admin.remotes(&actor, search.as_deref(), &page).await?)
}

/// All remotes that the reader may use, to choose one from.
#[server(input = Json)]
pub async fn all_remotes() -> Answer<Vec<remote::Remote>> {
    let (admin, actor) = asked()?;
    let (mut all, mut page) = (Vec::new(), PageRequest::first(PageRequest::MAX));
    loop {
        let remotes = admin.remotes(&actor, None, &page).await?;
        all.extend(remotes.items);
        match remotes.next {
            Some(next) => page.start = Some(next),
            None => return Ok(all),
        }
    }
}

/// One remote.
#[server(input = Json)]
pub async fn remote(id: RemoteId) -> Answer<remote::Remote> {
    let (admin, actor) = asked()?;
    Ok(admin.remote(&actor, id).await?)
}

/// Makes a remote, or changes the one that was loaded, from the version that it had then.
#[server(input = Json)]
pub async fn save_remote(loaded: Option<(RemoteId, Version)>, draft: RemoteDraft) -> Answer<remote::Remote> {
    let (admin, actor) = asked()?;
    Ok(match loaded {
        None => admin.create_remote(&actor, draft).await?,
        Some((id, version)) => admin.change_remote(&actor, id, version, draft).await?,
    })
}

/// Deletes a remote that no mirror uses.
#[server(input = Json)]
pub async fn delete_remote(id: RemoteId) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.delete_remote(&actor, id).await?)
}

/// Tests a remote as it is saved.
#[server(input = Json)]
pub async fn test_remote(id: RemoteId) -> Answer<ConnectReport> {
    let (admin, actor) = asked()?;
    Ok(admin.test_remote(&actor, id).await?)
}
