//! The Activity page: the activity in all repositories that the user can see.

use leptos::prelude::*;
use longshore_model::activity::ActivityFilter;

use crate::{
    components::{ActivityTable, EmptyState, ListPage, ListQuery, PagedList, SearchBox, use_list_query},
    routes::{Reader, Route, Section},
    server,
};

pub(super) const SECTION: Section = Section {
    label: "Activity",
    reader: Reader::Anybody,
    key: None,
    page: Route::new("/activity", || Activity().into_any()),
    more: &[],
};

/// The activity, newest first.
#[component]
pub fn Activity() -> impl IntoView {
    let query = use_list_query();
    let page = Resource::new_blocking(
        move || query.get(),
        |query: ListQuery| async move { server::activity(filter(&query), query.page()).await },
    );
    let searched = Signal::derive(move || query.with(ListQuery::search).unwrap_or_default());
    view! {
        <ListPage title=SECTION.label>
        <SearchBox action=SECTION.page.path() value=searched label="Repository or namespace"/>
        <PagedList
            resource=page
            beside=()
            empty=move |()| empty(searched.get_untracked().is_empty()).into_any()
            table=|items, ()| view! { <ActivityTable items=items with_repository=true/> }.into_any()
        />
        </ListPage>
    }
}

/// A full name selects a repository, a single word a namespace; an invalid name is ignored.
fn filter(query: &ListQuery) -> ActivityFilter {
    ActivityFilter { repository: query.parsed("q"), namespace: query.parsed("q") }
}

fn empty(all: bool) -> impl IntoView {
    let (title, advice) = match all {
        true => (
            "Nothing has happened yet",
            "Pushes, promotions, mirror runs and changes of settings appear here.",
        ),
        false => (
            "Nothing has happened there",
            "Write a namespace, such as dev, or a whole repository, such as dev/website.",
        ),
    };
    view! { <EmptyState title=title><p>{advice}</p></EmptyState> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_activity_is_filtered_by_repository_or_namespace() {
        let asked = |words| filter(&ListQuery::of(&[("q", words)]));
        assert!(asked("dev/website").repository.is_some() && asked("dev/website").namespace.is_none());
        assert!(asked("dev").namespace.is_some() && asked("dev").repository.is_none());
        assert_eq!(asked(""), ActivityFilter::default());
    }
}
