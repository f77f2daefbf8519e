//! The parts of a page: header, panels, tabs and empty states.

use leptos::{html::Nav, prelude::*};
use leptos_router::{components::A, hooks::use_location};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The page's heading, with its actions on the right.
#[component]
pub fn PageHeader(
    /// A noun.
    #[prop(into)]
    title: Signal<String>,
    /// A badge or sentence below the heading.
    #[prop(optional, into)]
    detail: Option<ViewFn>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <header class="page-head">
            <div>
                <h1>{title}</h1>
                {detail.map(|detail| view! { <div class="page-detail">{detail.run()}</div> })}
            </div>
            {children.map(|children| view! { <div class="actions">{children()}</div> })}
        </header>
    }
}

/// A titled section of a page.
#[component]
pub fn Panel(
    /// A noun.
    #[prop(into)]
    title: String,
    children: Children,
) -> impl IntoView {
    view! {
        <section class="panel">
            <h2>{title}</h2>
            {children()}
        </section>
    }
}

/// A definition list of [`Fact`]s.
#[component]
pub fn Facts(children: Children) -> impl IntoView {
    view! { <dl class="facts">{children()}</dl> }
}

/// One name and its value.
#[component]
pub fn Fact(#[prop(into)] name: String, children: Children) -> impl IntoView {
    view! {
        <div>
            <dt>{name}</dt>
            <dd>{children()}</dd>
        </div>
    }
}

/// An empty state: what is missing, and what to do about it.
#[component]
pub fn EmptyState(
    #[prop(into)] title: String,
    /// What to do about it.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="empty">
            <h2>{title}</h2>
            {children()}
        </div>
    }
}

/// One tab.
#[derive(Clone, Debug)]
pub struct Tab {
    pub label: &'static str,
    pub href: String,
    /// The number of items on it; `None` shows no number.
    pub count: Option<u64>,
    /// Whether its address is a prefix of the other tabs' addresses.
    pub exact: bool,
}

/// The tabs of a page. Each is a link to a page of its own.
#[component]
pub fn Tabs(
    /// Label for screen readers: "Repository".
    label: &'static str,
    #[prop(into)] tabs: Signal<Vec<Tab>>,
) -> impl IntoView {
    let bar = NodeRef::<Nav>::new();
    let path = use_location().pathname;
    Effect::new(move |_| {
        path.track();
        tabs.track();
        // The links are marked as current only after this runs.
        request_animation_frame(move || show_open_tab(bar));
    });
    view! {
        <nav class="tabs" aria-label=label node_ref=bar>
            {move || {
                tabs.get()
                    .into_iter()
                    .map(|tab| {
                        view! {
                            <A href=tab.href exact=tab.exact>
                                {tab.label}
                                {tab.count.map(|count| view! { <span class="count">{count}</span> })}
                            </A>
                        }
                    })
                    .collect_view()
            }}
        </nav>
    }
}

/// Scrolls the open tab into the middle where the tabs do not fit.
fn show_open_tab(bar: NodeRef<Nav>) {
    let Some(bar) = bar.try_get_untracked().flatten() else { return };
    let open = bar.query_selector("[aria-current=page]").ok().flatten();
    if let Some(open) = open.and_then(|open| open.dyn_into::<HtmlElement>().ok()) {
        let middle = open.offset_left() + open.offset_width() / 2;
        bar.set_scroll_left(middle - bar.offset_left() - bar.client_width() / 2);
    }
}
