//! Server functions for the System page.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{job, view};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::asked;

/// The state of the server.
#[server(input = Json)]
pub(super) async fn system_info() -> Answer<view::SystemInfo> {
    let (admin, actor) = asked()?;
    Ok(admin.system(&actor).await?)
}

/// Starts a scrub of everything stored.
#[server(input = Json)]
pub(super) async fn scrub() -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.scrub(&actor).await?)
}

/// Starts a garbage collection, or a dry run of one.
#[server(input = Json)]
pub(super) async fn collect_garbage(dry_run: bool) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.collect_garbage(&actor, dry_run).await?)
}
