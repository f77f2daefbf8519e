//! The list of repositories.

use leptos::{either::Either, prelude::*};
use leptos_router::components::{A, Outlet};
use longshore_model::{
    Actor, RepositoryState, Visibility,
    repository::{RepositoryFilter, RepositorySummary},
};

use super::{Flows, SECTION, STATES, deleted, state_label, state_of, visibility_label};
use crate::{
    components::{
        Awaited, Badge, ButtonKind, ButtonLink, Choice, Commands, EmptyState, FilterSelect, FilterText,
        ListPage, ListQuery, PagedList, RelativeTime, SearchBox, Table, Tone, in_browser, size,
        use_list_query,
    },
    host::registry_host,
    pages::repository::{changes_anything, follow_everything},
    paths,
    server::{Answer, repositories, suggest_namespaces},
    session::use_session,
};

/// The repositories that the user may see.
#[component]
pub fn Repositories() -> impl IntoView {
    let query = use_list_query();
    let list =
        Resource::new_blocking(move || query.get(), |query| repositories(filter(&query), query.page()));
    let lost = follow_everything(changes_anything, move || list.refetch());
    let sought = RwSignal::new(None::<String>);
    let known = in_browser(move || {
        let text = sought.get();
        async move { suggest_namespaces(text?).await.ok() }
    });
    let suggestions = Signal::derive(move || known.get().flatten().unwrap_or_default());
    let of = move |name: &'static str| {
        Signal::derive(move || query.with(|query| query.get(name).unwrap_or_default()))
    };
    let empty = move |actor: Answer<Actor>| {
        let filtered = query.with_untracked(ListQuery::is_filtered);
        view! { <Empty filtered=filtered reader=actor.ok()/> }.into_any()
    };
    view! {
        <ListPage title=SECTION.label lost=lost actions=actions>
        <SearchBox action=SECTION.page.path() value=of("q") label="Search the repositories">
            <FilterText
                name="namespace"
                label="Namespace"
                value=of("namespace")
                suggestions=suggestions
                on_search=move |text| sought.set(Some(text))
            />
            <FilterSelect
                name="state"
                label="State"
                value=of("state")
                choices=STATES.map(|(state, label, _)| Choice::new(state.as_str(), label)).to_vec()
            />
        </SearchBox>
        <PagedList
            resource=list
            beside=use_session().actor
            empty=empty
            table=|repositories, _| table(&repositories).into_any()
        />
        <Outlet/>
        </ListPage>
    }
}

/// The actions of the list.
fn actions() -> impl IntoView {
    view! {
        <Awaited
            resource=use_session().actor
            children=|actor| {
                actor.is_ok_and(|actor| actor.user().is_some()).then(|| view! {
                    <ButtonLink href=deleted::PAGE.path()>"Show deleted"</ButtonLink>
                    <ButtonLink href="/repositories/new" kind=ButtonKind::Primary dialog=true>"New repository"</ButtonLink>
                })
            }
        />
    }
}

fn filter(query: &ListQuery) -> RepositoryFilter {
    RepositoryFilter {
        search: query.search(),
        namespace: query.parsed("namespace"),
        state: query.get("state").as_deref().and_then(state_of),
        writable: false,
    }
}

fn table(repositories: &[RepositorySummary]) -> impl IntoView + use<> {
    let rows: Vec<_> = repositories.iter().map(|summary| view! { <Row summary=summary/> }).collect();
    view! {
        <Table
            label="Repositories"
            columns=vec!["Name", "Visibility", "State", "Tags", "Size", "Last push", "Flows"]
        >
            {rows}
        </Table>
    }
}

#[component]
fn Row<'summary>(summary: &'summary RepositorySummary) -> impl IntoView + use<> {
    let repository = &summary.repository;
    let name = repository.name.to_string();
    let visibility = visibility_label(repository.visibility);
    let public = repository.visibility == Visibility::Public;
    let about = Some(repository.short_description.clone()).filter(|about| !about.is_empty());
    view! {
        <tr>
            <th scope="row">
                <A href=paths::below(&name, "")>{name.clone()}</A>
                {about.map(|about| view! { <div class="muted about">{about}</div> })}
            </th>
            <td>
                {if public {
                    Either::Left(view! { <Badge>{visibility}</Badge> })
                } else {
                    Either::Right(visibility)
                }}
            </td>
            <td>
                {match repository.state {
                    RepositoryState::Normal => Either::Left(state_label(repository.state)),
                    state => Either::Right(view! { <Badge tone=Tone::Info>{state_label(state)}</Badge> }),
                }}
            </td>
            <td class="number" data-label="Tags">{summary.tags}</td>
            <td class="number" data-label="Size">{size(summary.size_bytes)}</td>
            <td data-label="Last push">
                {match summary.last_push {
                    Some(at) => Either::Left(view! { <RelativeTime at=at/> }),
                    None => Either::Right(view! { <span class="muted">"never"</span> }),
                }}
            </td>
            <td class="flows" data-label="Flows">
                <Flows summary=summary/>
            </td>
        </tr>
    }
}

/// Shown instead of an empty list.
#[component]
fn Empty(filtered: bool, reader: Option<Actor>) -> impl IntoView {
    if filtered {
        return view! {
            <EmptyState title="No repositories match">
                <ButtonLink href="/repositories">"Show all repositories"</ButtonLink>
            </EmptyState>
        }
        .into_any();
    }
    match reader {
        Some(Actor::User(user)) => view! { <FirstPush namespace=user.name.to_string()/> }.into_any(),
        _ => view! {
            <EmptyState title="There is no public repository">
                <p>"Sign in to see those that are yours."</p>
                <ButtonLink href="/sign-in" kind=ButtonKind::Primary>"Sign in"</ButtonLink>
            </EmptyState>
        }
        .into_any(),
    }
}

/// How to push the first image.
#[component]
fn FirstPush(namespace: String) -> impl IntoView {
    let host = registry_host();
    let image = format!("{host}/{namespace}/website:1.0");
    let commands =
        format!("docker login {host} --username {namespace}\ndocker tag IMAGE {image}\ndocker push {image}");
    view! {
        <EmptyState title="There is no repository yet">
            <p>"The first push creates one, with any client. With Docker, where IMAGE is a local image:"</p>
            <Commands text=commands label="Copy the commands"/>
        </EmptyState>
    }
}
