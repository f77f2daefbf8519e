//! The server itself: what the System page asks of it.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{job, view};

use crate::server::Answer;
#[cfg(feature = "ssr")]
use crate::server::asked;

/// How the server is.
#[server(input = Json)]
pub(super) async fn system_info() -> Answer<view::SystemInfo> {
    let (admin, actor) = asked()?;
    Ok(admin.system(&actor).await?)
}

/// Verifies everything that is stored.
#[server(input = Json)]
pub(super) async fn scrub() -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.scrub(&actor).await?)
}

/// Removes what nothing needs any more, or only looks for it.
#[server(input = Json)]
pub(super) async fn collect_garbage(dry_run: bool) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.collect_garbage(&actor, dry_run).await?)
}
