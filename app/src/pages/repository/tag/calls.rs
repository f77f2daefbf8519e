//! One tag: what its page and the dialogs over it ask of the server.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    TagRecord,
    job::Job,
    policy::RemoteChoice,
    tag::{self, TagChange},
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository, tag};
#[cfg(feature = "ssr")]
use longshore_model::Revision;

/// Everything about one tag.
#[server(input = Json)]
pub(super) async fn tag_detail(repository_name: String, name: String) -> Answer<tag::TagDetail> {
    let (admin, actor) = asked()?;
    Ok(admin.tag(&actor, &repository(&repository_name)?, &tag(&name)?).await?)
}

/// Changes of a tag before one of them, newest first; none behind the oldest.
#[server(input = Json)]
pub(super) async fn earlier_changes(
    repository_name: String,
    name: String,
    before: i64,
) -> Answer<Vec<TagChange>> {
    let (admin, actor) = asked()?;
    let (repository, name) = (repository(&repository_name)?, tag(&name)?);
    Ok(admin.tag_history(&actor, &repository, &name, Some(Revision(before))).await?)
}

/// Leaves a pinned tag to its pull mirror again.
#[server(input = Json)]
pub(super) async fn release_tag(repository_name: String, name: String) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.release_tag(&actor, &repository(&repository_name)?, &tag(&name)?).await?)
}

/// Promotes one tag by hand.
#[server(input = Json)]
pub(super) async fn promote_tag(
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
pub(super) async fn push_tag(
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
