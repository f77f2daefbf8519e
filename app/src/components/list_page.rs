//! Lists that are read page by page: the frame of a page that is one, and the part that every list has.

use leptos::{either::Either, prelude::*};
use longshore_model::Page;
use serde::{Serialize, de::DeserializeOwned};

use super::{Awaitable, ListPager, LoadedBeside, PageHeader, PageTitle};
use crate::{live::ConnectionNotice, server::Answer};

/// A page that is a list: its heading, what one can do there, and whether it still follows what happens.
#[component]
pub fn ListPage(
    /// What it lists, as a noun.
    title: &'static str,
    /// What one can do there.
    #[prop(optional, into)]
    actions: Option<ViewFnOnce>,
    /// Whether the connection is lost by which it follows what happens, where it does.
    #[prop(optional)]
    lost: Option<ReadSignal<bool>>,
    /// The filter, the list, and the place for dialogs.
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

/// One page of a list, or what stands in the place of an empty one, and the way to the other pages.
#[component]
pub fn PagedList<T, B, E, R>(
    /// The list. A blocking resource, where the page's status depends on it.
    resource: Resource<Answer<Page<T>>>,
    /// What else its rows are made of; `()` where that is nothing.
    beside: B,
    /// What stands in the place of an empty list.
    empty: E,
    /// The table.
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

/// Grows with each change of what a list shows, so that it is read anew. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Changes(RwSignal<usize>);

/// The changes of a list, which the dialogs over it take part in.
#[must_use]
pub fn provide_changes() -> Changes {
    let changes = Changes(RwSignal::new(0));
    provide_context(changes);
    changes
}

/// The changes of the list around.
///
/// # Panics
/// Outside of a list that provides them.
#[must_use]
pub fn use_changes() -> Changes {
    use_context().expect("a list is around its dialogs")
}

impl Changes {
    /// How many there were; a part of the source of the list.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.get()
    }

    /// Says that something was changed.
    pub fn changed(self) {
        self.0.update(|changes| *changes += 1);
    }
}
