//! Server functions that delete and restore tags.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest, TagRecord,
    tag::{DeletedTag, RestorePlan},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository, tag};
#[cfg(feature = "ssr")]
use longshore_model::Revision;

/// Deletes tags. Returns whether they can be restored.
#[server(input = Json)]
pub(super) async fn delete_tags(repository_name: String, names: Vec<String>) -> Answer<bool> {
    let (admin, actor) = asked()?;
    let names = names.iter().map(|name| tag(name)).collect::<Answer<Vec<_>>>()?;
    admin.delete_tags(&actor, &repository(&repository_name)?, &names).await?;
    Ok(admin.keeps_deleted())
}

/// The deleted tags of a repository that can be restored.
#[server(input = Json)]
pub(super) async fn deleted_tags(repository_name: String, page: PageRequest) -> Answer<Page<DeletedTag>> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_tags(&actor, &repository(&repository_name)?, &page).await?)
}

/// The effects of restoring a tag: its digest, and the policies that would act on it (semantics 22).
#[server(input = Json)]
pub(super) async fn plan_restore(
    repository_name: String,
    name: String,
    revision: i64,
) -> Answer<RestorePlan> {
    let (admin, actor) = asked()?;
    let (repository, name) = (repository(&repository_name)?, tag(&name)?);
    Ok(admin.plan_restore(&actor, &repository, &name, Revision(revision)).await?)
}

/// Points a tag to the manifest of an earlier revision again. `quietly` keeps policies from acting on the change.
#[server(input = Json)]
pub(super) async fn restore_tag(
    repository_name: String,
    name: String,
    revision: i64,
    quietly: bool,
) -> Answer<TagRecord> {
    let (admin, actor) = asked()?;
    let (repository, name) = (repository(&repository_name)?, tag(&name)?);
    Ok(admin.restore_tag(&actor, &repository, &name, Revision(revision), quietly).await?)
}
