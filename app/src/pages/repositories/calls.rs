//! Repositories that are made, and those that were deleted: what the lists and their dialogs ask of the server.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest, Repository,
    repository::{self, NewRepository, PurgePlan},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository};

/// Makes a repository.
#[server(input = Json)]
pub(super) async fn create_repository(draft: NewRepository) -> Answer<Repository> {
    let (admin, actor) = asked()?;
    Ok(admin.create_repository(&actor, draft).await?)
}

/// The deleted repositories that the reader may bring back.
#[server(input = Json)]
pub(super) async fn deleted_repositories(page: PageRequest) -> Answer<Page<repository::DeletedRepository>> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_repositories(&actor, &page).await?)
}

/// One of them, and what its purge would mean.
#[server(input = Json)]
pub(super) async fn deleted_repository(name: String) -> Answer<PurgePlan> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_repository(&actor, &repository(&name)?).await?)
}

/// Removes a deleted repository for good.
#[server(input = Json)]
pub(super) async fn purge_repository(name: String) -> Answer<PurgePlan> {
    let (admin, actor) = asked()?;
    Ok(admin.purge_repository(&actor, &repository(&name)?).await?)
}
