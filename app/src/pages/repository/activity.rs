//! The Activity tab.

use leptos::prelude::*;
use longshore_model::activity::ActivityFilter;

use super::{tab::RepositoryTab, use_repository};
use crate::{
    components::{ActivityTable, EmptyState, PagedList, use_list_query},
    routes::Route,
    server::activity,
};

pub(super) const TAB: RepositoryTab =
    RepositoryTab::new("Activity", Route::new("activity", || RepositoryActivity().into_any()));

/// The activity of the repository, newest first.
#[component]
pub fn RepositoryActivity() -> impl IntoView {
    let here = use_repository();
    let query = use_list_query();
    let list = Resource::new_blocking(
        move || (here.name.get(), query.get()),
        |(name, query)| {
            activity(ActivityFilter { repository: name.parse().ok(), ..Default::default() }, query.page())
        },
    );
    view! {
        <PagedList
            resource=list
            beside=()
            empty=|()| view! {
                <EmptyState title="Nothing has happened yet">
                    <p>"Pushes, promotions, mirror runs and changes of settings appear here."</p>
                </EmptyState>
            }
            .into_any()
            table=|items, ()| view! { <ActivityTable items=items with_repository=false/> }.into_any()
        />
    }
}
