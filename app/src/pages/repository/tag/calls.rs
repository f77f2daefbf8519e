//! Server functions of a tag's page and its dialogs.

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

/// The details of a tag: manifest, history, and the verdicts of the policies.
#[server(input = Json)]
pub(super) async fn tag_detail(repository_name: String, name: String) -> Answer<tag::TagDetail> {
    let (admin, actor) = asked()?;
    Ok(admin.tag(&actor, &repository(&repository_name)?, &tag(&name)?).await?)
}

/// The changes of a tag before revision `before`, newest first; empty if there are none.
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

/// Removes the pin of a tag, so that its pull mirror may move it again.
#[server(input = Json)]
pub(super) async fn release_tag(repository_name: String, name: String) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.release_tag(&actor, &repository(&repository_name)?, &tag(&name)?).await?)
}

/// Promotes a tag manually.
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

/// Queues a manual push of a tag to another registry.
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
