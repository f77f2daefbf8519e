//! Bringing back what was overwritten or deleted.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest, Repository, TagRecord,
    repository::{self, PurgePlan},
    tag::{DeletedTag, RestorePlan, TagChange},
};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, repository, tag};
#[cfg(feature = "ssr")]
use longshore_model::Revision;

/// The deleted tags of a repository that can be brought back.
#[server(input = Json)]
pub async fn deleted_tags(repository_name: String, page: PageRequest) -> Answer<Page<DeletedTag>> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_tags(&actor, &repository(&repository_name)?, &page).await?)
}

/// Changes of a tag before one of them, newest first; none behind the oldest.
#[server(input = Json)]
pub async fn earlier_changes(repository_name: String, name: String, before: i64) -> Answer<Vec<TagChange>> {
    let (admin, actor) = asked()?;
    let (repository, name) = (repository(&repository_name)?, tag(&name)?);
    Ok(admin.tag_history(&actor, &repository, &name, Some(Revision(before))).await?)
}

/// What bringing a tag back would mean.
#[server(input = Json)]
pub async fn plan_restore(repository_name: String, name: String, revision: i64) -> Answer<RestorePlan> {
    let (admin, actor) = asked()?;
    let (repository, name) = (repository(&repository_name)?, tag(&name)?);
    Ok(admin.plan_restore(&actor, &repository, &name, Revision(revision)).await?)
}

/// Lets a tag point to what it pointed to before.
#[server(input = Json)]
pub async fn restore_tag(
    repository_name: String,
    name: String,
    revision: i64,
    quietly: bool,
) -> Answer<TagRecord> {
    let (admin, actor) = asked()?;
    let (repository, name) = (repository(&repository_name)?, tag(&name)?);
    Ok(admin.restore_tag(&actor, &repository, &name, Revision(revision), quietly).await?)
}

/// Leaves a pinned tag to its pull mirror again.
#[server(input = Json)]
pub async fn release_tag(repository_name: String, name: String) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.release_tag(&actor, &repository(&repository_name)?, &tag(&name)?).await?)
}

/// The deleted repositories that the reader may bring back.
#[server(input = Json)]
pub async fn deleted_repositories(page: PageRequest) -> Answer<Page<repository::DeletedRepository>> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_repositories(&actor, &page).await?)
}

/// One of them, and what its purge would mean.
#[server(input = Json)]
pub async fn deleted_repository(name: String) -> Answer<PurgePlan> {
    let (admin, actor) = asked()?;
    Ok(admin.deleted_repository(&actor, &repository(&name)?).await?)
}

/// Brings a deleted repository back.
#[server(input = Json)]
pub async fn restore_repository(name: String) -> Answer<Repository> {
    let (admin, actor) = asked()?;
    Ok(admin.restore_repository(&actor, &repository(&name)?).await?)
}

/// Removes a deleted repository for good.
#[server(input = Json)]
pub async fn purge_repository(name: String) -> Answer<PurgePlan> {
    let (admin, actor) = asked()?;
    Ok(admin.purge_repository(&actor, &repository(&name)?).await?)
}
