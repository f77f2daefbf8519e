//! The page for unknown addresses.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use crate::components::{ButtonLink, EmptyState, PageHeader, PageTitle};

/// Says that there is nothing at this address, with status 404.
#[component]
pub fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(http::StatusCode::NOT_FOUND);
    }
    let path = use_location().pathname;
    view! {
        <PageTitle text="Not found"/>
        <PageHeader title="Not found"/>
        <EmptyState title="There is no such page">
            <p>"There is nothing at " <code>{path}</code> ". It may have been renamed or deleted, or you no longer have access."</p>
            <ButtonLink href="/repositories">"Go to the repositories"</ButtonLink>
        </EmptyState>
    }
}
