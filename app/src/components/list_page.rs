//! Paginated lists: the frame of a list page, and the part that all lists share.

use leptos::{either::Either, prelude::*};
use longshore_model::Page;
use serde::{Serialize, de::DeserializeOwned};

use super::{Awaitable, ListPager, LoadedBeside, PageHeader, PageTitle};
use crate::{live::ConnectionNotice, server::Answer};

/// A list page: heading, actions, and a notice when live updates are lost.
#[component]
pub fn ListPage(
    /// A noun.
    title: &'static str,
    #[prop(optional, into)] actions: Option<ViewFnOnce>,
    /// Whether the connection for live updates is lost, if the page has one.
    #[prop(optional)]
    lost: Option<ReadSignal<bool>>,
    /// Filters, list and dialog outlet.
    children: Children,
) -> impl IntoView {
    view! {
        <PageTitle text=title/>
        {match actions {
            Some(actions) => Either::Left(view! { <PageHeader title=title>{actions.run()}</PageHeader> }),
            None => Either::Right(view! { <PageHeader title=title/> }),
        }}
        {lost.map(|lost| view! { <ConnectionNotice lost=lost/> })}
        {children()}
    }
}

/// One page of a list, or its replacement if empty, with links to the other pages.
#[component]
pub fn PagedList<T, B, E, R>(
    /// Must be blocking if the page's status depends on it.
    resource: Resource<Answer<Page<T>>>,
    /// A second resource that the rows need; `()` if there is none.
    beside: B,
    /// Shown instead of an empty list.
    empty: E,
    /// Renders the table.
    table: R,
) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    B: Awaitable,
    E: Fn(B::Output) -> AnyView + Clone + Send + Sync + 'static,
    R: Fn(Vec<T>, B::Output) -> AnyView + Clone + Send + Sync + 'static,
{
    let children = move |page: Page<T>, beside: B::Output| {
        let pager = view! { <ListPager page=&page/> };
        let list = match page.items.is_empty() {
            true => empty(beside),
            false => table(page.items, beside),
        };
        view! {
            {list}
            {pager}
        }
    };
    view! { <LoadedBeside resource=resource beside=beside children=children/> }
}

/// Counts the changes to a list, so that it is read again. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Changes(RwSignal<usize>);

/// Provides the counter to the dialogs over the list.
#[must_use]
pub fn provide_changes() -> Changes {
    let changes = Changes(RwSignal::new(0));
    provide_context(changes);
    changes
}

/// The counter of the surrounding list.
///
/// # Panics
/// Outside a list that provides one.
#[must_use]
pub fn use_changes() -> Changes {
    use_context().expect("a list is around its dialogs")
}

impl Changes {
    /// The number of changes; part of the list resource's source.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.get()
    }

    /// Counts a change.
    pub fn changed(self) {
        self.0.update(|changes| *changes += 1);
    }
}
