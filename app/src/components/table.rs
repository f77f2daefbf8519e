//! Tables, and links to the other pages of a list.

use leptos::prelude::*;
use leptos_router::components::A;
use longshore_model::Total;

/// A table that scrolls horizontally. On a narrow screen each row becomes a card.
#[component]
pub fn Table(
    /// Label for screen readers.
    #[prop(into)]
    label: String,
    /// Column headings; the one of the actions column is empty.
    columns: Vec<&'static str>,
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

/// Shows which part of a list is on the page, and links to the others.
#[component]
pub fn Pager(
    /// The number of items before this page.
    start: u64,
    /// The number of items on this page.
    shown: usize,
    /// The number of items in the list.
    total: Total,
    /// The address of the previous page.
    #[prop(into)]
    previous: Option<String>,
    /// The address of the next page.
    #[prop(into)]
    next: Option<String>,
) -> impl IntoView {
    let last = start + shown as u64;
    let shown = if shown == 0 { "None here".to_owned() } else { format!("{}–{last}", start + 1) };
    let total = match total {
        Total::Exactly(number) => grouped(number),
        Total::MoreThan(number) => format!("more than {}", grouped(number)),
    };
    (last > 0 || previous.is_some() || next.is_some()).then(|| {
        view! {
            <nav class="pager" aria-label="Pages">
                <span class="muted">{shown} " of " {total}</span>
                {previous.map(|href| view! { <A href=href attr:class="button" attr:rel="prev">"Previous"</A> })}
                {next.map(|href| view! { <A href=href attr:class="button" attr:rel="next">"Next"</A> })}
            </nav>
        }
    })
}

/// A number with thousands separators: 204,000.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&parts.join(&b',')).into_owned()
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_204_025].map(grouped), ["0", "999", "1,000", "1,204,025"]);
    }
}
