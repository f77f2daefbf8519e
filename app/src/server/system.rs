//! The server itself.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::view;

use super::Answer;
#[cfg(feature = "ssr")]
use super::asked;

/// How the server is.
#[server(input = Json)]
pub async fn system_info() -> Answer<view::SystemInfo> {
    let (admin, actor) = asked().await?;
    Ok(admin.system(&actor).await?)
}
