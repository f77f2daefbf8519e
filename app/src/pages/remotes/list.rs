//! The list of remotes.

use leptos::{either::Either, prelude::*};
use leptos_router::components::Outlet;
use longshore_model::{PauseScope, Remote};

use super::{
    Changes, SECTION,
    calls::remotes,
    row::{RemoteActions, RemoteRow},
};
use crate::{
    components::{
        ButtonKind, ButtonLink, EmptyState, ListPager, ListQuery, LoadedBeside, PageHeader, PageTitle,
        SearchBox, Table, use_list_query,
    },
    live::ConnectionNotice,
    pages::repository::{changes_anything, follow_everything},
    pauses::{is_paused, known_pauses},
};

/// The remotes that the reader may use, with the dialogs that make and change them.
#[component]
pub fn Remotes() -> impl IntoView {
    let query = use_list_query();
    let changes = Changes(RwSignal::new(0));
    provide_context(changes);
    let paused = known_pauses();
    let actions = RemoteActions::new(changes);
    let page = Resource::new_blocking(
        move || (query.get(), changes.0.get()),
        |(query, _): (ListQuery, usize)| remotes(query.search(), query.page()),
    );
    // A job that ends has found the registry well or ill.
    let lost = follow_everything(changes_anything, move || changes.changed());
    let searched = Signal::derive(move || query.with(ListQuery::search).unwrap_or_default());
    view! {
        <PageTitle text=SECTION.label/>
        <PageHeader title=SECTION.label>
            <ButtonLink dialog=true href="/remotes/new" kind=ButtonKind::Primary>"New remote"</ButtonLink>
        </PageHeader>
        <ConnectionNotice lost=lost/>
        <SearchBox action=SECTION.page.path() value=searched label="Search the remotes"/>
        <LoadedBeside
            resource=page
            beside=paused
            children=move |page, paused| {
                let paused = paused.unwrap_or_default();
                let pager = view! { <ListPager page=&page/> };
                let row = |remote: Remote| {
                    let paused = is_paused(&paused, &PauseScope::Remote(remote.id));
                    view! { <RemoteRow remote=remote paused=paused actions=actions/> }
                };
                let rows: Vec<_> = page.items.into_iter().map(row).collect();
                let columns = vec!["Remote", "Kind", "User", "Used by", "Health", ""];
                match (rows.is_empty(), searched.get_untracked().is_empty()) {
                    (true, true) => Either::Left(Either::Left(view! {
                        <EmptyState title="There is no remote yet">
                            <p>"A remote is a connection to another registry: its address, who signs in, how it is secured. Each mirror that is set up saves its own here, for the next one to use."</p>
                        </EmptyState>
                    })),
                    (true, false) => Either::Left(Either::Right(view! {
                        <EmptyState title="No remote matches"><p>"Search for another part of its name or host."</p></EmptyState>
                    })),
                    (false, _) => Either::Right(view! {
                        <Table label="Remotes" columns=columns>{rows}</Table>
                        {pager}
                    }),
                }
            }
        />
        <Outlet/>
    }
}
