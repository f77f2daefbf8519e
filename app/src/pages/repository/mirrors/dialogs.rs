//! The dialogs that create and edit a mirror: routes, and loading the data that the form needs.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use longshore_model::{Code, PolicyId, Problem, Remote, policy::Mirror, repository::RepositorySummary};

use super::{calls::mirror, form::MirrorForm, words};
use crate::{
    components::{Loaded, PageTitle, RouteDialog},
    pages::repository::use_repository,
    routes::Route,
    server::{Answer, administered_repository, all_remotes},
};

/// The data that the form needs.
type Parts = (RepositorySummary, Vec<Remote>, Option<Mirror>);

pub(super) const NEW: Route = Route::new("new", || NewMirror().into_any());

pub(super) const EDIT: Route = Route::new(":id/edit", || EditMirror().into_any());

/// The dialog that creates a mirror.
#[component]
pub fn NewMirror() -> impl IntoView {
    let here = use_repository();
    let parts = Resource::new_blocking(move || here.name.get(), |name| load(name, None));
    view! {
        <PageTitle text=move || format!("New mirror of {}", here.name.get())/>
        <RouteDialog title="New mirror" back=here.path_untracked("mirrors")>
            <Loaded resource=parts children=move |parts| view! { <Form parts=parts/> }/>
        </RouteDialog>
    }
}

/// The dialog that edits a mirror.
#[component]
pub fn EditMirror() -> impl IntoView {
    let here = use_repository();
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let parts = Resource::new_blocking(
        move || (here.name.get(), id.get()),
        |(name, id)| async move {
            let id: PolicyId = id.parse().map_err(|_| {
                Problem::new(Code::NoSuchPollMirroringPolicy, format!("{name} has no mirror {id}"))
            })?;
            load(name, Some(id)).await
        },
    );
    view! {
        <PageTitle text=move || format!("Mirror of {}", here.name.get())/>
        <RouteDialog title="Edit the mirror" back=here.path_untracked("mirrors")>
            <Loaded
                resource=parts
                children=move |parts| {
                    let what = parts.2.as_ref().map(words::title);
                    view! {
                        <p class="muted">{what}</p>
                        <Form parts=parts/>
                    }
                }
            />
        </RouteDialog>
    }
}

#[component]
fn Form(parts: Parts) -> impl IntoView {
    let (summary, remotes, before) = parts;
    view! { <MirrorForm summary=summary remotes=remotes before=before/> }
}

async fn load(name: String, id: Option<PolicyId>) -> Answer<Parts> {
    let summary = administered_repository(name.clone()).await?;
    let before = match id {
        Some(id) => Some(mirror(name, id).await?),
        None => None,
    };
    Ok((summary, all_remotes().await?, before))
}
