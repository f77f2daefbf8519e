//! The list of a repository's mirrors, which is updated as they run.

use leptos::{either::Either, prelude::*};
use leptos_router::components::Outlet;
use longshore_model::{job::Event, pause::RepositoryPauses, policy::Mirror};

use super::{calls::mirrors, row::MirrorRow};
use crate::{
    components::{Awaited, ButtonKind, ButtonLink, EmptyState, Loaded, Table},
    live::ConnectionNotice,
    pages::repository::{follow_repository, turns, use_repository},
    pauses::{holding, use_pauses},
    server::pauses_of,
};

/// The push and pull mirrors, with the dialogs that create and edit them.
#[component]
pub fn Mirrors() -> impl IntoView {
    let (here, pauses) = (use_repository(), use_pauses());
    let list = Resource::new_blocking(
        move || (here.name.get(), here.changes(), pauses.changes()),
        |(name, ..)| async move { Ok((mirrors(name.clone()).await?, pauses_of(name).await?)) },
    );
    let turned = turns();
    let matters = move |event: &Event| match event {
        Event::Job { job } => turned(job) && job.policy.is_some(),
        Event::Pauses | Event::Settings => true,
        Event::Tags { .. } | Event::Log { .. } => false,
    };
    let lost = follow_repository(here.name, matters, move || here.changed());
    view! {
        <ConnectionNotice lost=lost/>
        <div class="toolbar">
            <p class="muted">"Push mirrors copy tags to other registries; pull mirrors copy tags from them."</p>
            <Awaited
                resource=here.summary
                children=move |summary| {
                    summary.is_ok_and(|summary| summary.may_administer).then(|| view! {
                        <ButtonLink dialog=true href=here.path_untracked("mirrors/new") kind=ButtonKind::Primary>
                            "New mirror"
                        </ButtonLink>
                    })
                }
            />
        </div>
        <Loaded resource=list children=move |(mirrors, pauses)| view! { <List mirrors=mirrors pauses=pauses/> }/>
        <Outlet/>
    }
}

#[component]
fn List(mirrors: Vec<Mirror>, pauses: RepositoryPauses) -> impl IntoView {
    if mirrors.is_empty() {
        return Either::Left(view! {
            <EmptyState title="No mirrors">
                <p>
                    "A push mirror copies each tag that matches its rules to another registry. A pull mirror polls another registry and copies tags from there."
                </p>
            </EmptyState>
        });
    }
    Either::Right(view! {
        <Table label="Mirrors" columns=vec!["Mirror", "Rule", "Last run", "Next run", "Enabled", ""]>
            {mirrors
                .into_iter()
                .map(|mirror| {
                    let (repository, remote) = match &mirror {
                        Mirror::Push { mirror } => (&mirror.repository_name, mirror.remote),
                        Mirror::Pull { mirror } => (&mirror.repository_name, mirror.remote),
                    };
                    let held = holding(&pauses, repository, Some(remote)).cloned();
                    view! { <MirrorRow mirror=mirror held=held/> }
                })
                .collect_view()}
        </Table>
    })
}
