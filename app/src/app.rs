//! The root component: what every page shares, and which page belongs to which address.

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    components::{Redirect, Route, Router, Routes},
    path,
};

use crate::{
    clock,
    components::announce_hydration,
    layout::Layout,
    pages::{NotFound, System},
    shortcuts::Shortcuts,
};

/// The site.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    clock::provide();
    announce_hydration();
    view! {
        <Title text="Longshore" formatter=title/>
        <Router>
            <Shortcuts/>
            <Layout>
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=|| view! { <Redirect path="/system"/> }/>
                    <Route path=path!("/system") view=System/>
                </Routes>
            </Layout>
        </Router>
    }
}

/// The window's title: the page's own name, then the product.
fn title(page: String) -> String {
    match page.as_str() {
        "Longshore" => page,
        _ => format!("{page} · Longshore"),
    }
}
