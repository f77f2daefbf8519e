//! Lists: the table, and the way to its other pages.

use leptos::prelude::*;
use leptos_router::components::A;

/// A table that scrolls inside itself, with its first column in place.
#[component]
pub fn Table(
    /// What it lists, for those who hear the page.
    #[prop(into)]
    label: String,
    /// The head of each column; an empty one is for the row's actions.
    columns: Vec<&'static str>,
    /// The rows.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="table" role="region" aria-label=label tabindex="0">
            <table>
                <thead>
                    <tr>
                        {columns
                            .into_iter()
                            .map(|column| match column {
                                "" => view! { <td></td> }.into_any(),
                                name => view! { <th scope="col">{name}</th> }.into_any(),
                            })
                            .collect_view()}
                    </tr>
                </thead>
                <tbody>{children()}</tbody>
            </table>
        </div>
    }
}

/// Says which part of a list is shown, and leads to the others.
#[component]
pub fn Pager(
    /// How many items come before this page.
    start: u64,
    /// How many items are on this page.
    shown: usize,
    /// How many items there are.
    total: u64,
    /// The address of the page before.
    #[prop(into)]
    previous: Option<String>,
    /// The address of the next page.
    #[prop(into)]
    next: Option<String>,
) -> impl IntoView {
    let last = start + shown as u64;
    (total > 0).then(|| {
        view! {
            <nav class="pager" aria-label="Pages">
                <span class="muted">{start + 1} "–" {last} " of " {total}</span>
                {previous.map(|href| view! { <A href=href attr:class="button" attr:rel="prev">"Previous"</A> })}
                {next.map(|href| view! { <A href=href attr:class="button" attr:rel="next">"Next"</A> })}
            </nav>
        }
    })
}
