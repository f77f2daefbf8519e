//! Server functions for creating repositories, and for deleted ones.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest, Repository,
    repository::{self, NewRepository, PurgePlan},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository};

/// Creates a repository.
#[server(input = Json)]
pub(super) async fn create_repository(draft: NewRepository) -> Answer<Repository> {
    let (admin, actor) = asked()?;
    Ok(admin.create_repository(&actor, draft).await?)
}

/// The deleted repositories that the user may restore.
#[server(input = Json)]
pub(super) async fn deleted_repositories(page: PageRequest) -> Answer<Page<repository::DeletedRepository>> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_repositories(&actor, &page).await?)
}

/// A deleted repository, and what purging it would do.
#[server(input = Json)]
pub(super) async fn deleted_repository(name: String) -> Answer<PurgePlan> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_repository(&actor, &repository(&name)?).await?)
}

/// Purges a deleted repository permanently.
#[server(input = Json)]
pub(super) async fn purge_repository(name: String) -> Answer<PurgePlan> {
    let (admin, actor) = asked()?;
    Ok(admin.purge_repository(&actor, &repository(&name)?).await?)
}
