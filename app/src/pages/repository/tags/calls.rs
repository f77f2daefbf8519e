//! Tags that are deleted and brought back: what the tab and its dialogs ask of the server.

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

/// Deletes tags. Answers whether they can be brought back.
#[server(input = Json)]
pub(super) async fn delete_tags(repository_name: String, names: Vec<String>) -> Answer<bool> {
    let (admin, actor) = asked()?;
    let names = names.iter().map(|name| tag(name)).collect::<Answer<Vec<_>>>()?;
    admin.delete_tags(&actor, &repository(&repository_name)?, &names).await?;
    Ok(admin.keeps_deleted())
}

/// The deleted tags of a repository that can be brought back.
#[server(input = Json)]
pub(super) async fn deleted_tags(repository_name: String, page: PageRequest) -> Answer<Page<DeletedTag>> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_tags(&actor, &repository(&repository_name)?, &page).await?)
}

/// What bringing a tag back would mean.
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

/// Lets a tag point to what it pointed to before.
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
