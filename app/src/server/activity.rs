//! Activity.

use leptos::{prelude::*, server_fn::codec::Json};
use longshore_model::{
    Page, PageRequest,
    activity::{self, ActivityFilter},
};

use super::Answer;
#[cfg(feature = "ssr")]
use super::asked;

/// The activity that the user may see, newest first.
#[server(input = Json)]
pub async fn activity(filter: ActivityFilter, page: PageRequest) -> Answer<Page<activity::Activity>> {
    let (admin, actor) = asked()?;
    Ok(admin.activity(&actor, &filter, &page).await?)
}
