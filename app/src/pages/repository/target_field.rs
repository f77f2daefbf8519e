//! The field that picks the repository which tags go to.

use leptos::prelude::*;
use longshore_model::{PageRequest, repository::RepositoryFilter};

use crate::{components::Combobox, server::repositories};

/// How many repositories are suggested.
const SUGGESTED: u32 = 8;

/// Finds a repository that the reader may write to by a part of its name; its whole name may be
/// typed as well.
#[component]
pub(crate) fn TargetField(
    /// The target, as typed.
    value: RwSignal<String>,
    /// What is wrong with it.
    #[prop(into)]
    error: Signal<Option<String>>,
) -> impl IntoView {
    let search = Action::new(|text: &String| {
        let filter = RepositoryFilter { search: Some(text.clone()), writable: true, ..Default::default() };
        let asked = text.clone();
        async move { (asked, repositories(filter, PageRequest::first(SUGGESTED)).await) }
    });
    let options = Signal::derive(move || match search.value().get() {
        // An answer to what was typed before is worth nothing.
        Some((asked, Ok(page))) if asked == value.get() => {
            page.items.iter().map(|found| found.repository.name.to_string()).collect()
        }
        _ => Vec::new(),
    });
    view! {
        <Combobox
            name="target"
            label="Target repository"
            value=value
            options=options
            on_search=move |text| {
                search.dispatch(text);
            }
            placeholder="qa/website"
            error=error
        />
    }
}
