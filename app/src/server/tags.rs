//! The tags of a repository.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{Page, PageRequest, tag::TagSummary};

use super::Answer;
#[cfg(feature = "ssr")]
use super::{asked, repository};

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
