//! The lists of users and organizations.

use leptos::{either::Either, prelude::*};
use leptos_router::components::{A, Outlet};
use longshore_model::{Account, Actor, PauseScope, job::Event, pause::PauseView};

use super::{Kind, calls::accounts};
use crate::{
    components::{
        Awaited, Badge, ButtonKind, ButtonLink, EmptyState, ListPage, ListQuery, PagedList, RelativeTime,
        SearchBox, Table, Tone, provide_changes, use_list_query,
    },
    pages::repository::follow_everything,
    paths,
    pauses::{PausedBadge, is_paused, known_pauses, use_pauses},
    server::Answer,
    session::use_session,
};

#[component]
pub fn Users() -> impl IntoView {
    view! { <Accounts kind=Kind::User/> }
}

#[component]
pub fn Organizations() -> impl IntoView {
    view! { <Accounts kind=Kind::Organization/> }
}

#[component]
fn Accounts(kind: Kind) -> impl IntoView {
    let query = use_list_query();
    let changes = provide_changes();
    let paused = known_pauses();
    let page = Resource::new_blocking(
        move || (query.get(), changes.count()),
        move |(query, _): (ListQuery, usize)| accounts(query.search(), kind.is_org(), query.page()),
    );
    let pauses = use_pauses();
    let noticed = move |event: &Event| {
        if *event == Event::Pauses {
            pauses.changed();
        }
        *event == Event::Settings
    };
    let lost = follow_everything(noticed, move || changes.changed());
    let searched = Signal::derive(move || query.with(ListQuery::search).unwrap_or_default());
    let (search, make) = match kind {
        Kind::User => ("Search the users", "New user"),
        Kind::Organization => ("Search the organizations", "New organization"),
    };
    let session = use_session();
    let actions = move || {
        view! {
            <Awaited
                resource=session.actor
                children=move |actor| {
                    let href = format!("{}/new", kind.path());
                    actor.is_ok_and(|actor| actor.is_admin()).then(|| view! {
                        <ButtonLink dialog=true href=href kind=ButtonKind::Primary>{make}</ButtonLink>
                    })
                }
            />
        }
    };
    let table = move |accounts: Vec<Account>, (paused, actor): (Answer<Vec<PauseView>>, Answer<Actor>)| {
        let row = |account: Account| {
            let paused = paused.as_ref().is_ok_and(|paused| is_paused(paused, &scope_of(&account)));
            let may_act = actor.as_ref().is_ok_and(|actor| is_owner(actor, &account));
            view! { <Row kind=kind account=account paused=paused may_act=may_act/> }
        };
        view! { <Rows kind=kind rows=accounts.into_iter().map(row).collect()/> }.into_any()
    };
    view! {
        <ListPage title=kind.section().label lost=lost actions=actions>
            <SearchBox action=kind.path() value=searched label=search/>
            <PagedList
                resource=page
                beside=(paused, session.actor)
                empty=move |_| empty(kind, searched.get_untracked().is_empty()).into_any()
                table=table
            />
            <Outlet/>
        </ListPage>
    }
}

fn empty(kind: Kind, all: bool) -> impl IntoView {
    let (title, advice) = match (kind, all) {
        (_, false) => ("Nothing matches", "Search for another part of the name."),
        (Kind::User, true) => ("There are no users", "Administrators create users."),
        (Kind::Organization, true) => (
            "There is no organization yet",
            "An organization is a namespace that belongs to no single user, such as dev or qa. Administrators create organizations.",
        ),
    };
    view! { <EmptyState title=title><p>{advice}</p></EmptyState> }
}

#[component]
fn Rows<V: IntoView + 'static>(kind: Kind, rows: Vec<V>) -> impl IntoView {
    let (label, columns) = match kind {
        Kind::User => ("Users", vec!["Name", "Rights", "Made", ""]),
        Kind::Organization => ("Organizations", vec!["Name", "Made", ""]),
    };
    view! {
        <Table label=label columns=columns>
            {rows}
        </Table>
    }
}

#[component]
fn Row(kind: Kind, account: Account, paused: bool, may_act: bool) -> impl IntoView {
    let scope = scope_of(&account);
    let name = account.name.to_string();
    let repositories = paths::with_query("/repositories", &[("namespace", Some(&name))]);
    let page = |page: &str| format!("{}/{}/{page}", kind.path(), paths::segment(&name));
    let (storage, password) = (page("storage"), page("password"));
    let rights = (kind == Kind::User).then(|| {
        let badge = match account.is_admin {
            true => Either::Left(view! { <Badge tone=Tone::Info>"Administrator"</Badge> }),
            false => Either::Right(view! { <span class="muted">"own namespace"</span> }),
        };
        view! { <td>{badge}</td> }
    });
    view! {
        <tr>
            <th scope="row">{name.clone()} {paused.then(|| view! { <PausedBadge/> })}</th>
            {rights}
            <td data-label="Made"><RelativeTime at=account.created_at/></td>
            <td class="row-actions">
                <A href=repositories attr:class="button quiet">"Repositories"</A>
                {may_act.then(|| view! {
                    <ButtonLink dialog=true href=storage kind=ButtonKind::Quiet>"Storage"</ButtonLink>
                    <ButtonLink href=paths::pause(&scope) kind=ButtonKind::Quiet>"Pause…"</ButtonLink>
                    {(kind == Kind::User).then(|| view! {
                        <ButtonLink dialog=true href=password kind=ButtonKind::Quiet>"Change password"</ButtonLink>
                    })}
                })}
            </td>
        </tr>
    }
}

fn scope_of(account: &Account) -> PauseScope {
    PauseScope::Namespace(account.name.clone())
}

/// Whether the current user may act for an account.
fn is_owner(actor: &Actor, account: &Account) -> bool {
    actor.user().is_some_and(|user| user.is_admin || user.name == account.name)
}
