//! The lists of users and organizations.

use leptos::{either::Either, prelude::*};
use leptos_router::components::{A, Outlet};
use longshore_model::{Account, Actor, PauseScope};

use super::{Changes, Kind};
use crate::{
    components::{
        Awaited, AwaitedInside, Badge, ButtonKind, ButtonLink, EmptyState, ListPager, ListQuery, Loaded,
        PageHeader, PageTitle, RelativeTime, SearchBox, Table, Tone, use_list_query,
    },
    paths,
    pauses::{PausedBadge, provide_known},
    server::accounts,
    session::use_session,
};

/// The users.
#[component]
pub fn Users() -> impl IntoView {
    view! { <Accounts kind=Kind::User/> }
}

/// The organizations.
#[component]
pub fn Organizations() -> impl IntoView {
    view! { <Accounts kind=Kind::Organization/> }
}

#[component]
fn Accounts(kind: Kind) -> impl IntoView {
    let query = use_list_query();
    let changes = Changes(RwSignal::new(0));
    provide_context(changes);
    provide_known();
    let page = Resource::new_blocking(
        move || (query.get(), changes.0.get()),
        move |(query, _): (ListQuery, usize)| accounts(query.search(), kind.is_org(), query.page()),
    );
    let searched = Signal::derive(move || query.with(ListQuery::search).unwrap_or_default());
    let (title, search, make) = match kind {
        Kind::User => ("Users", "Search the users", "New user"),
        Kind::Organization => ("Organizations", "Search the organizations", "New organization"),
    };
    let session = use_session();
    view! {
        <PageTitle text=title/>
        <PageHeader title=title>
            <Awaited
                resource=session.actor
                children=move |actor| {
                    let href = format!("{}/new", kind.path());
                    actor.is_ok_and(|actor| actor.is_admin()).then(|| view! {
                        <ButtonLink dialog=true href=href kind=ButtonKind::Primary>{make}</ButtonLink>
                    })
                }
            />
        </PageHeader>
        <SearchBox action=kind.path() value=searched label=search/>
        <Loaded
            resource=page
            children=move |page| {
                let pager = view! { <ListPager page=&page/> };
                match page.items.is_empty() {
                    true => Either::Left(empty(kind, searched.get_untracked().is_empty())),
                    false => Either::Right(view! { <Rows kind=kind accounts=page.items/> {pager} }),
                }
            }
        />
        <Outlet/>
    }
}

fn empty(kind: Kind, all: bool) -> impl IntoView {
    let (title, advice) = match (kind, all) {
        (_, false) => ("Nothing matches", "Search for another part of the name."),
        (Kind::User, true) => ("There are no users", "An administrator makes them."),
        (Kind::Organization, true) => (
            "There is no organization yet",
            "An organization is a namespace that belongs to no single user, such as dev or qa. An administrator makes it.",
        ),
    };
    view! { <EmptyState title=title><p>{advice}</p></EmptyState> }
}

#[component]
fn Rows(kind: Kind, accounts: Vec<Account>) -> impl IntoView {
    let (label, columns) = match kind {
        Kind::User => ("Users", vec!["Name", "Rights", "Made", ""]),
        Kind::Organization => ("Organizations", vec!["Name", "Made", ""]),
    };
    view! {
        <Table label=label columns=columns>
            {accounts.into_iter().map(|account| view! { <Row kind=kind account=account/> }).collect_view()}
        </Table>
    }
}

#[component]
fn Row(kind: Kind, account: Account) -> impl IntoView {
    let scope = PauseScope::Namespace(account.name.clone());
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
            <th scope="row">{name.clone()} <PausedBadge scope=scope.clone()/></th>
            {rights}
            <td><RelativeTime at=account.created_at/></td>
            <td class="row-actions">
                <A href=repositories attr:class="button quiet">"Repositories"</A>
                <OwnersLink name=name.clone() href=storage label="Storage" dialog=true/>
                <OwnersLink name=name.clone() href=paths::pause(&scope) label="Pause…" dialog=false/>
                {(kind == Kind::User).then(|| view! { <OwnersLink name=name href=password label="Change password" dialog=true/> })}
            </td>
        </tr>
    }
}

/// Leads to a dialog or page, for those who may act for the account.
#[component]
fn OwnersLink(name: String, href: String, label: &'static str, dialog: bool) -> impl IntoView {
    let session = use_session();
    view! {
        <AwaitedInside
            resource=session.actor
            children=move |actor| {
                let may = match actor {
                    Ok(Actor::User(user)) => user.is_admin || user.name.as_str() == name,
                    _ => false,
                };
                may.then(|| view! {
                    <ButtonLink dialog=dialog href=href.clone() kind=ButtonKind::Quiet>{label}</ButtonLink>
                })
            }
        />
    }
}
