//! Server functions for saved connections to other registries.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest, RemoteId, Version,
    connect::ConnectReport,
    remote::{self, RemoteDraft},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::asked;

/// The remotes that the user may use.
#[server(input = Json)]
pub(super) async fn remotes(search: Option<String>, page: PageRequest) -> Answer<Page<remote::Remote>> {
    let (admin, actor) = asked()?;
    Ok(admin.remotes(&actor, search.as_deref(), &page).await?)
}

/// One remote.
#[server(input = Json)]
pub(super) async fn remote(id: RemoteId) -> Answer<remote::Remote> {
    let (admin, actor) = asked()?;
    Ok(admin.remote(&actor, id).await?)
}

/// Creates a remote, or updates the one that was loaded, based on its version at that time.
#[server(input = Json)]
pub(super) async fn save_remote(
    loaded: Option<(RemoteId, Version)>,
    draft: RemoteDraft,
) -> Answer<remote::Remote> {
    let (admin, actor) = asked()?;
    Ok(match loaded {
        None => admin.create_remote(&actor, draft).await?,
        Some((id, version)) => admin.change_remote(&actor, id, version, draft).await?,
    })
}

/// Deletes a remote that no mirror uses.
#[server(input = Json)]
pub(super) async fn delete_remote(id: RemoteId) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.delete_remote(&actor, id).await?)
}

/// Tests a saved remote.
#[server(input = Json)]
pub(super) async fn test_remote(id: RemoteId) -> Answer<ConnectReport> {
    let (admin, actor) = asked()?;
    Ok(admin.test_remote(&actor, id).await?)
}
