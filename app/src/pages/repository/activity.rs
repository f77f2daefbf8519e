//! The Activity tab.

use leptos::{either::Either, prelude::*};
use longshore_model::activity::ActivityFilter;

use super::{tab::RepositoryTab, use_repository};
use crate::{
    components::{ActivityTable, EmptyState, ListPager, Loaded, use_list_query},
    routes::Route,
    server::activity,
};

/// The tab.
pub(super) const TAB: RepositoryTab =
    RepositoryTab::new("Activity", Route::new("activity", || RepositoryActivity().into_any()));

/// What happened in the repository, newest first.
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
        <Loaded resource=list let:page>
            {if page.items.is_empty() {
                Either::Left(view! {
                    <EmptyState title="Nothing has happened yet">
                        <p>"Pushes, promotions, mirror runs and changes of settings appear here."</p>
                    </EmptyState>
                })
            } else {
                Either::Right(view! {
                    <ActivityTable items=page.items.clone() with_repository=false/>
                    <ListPager page=&page/>
                })
            }}
        </Loaded>
    }
}
