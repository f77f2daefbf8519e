//! How far something has come, and how much of it there is.

use leptos::prelude::*;

/// A bar with its numbers. Without a total it moves to and fro.
#[component]
pub fn ProgressBar(
    /// What progresses, for those who hear the page.
    #[prop(into)]
    label: String,
    /// How much is done.
    #[prop(into)]
    done: Signal<u64>,
    /// How much there is to do, when that is known.
    #[prop(into)]
    total: Signal<Option<u64>>,
) -> impl IntoView {
    view! {
        <progress
            class="progress"
            aria-label=label
            max=move || total.get().map(|total| total.max(1))
            value=move || total.get().map(|_| done.get())
        ></progress>
    }
}
