//! The dialogs that create and edit a remote.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use longshore_model::{Code, Problem, Remote, RemoteId};
use longshore_oci::Namespace;

use super::{calls::remote, form::RemoteForm};
use crate::{
    components::{Loaded, PageTitle, RouteDialog},
    routes::Route,
    server::{Answer, namespaces, unless_signed_out, whoami},
};

pub(super) const NEW: Route = Route::new("new", || NewRemote().into_any());

pub(super) const EDIT: Route = Route::new(":id", || EditRemote().into_any());

/// Creates a remote.
#[component]
pub fn NewRemote() -> impl IntoView {
    let owners = Resource::new_blocking(|| (), |()| owners());
    view! {
        <PageTitle text="New remote"/>
        <RouteDialog title="New remote" back="/remotes">
            <Loaded resource=owners children=|owners| view! { <RemoteForm owners=owners before=None/> }/>
        </RouteDialog>
    }
}

/// Edits a remote.
#[component]
pub fn EditRemote() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let found = Resource::new_blocking(move || id.get(), find);
    view! {
        <PageTitle text="Remote"/>
        <RouteDialog title="Edit the remote" back="/remotes">
            <Loaded resource=found children=|found| view! { <RemoteForm owners=Vec::new() before=Some(found)/> }/>
        </RouteDialog>
    }
}

async fn find(id: String) -> Answer<Remote> {
    match id.parse::<RemoteId>() {
        Ok(id) => remote(id).await,
        Err(_) => {
            let problem = Problem::new(Code::NoSuchRemote, format!("There is no remote {id}."));
            Err(unless_signed_out(problem).await)
        }
    }
}

/// The possible owners of a new remote; `None` is the system.
async fn owners() -> Answer<Vec<Option<Namespace>>> {
    let system = whoami().await?.is_admin().then_some(None);
    Ok(system.into_iter().chain(namespaces().await?.into_iter().map(Some)).collect())
}
