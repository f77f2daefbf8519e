//! The frame of every page: the rail on the left, the content on the right.
//!
//! On a narrow screen the rail is a drawer. It is a native popover, so it opens, closes on Escape
//! and keeps the focus without any script.

use leptos::{html, prelude::*};
use leptos_router::{components::A, hooks::use_location};

use crate::{pauses::PauseBanner, session::SignedIn};

/// The rail's entries, by how often people need them.
const PAGES: [(&str, &str); 7] = [
    ("/repositories", "Repositories"),
    ("/remotes", "Remotes"),
    ("/jobs", "Jobs"),
    ("/activity", "Activity"),
    ("/organizations", "Organizations"),
    ("/users", "Users"),
    ("/system", "System"),
];

/// The frame with a page in it.
#[component]
pub(crate) fn Layout(children: Children) -> impl IntoView {
    view! {
        <a class="skip-link" href="#content" rel="external">"Skip to the content"</a>
        <header class="topbar">
            <button type="button" class="button quiet" popovertarget="rail">"Menu"</button>
            <Brand/>
        </header>
        <Rail/>
        <main id="content" class="content" tabindex="-1">
            <PauseBanner/>
            {children()}
        </main>
    }
}

#[component]
fn Brand() -> impl IntoView {
    view! {
        <A href="/" attr:class="brand">
            <svg class="brand-mark" viewBox="0 0 24 24" aria-hidden="true">
                <path d="M3 6.5h18M6 6.5v8M12 6.5v8M18 6.5v8"/>
                <path class="brand-keel" d="M3 14.5h18l-2.6 4.6a1.8 1.8 0 0 1-1.6.9H7.2a1.8 1.8 0 0 1-1.6-.9z"/>
            </svg>
            "Longshore"
        </A>
    }
}

#[component]
fn Rail() -> impl IntoView {
    let rail = NodeRef::<html::Nav>::new();
    let location = use_location();
    Effect::new(move |before: Option<()>| {
        location.pathname.track();
        // A click in the drawer leads to another page without loading it, so it has to be closed.
        if let (Some(()), Some(rail)) = (before, rail.get_untracked())
            && rail.matches(":popover-open").unwrap_or(false)
        {
            // Closing one that closed itself meanwhile is an error of no consequence.
            let _ = rail.hide_popover();
        }
    });
    view! {
        <nav id="rail" class="rail" popover="auto" aria-label="Main" node_ref=rail>
            <Brand/>
            <ul class="rail-pages">
                {PAGES
                    .map(|(href, name)| {
                        view! {
                            <li>
                                <A href=href>{name}</A>
                            </li>
                        }
                    })
                    .collect_view()}
            </ul>
            <div class="rail-foot">
                <SignedIn/>
                <a href="/api/docs" rel="external">"API"</a>
                <span class="muted">"Version " {env!("CARGO_PKG_VERSION")}</span>
            </div>
        </nav>
    }
}
