//! The dialogs that create and edit a promotion policy: routes, and loading the data that the form needs.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use longshore_model::{Code, PolicyId, Problem, PromotionPolicy, view::PreviewFacts};

use super::{calls::promotion, form::PromotionForm};
use crate::{
    components::{Loaded, PageTitle, RouteDialog},
    pages::repository::use_repository,
    routes::Route,
    server::{Answer, administered_repository, preview_facts},
};

pub(super) const NEW: Route = Route::new("new", || NewPromotion().into_any());

pub(super) const EDIT: Route = Route::new(":id/edit", || EditPromotion().into_any());

/// The dialog that creates a policy.
#[component]
pub fn NewPromotion() -> impl IntoView {
    let here = use_repository();
    let facts = Resource::new_blocking(move || here.name.get(), facts);
    view! {
        <PageTitle text=move || format!("New promotion policy of {}", here.name.get())/>
        <RouteDialog title="New promotion policy" back=here.path_untracked("promotions")>
            <Loaded resource=facts let:facts>
                <PromotionForm existing=None facts=facts/>
            </Loaded>
        </RouteDialog>
    }
}

/// The dialog that edits a policy.
#[component]
pub fn EditPromotion() -> impl IntoView {
    let here = use_repository();
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let loaded =
        Resource::new_blocking(move || (here.name.get(), id.get()), |(name, id)| policy_and_facts(name, id));
    view! {
        <PageTitle text=move || format!("Promotion policy of {}", here.name.get())/>
        <RouteDialog title="Edit the promotion policy" back=here.path_untracked("promotions")>
            <Loaded resource=loaded let:loaded>
                <PromotionForm existing=Some(loaded.0) facts=loaded.1/>
            </Loaded>
        </RouteDialog>
    }
}

/// The data of the preview. Fails unless the user may set up policies in the repository.
async fn facts(name: String) -> Answer<PreviewFacts> {
    administered_repository(name.clone()).await?;
    preview_facts(name).await
}

async fn policy_and_facts(name: String, id: String) -> Answer<(PromotionPolicy, PreviewFacts)> {
    let id: PolicyId = id.parse().map_err(|_| {
        Problem::new(Code::NoSuchPromotionPolicy, format!("{name} has no promotion policy {id}"))
    })?;
    let policy = promotion(name.clone(), id).await?;
    Ok((policy, facts(name).await?))
}
