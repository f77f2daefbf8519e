//! The parts of a page: its header, its panels, its tabs, and what stands where a list would be.

use leptos::prelude::*;
use leptos_router::components::A;

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
    view! {
        <nav class="tabs" aria-label=label>
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
