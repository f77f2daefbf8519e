//! The list of the promotion policies whose source or target is a repository.

use leptos::{either::Either, prelude::*};
use leptos_router::{components::Outlet, hooks::use_query_map};
use longshore_model::{PromotionPolicy, pause::RepositoryPauses, view::Side};

use super::{calls::promotions, row::PromotionRow};
use crate::{
    components::{Awaited, ButtonKind, ButtonLink, EmptyState, Loaded, Table},
    live::ConnectionNotice,
    pages::repository::{RepositoryPage, changes_anything, follow_repository, use_repository},
    paths,
    pauses::{holding, use_pauses},
    server::pauses_of,
};

/// The promotion policies, with the dialogs that create and edit them.
#[component]
pub fn Promotions() -> impl IntoView {
    let (here, pauses) = (use_repository(), use_pauses());
    let query = use_query_map();
    let side = Memo::new(move |_| match query.with(|query| query.get("side")).as_deref() {
        Some("target") => Side::Target,
        _ => Side::Source,
    });
    let list = Resource::new_blocking(
        move || (here.name.get(), side.get(), here.changes(), pauses.changes()),
        |(name, side, ..)| async move { Ok((promotions(name.clone(), side).await?, pauses_of(name).await?)) },
    );
    let lost = follow_repository(here.name, changes_anything, move || here.changed());
    view! {
        <ConnectionNotice lost=lost/>
        <div class="toolbar">
            <nav class="segments" aria-label="Role of this repository">
                <SideLink here=here side=Side::Source chosen=side label="Is source"/>
                <SideLink here=here side=Side::Target chosen=side label="Is target"/>
            </nav>
            <Awaited
                resource=here.summary
                children=move |summary| {
                    summary.is_ok_and(|summary| summary.may_administer).then(|| view! {
                        <ButtonLink dialog=true href=here.path_untracked("promotions/new") kind=ButtonKind::Primary>
                            "New promotion policy"
                        </ButtonLink>
                    })
                }
            />
        </div>
        <Loaded resource=list children=move |(policies, pauses)| {
            view! { <List policies=policies pauses=pauses side=side.get_untracked()/> }
        }/>
        <Outlet/>
    }
}

#[component]
fn SideLink(here: RepositoryPage, side: Side, chosen: Memo<Side>, label: &'static str) -> impl IntoView {
    let query = (side == Side::Target).then_some("target");
    let href = move || paths::with_query(&here.path("promotions"), &[("side", query)]);
    view! {
        <a href=href aria-current=move || (chosen.get() == side).then_some("true") data-noscroll="">
            {label}
        </a>
    }
}

#[component]
fn List(policies: Vec<PromotionPolicy>, pauses: RepositoryPauses, side: Side) -> impl IntoView {
    if policies.is_empty() {
        return Either::Left(view! {
            <EmptyState title=match side {
                Side::Source => "No promotion policies from this repository",
                Side::Target => "No promotion policies to this repository",
            }>
                <p>
                    "A promotion policy copies each tag that matches its rules to another repository, for example tags that end with stable from dev/website to qa/website."
                </p>
            </EmptyState>
        });
    }
    let (label, end) = match side {
        Side::Source => ("Promotion policies from this repository", "Target"),
        Side::Target => ("Promotion policies to this repository", "Source"),
    };
    Either::Right(view! {
        <Table label=label columns=vec![end, "Policy", "Last promoted", "Enabled", ""]>
            {policies
                .into_iter()
                .map(|policy| {
                    let held = holding(&pauses, &policy.source_name, None).cloned();
                    view! { <PromotionRow policy=policy held=held side=side/> }
                })
                .collect_view()}
        </Table>
    })
}
