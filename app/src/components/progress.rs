//! Progress bars.

use leptos::prelude::*;

/// A bar with its numbers. Without a total it is indeterminate.
#[component]
pub fn ProgressBar(
    /// Label for screen readers.
    #[prop(into)]
    label: String,
    #[prop(into)] done: Signal<u64>,
    /// `None` if the total is not known.
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
