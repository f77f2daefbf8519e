//! The parts of a page: its header, its panels, its tabs, and what stands where a list would be.

use leptos::{html::Nav, prelude::*};
use leptos_router::{components::A, hooks::use_location};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The page's heading, with what one can do on it at the right.
#[component]
pub fn PageHeader(
    /// What the page shows, as a noun.
    #[prop(into)]
    title: Signal<String>,
    /// What stands below the heading: a badge, a sentence.
    #[prop(optional, into)]
    detail: Option<ViewFn>,
    /// The page's actions.
    #[prop(optional)]
    children: Option<Children>,
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

/// A titled part of a page.
#[component]
pub fn Panel(
    /// What it holds, as a noun.
    #[prop(into)]
    title: String,
    /// What it holds.
    children: Children,
) -> impl IntoView {
    view! {
        <section class="panel">
            <h2>{title}</h2>
            {children()}
        </section>
    }
}

/// Names and values, as a definition list of [`Fact`]s.
#[component]
pub fn Facts(children: Children) -> impl IntoView {
    view! { <dl class="facts">{children()}</dl> }
}

/// One name and its value.
#[component]
pub fn Fact(
    /// The name.
    #[prop(into)]
    name: String,
    /// The value.
    children: Children,
) -> impl IntoView {
    view! {
        <div>
            <dt>{name}</dt>
            <dd>{children()}</dd>
        </div>
    }
}

/// What stands where a list would be: why it is empty, and what to do.
#[component]
pub fn EmptyState(
    /// What is not there.
    #[prop(into)]
    title: String,
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
    /// Its label.
    pub label: &'static str,
    /// Its address.
    pub href: String,
    /// How many things are on it, when that is worth saying.
    pub count: Option<u64>,
    /// Whether its address is the beginning of the others'.
    pub exact: bool,
}

/// The tabs of a page. Each is a page of its own, and a link to it.
#[component]
pub fn Tabs(
    /// What they belong to, for those who hear the page: "Repository".
    label: &'static str,
    /// The tabs.
    #[prop(into)]
    tabs: Signal<Vec<Tab>>,
) -> impl IntoView {
    let bar = NodeRef::<Nav>::new();
    let path = use_location().pathname;
    Effect::new(move |_| {
        path.track();
        tabs.track();
        // The links learn only after this which of them is open.
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

/// Brings the open tab into the middle where the tabs have no room beside each other.
fn show_open_tab(bar: NodeRef<Nav>) {
    let Some(bar) = bar.try_get_untracked().flatten() else { return };
    let open = bar.query_selector("[aria-current=page]").ok().flatten();
    if let Some(open) = open.and_then(|open| open.dyn_into::<HtmlElement>().ok()) {
        let middle = open.offset_left() + open.offset_width() / 2;
        bar.set_scroll_left(middle - bar.offset_left() - bar.client_width() / 2);
    }
}
