//! The list of remotes.

use leptos::{either::Either, prelude::*};
use leptos_router::components::Outlet;
use longshore_model::{PauseScope, Remote, pause::PauseView};

use super::{
    SECTION,
    calls::remotes,
    row::{RemoteActions, RemoteRow},
};
use crate::{
    components::{
        ButtonKind, ButtonLink, EmptyState, ListPage, ListQuery, PagedList, SearchBox, Table,
        provide_changes, use_list_query,
    },
    pages::repository::{changes_anything, follow_everything},
    pauses::{is_paused, known_pauses},
    server::Answer,
};

/// The remotes that the user may use, with the dialogs that create and edit them.
#[component]
pub fn Remotes() -> impl IntoView {
    let query = use_list_query();
    let changes = provide_changes();
    let paused = known_pauses();
    let actions = RemoteActions::new(changes);
    let page = Resource::new_blocking(
        move || (query.get(), changes.count()),
        |(query, _): (ListQuery, usize)| remotes(query.search(), query.page()),
    );
    // Every finished job updates the health of a remote.
    let lost = follow_everything(changes_anything, move || changes.changed());
    let searched = Signal::derive(move || query.with(ListQuery::search).unwrap_or_default());
    let table = move |remotes: Vec<Remote>, paused: Answer<Vec<PauseView>>| {
        let paused = paused.unwrap_or_default();
        let row = |remote: Remote| {
            let paused = is_paused(&paused, &PauseScope::Remote(remote.id));
            view! { <RemoteRow remote=remote paused=paused actions=actions/> }
        };
        let rows: Vec<_> = remotes.into_iter().map(row).collect();
        let columns = vec!["Remote", "Kind", "User", "Used by", "Health", ""];
        view! { <Table label="Remotes" columns=columns>{rows}</Table> }.into_any()
    };
    view! {
        <ListPage title=SECTION.label lost=lost actions=make>
        <SearchBox action=SECTION.page.path() value=searched label="Search the remotes"/>
        <PagedList
            resource=page
            beside=paused
            empty=move |_| empty(searched.get_untracked().is_empty()).into_any()
            table=table
        />
        <Outlet/>
        </ListPage>
    }
}

/// The actions of the list.
fn make() -> impl IntoView {
    view! { <ButtonLink dialog=true href="/remotes/new" kind=ButtonKind::Primary>"New remote"</ButtonLink> }
}

fn empty(all: bool) -> impl IntoView {
    match all {
        true => Either::Left(view! {
            <EmptyState title="There is no remote yet">
                <p>"A remote is a connection to another registry: its address, credentials and TLS settings. Each new mirror saves its connection here, for other mirrors to use."</p>
            </EmptyState>
        }),
        false => Either::Right(view! {
            <EmptyState title="No remote matches"><p>"Search for another part of its name or host."</p></EmptyState>
        }),
    }
}
