//! The policies that a repository is the source or the target of.

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

/// The policies, with the dialogs that make and change them.
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
            <nav class="segments" aria-label="Which end this repository is">
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
                Side::Source => "No promotion policy leads from here",
                Side::Target => "No promotion policy leads here",
            }>
                <p>
                    "A promotion policy copies each tag that meets its criteria into another repository: tags that end with stable from dev/website to qa/website, say."
                </p>
            </EmptyState>
        });
    }
    let (label, end) = match side {
        Side::Source => ("Promotion policies from here", "Target"),
        Side::Target => ("Promotion policies that lead here", "Source"),
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
