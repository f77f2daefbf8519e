//! The server itself.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{job, view};

use super::Answer;
#[cfg(feature = "ssr")]
use super::asked;

/// How the server is.
#[server(input = Json)]
pub async fn system_info() -> Answer<view::SystemInfo> {
    let (admin, actor) = asked()?;
    Ok(admin.system(&actor).await?)
}

/// Verifies everything that is stored.
#[server(input = Json)]
pub async fn scrub() -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.scrub(&actor).await?)
}

/// Removes what nothing needs any more, or only looks for it.
#[server(input = Json)]
pub async fn collect_garbage(dry_run: bool) -> Answer<job::Job> {
    let (admin, actor) = asked()?;
    Ok(admin.collect_garbage(&actor, dry_run).await?)
}
