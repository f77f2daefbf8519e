//! The field that picks the repository which tags go to.

use leptos::prelude::*;
use longshore_model::{PageRequest, repository::RepositoryFilter};

use crate::{
    components::{Combobox, in_browser},
    server::repositories,
};

/// How many repositories are suggested.
const SUGGESTED: u32 = 8;

/// Finds a repository that the reader may write to by a part of its name; its whole name may be
/// typed as well.
#[component]
pub(crate) fn TargetField(
    /// The repository that the tags come from, which is no target.
    #[prop(into)]
    source: Signal<String>,
    /// The target, as typed.
    value: RwSignal<String>,
    /// What is wrong with it.
    #[prop(into)]
    error: Signal<Option<String>>,
) -> impl IntoView {
    let sought = RwSignal::new(None::<String>);
    // An answer to what was typed before comes to nothing, even where it is the later one.
    let found = in_browser(move || {
        let search = sought.get();
        async move {
            let filter = RepositoryFilter { search: Some(search?), writable: true, ..Default::default() };
            repositories(filter, PageRequest::first(SUGGESTED)).await.ok()
        }
    });
    // Until the answer to a change of the text is here, what fits of the last one is shown.
    let options = Signal::derive(move || {
        let (page, typed) = (found.get().flatten(), value.get());
        let names = page.iter().flat_map(|page| &page.items).map(|found| found.repository.name.to_string());
        names.filter(|name| name.contains(typed.trim()) && source.with(|source| name != source)).collect()
    });
    view! {
        <Combobox
            name="target"
            label="Target repository"
            value=value
            options=options
            on_search=move |text| sought.set(Some(text))
            placeholder="qa/website"
            error=error
        />
    }
}
