//! Saved connections to other registries, for selection.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::remote;

use super::Answer;
#[cfg(feature = "ssr")]
use super::asked;
#[cfg(feature = "ssr")]
use longshore_model::PageRequest;

/// All remotes that the user may use.
#[server(input = Json)]
pub async fn all_remotes() -> Answer<Vec<remote::Remote>> {
    let (admin, actor) = asked()?;
    let (mut all, mut page) = (Vec::new(), PageRequest::first(PageRequest::MAX));
    loop {
        let remotes = admin.remotes(&actor, None, &page).await?;
        all.extend(remotes.items);
        match remotes.next {
            Some(next) => page.start = Some(next),
            None => return Ok(all),
        }
    }
}
