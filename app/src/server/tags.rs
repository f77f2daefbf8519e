//! Tags: lists, the answer page, and what a person does to one by hand.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest, TagRecord,
    job::Job,
    policy::RemoteChoice,
    tag::{self, TagSummary},
};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, repository, tag};

/// The tags of a repository.
#[server(input = Json)]
pub async fn tags(
    repository_name: String,
    search: Option<String>,
    page: PageRequest,
) -> Answer<Page<TagSummary>> {
    let (admin, actor) = asked()?;
    Ok(admin.tags(&actor, &repository(&repository_name)?, search.as_deref(), &page).await?)
}

/// Everything about one tag.
#[server(input = Json)]
pub async fn tag_detail(repository_name: String, name: String) -> Answer<tag::TagDetail> {
    let (admin, actor) = asked()?;
    Ok(admin.tag(&actor, &repository(&repository_name)?, &tag(&name)?).await?)
}

/// Deletes tags. Answers whether they can be brought back.
#[server(input = Json)]
pub async fn delete_tags(repository_name: String, names: Vec<String>) -> Answer<bool> {
    let (admin, actor) = asked()?;
    let names = names.iter().map(|name| tag(name)).collect::<Answer<Vec<_>>>()?;
    admin.delete_tags(&actor, &repository(&repository_name)?, &names).await?;
    Ok(admin.keeps_deleted())
}

/// Promotes one tag by hand.
#[server(input = Json)]
pub async fn promote_tag(
    repository_name: String,
    name: String,
    target: String,
    target_tag: String,
) -> Answer<TagRecord> {
    let (admin, actor) = asked()?;
    Ok(admin.promote_tag(&actor, &repository(&repository_name)?, &tag(&name)?, &target, &target_tag).await?)
}

/// Sends one tag to another registry by hand.
#[server(input = Json)]
pub async fn push_tag(
    repository_name: String,
    name: String,
    remote: RemoteChoice,
    remote_repository: String,
    remote_tag: String,
) -> Answer<Job> {
    let (admin, actor) = asked()?;
    Ok(admin
        .push_tag(
            &actor,
            &repository(&repository_name)?,
            &tag(&name)?,
            remote,
            &remote_repository,
            &remote_tag,
        )
        .await?)
}
