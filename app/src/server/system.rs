//! The server itself.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::system;

use super::Answer;
#[cfg(feature = "ssr")]
use super::asked;

/// How the server is.
#[server(input = Json)]
pub async fn system_info() -> Answer<system::SystemInfo> {
    let (admin, actor) = asked().await?;
    Ok(admin.system(&actor).await?)
}
