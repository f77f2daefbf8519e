//! The frame of every page: navigation on the left, content on the right.
//!
//! On a narrow screen the navigation is a drawer. It is a native popover, so it opens, closes on Escape and manages the
//! focus without script.

use leptos::{html, prelude::*};
use leptos_router::{components::A, hooks::use_location};
use longshore_model::Actor;

use crate::{
    components::{Awaited, NoticeBoard},
    pages::SECTIONS,
    pauses::PauseBanner,
    routes::{Reader, Section},
    server::Answer,
    session::{SignedIn, use_session},
};

/// The frame around a page.
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
        <NoticeBoard/>
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

/// Links to the sections available to the user.
fn sections(actor: Answer<Actor>) -> impl IntoView {
    // If the user could not be determined, offer everything.
    let reader = actor.map_or(Reader::Administrator, |actor| Reader::of(&actor));
    let usable = SECTIONS.iter().copied().filter(move |section| section.reader <= reader);
    let link = |Section { label, page, .. }: Section| view! { <li><A href=page.path()>{label}</A></li> };
    let links: Vec<_> = usable.map(link).collect();
    view! { <ul class="rail-pages">{links}</ul> }
}

#[component]
fn Rail() -> impl IntoView {
    let rail = NodeRef::<html::Nav>::new();
    let location = use_location();
    Effect::new(move |before: Option<()>| {
        location.pathname.track();
        // Links in the drawer navigate without a page load, so the drawer must be closed.
        if let (Some(()), Some(rail)) = (before, rail.get_untracked())
            && rail.matches(":popover-open").unwrap_or(false)
        {
            // Closing a popover that is already closed is a harmless error.
            let _ = rail.hide_popover();
        }
    });
    view! {
        <nav id="rail" class="rail" popover="auto" aria-label="Main" node_ref=rail>
            <Brand/>
            <Awaited resource=use_session().actor children=sections/>
            <div class="rail-foot">
                <SignedIn/>
                <a href="/api/docs" rel="external">"API"</a>
                <span class="muted">"Version " {env!("CARGO_PKG_VERSION")}</span>
            </div>
        </nav>
    }
}
