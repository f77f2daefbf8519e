//! The root component: shared parts and routes.

use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::components::{RouteChildren, Router, Routes};

use crate::{
    arrival::Arrival,
    clock,
    components::{LeaveQuestion, SiteTitle, announce_hydration, provide_leaving, provide_notices},
    layout::Layout,
    pages::{NotFound, pages},
    pauses::PausesProvider,
    routes::routes,
    session::SessionProvider,
    shortcuts::Shortcuts,
};

/// The site.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    clock::provide();
    announce_hydration();
    provide_leaving();
    provide_notices();
    view! {
        <SiteTitle/>
        <Router>
            <Shortcuts/>
            <Arrival/>
            <SessionProvider>
                <PausesProvider>
                    <Layout>
                        <Routes fallback=NotFound children=RouteChildren::to_children(|| routes(&pages()))/>
                    </Layout>
                </PausesProvider>
            </SessionProvider>
            <LeaveQuestion/>
        </Router>
    }
}
