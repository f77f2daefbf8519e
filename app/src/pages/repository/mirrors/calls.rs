//! Server functions of the Mirrors tab and its dialogs, including *Connect*.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    PolicyId,
    connect::{ConnectReport, ConnectRequest},
    job::Job,
    policy::{self, Loaded, PullMirrorDraft, PushMirrorDraft, Save},
    view,
};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::{asked, repository};

/// The push and pull mirrors of a repository.
#[server(input = Json)]
pub(super) async fn mirrors(repository_name: String) -> Answer<Vec<policy::Mirror>> {
    let (admin, actor) = asked()?;
    Ok(admin.mirrors(&actor, &repository(&repository_name)?).await?)
}

/// One mirror.
#[server(input = Json)]
pub(super) async fn mirror(repository_name: String, id: PolicyId) -> Answer<policy::Mirror> {
    let (admin, actor) = asked()?;
    Ok(admin.mirror(&actor, &repository(&repository_name)?, id).await?)
}

/// Tests the given settings against the remote registry (semantics 27).
#[server(input = Json)]
pub(super) async fn connect(repository_name: String, request: ConnectRequest) -> Answer<ConnectReport> {
    let (admin, actor) = asked()?;
    Ok(admin.connect(&actor, Some(&repository(&repository_name)?), &request).await?)
}

/// The tags of the remote repository, for the preview of a pull mirror.
#[server(input = Json)]
pub(super) async fn remote_tags(
    repository_name: String,
    request: ConnectRequest,
) -> Answer<view::RemoteTags> {
    let (admin, actor) = asked()?;
    Ok(admin.remote_tags(&actor, &repository(&repository_name)?, &request).await?)
}

/// Creates a push mirror, or changes the loaded one.
#[server(input = Json)]
pub(super) async fn save_push_mirror(
    repository_name: String,
    loaded: Option<Loaded>,
    draft: PushMirrorDraft,
    save: Save,
) -> Answer<()> {
    let (admin, actor) = asked()?;
    let local = repository(&repository_name)?;
    match loaded {
        None => admin.create_push_mirror(&actor, &local, draft, save).await?,
        Some(Loaded { id, version }) => {
            admin.change_push_mirror(&actor, &local, id, version, draft, save).await?
        }
    };
    Ok(())
}

/// Creates a pull mirror, or changes the loaded one.
#[server(input = Json)]
pub(super) async fn save_pull_mirror(
    repository_name: String,
    loaded: Option<Loaded>,
    draft: PullMirrorDraft,
    save: Save,
) -> Answer<()> {
    let (admin, actor) = asked()?;
    let local = repository(&repository_name)?;
    match loaded {
        None => admin.create_pull_mirror(&actor, &local, draft, save).await?,
        Some(Loaded { id, version }) => {
            admin.change_pull_mirror(&actor, &local, id, version, draft, save).await?
        }
    };
    Ok(())
}

/// Enables or disables a mirror. Enabling fails if the mirror has changed since it was loaded, so that one that has
/// stopped in the meantime is not restarted by accident.
#[server(input = Json)]
pub(super) async fn enable_mirror(repository_name: String, loaded: Loaded, enabled: bool) -> Answer<()> {
    let (admin, actor) = asked()?;
    let based_on = enabled.then_some(loaded.version);
    let local = repository(&repository_name)?;
    admin.enable_mirror(&actor, &local, loaded.id, based_on, enabled).await?;
    Ok(())
}

/// Deletes a mirror. The tags that it copied are kept.
#[server(input = Json)]
pub(super) async fn delete_mirror(repository_name: String, id: PolicyId) -> Answer<()> {
    let (admin, actor) = asked()?;
    Ok(admin.delete_mirror(&actor, &repository(&repository_name)?, id).await?)
}

/// Queues a poll of a pull mirror.
#[server(input = Json)]
pub(super) async fn sync_now(repository_name: String, id: PolicyId) -> Answer<Job> {
    let (admin, actor) = asked()?;
    Ok(admin.sync_now(&actor, &repository(&repository_name)?, id).await?)
}
