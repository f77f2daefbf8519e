//! The field that selects the target repository of a promotion.

use leptos::prelude::*;
use longshore_model::{PageRequest, repository::RepositoryFilter};

use crate::{
    components::{Combobox, in_browser},
    server::repositories,
};

/// The maximum number of suggested repositories.
const SUGGESTED: u32 = 8;

/// Suggests repositories that the user may write to, found by a part of their name; any other name can be entered too.
#[component]
pub(crate) fn TargetField(
    /// The source repository, which is not suggested.
    #[prop(into)]
    source: Signal<String>,
    value: RwSignal<String>,
    #[prop(into)] error: Signal<Option<String>>,
) -> impl IntoView {
    let sought = RwSignal::new(None::<String>);
    // The response to an earlier search is discarded, even if it arrives last.
    let found = in_browser(move || {
        let search = sought.get();
        async move {
            let filter = RepositoryFilter { search: Some(search?), writable: true, ..Default::default() };
            repositories(filter, PageRequest::first(SUGGESTED)).await.ok()
        }
    });
    // Until the response to the latest text arrives, the previous suggestions that match it are shown.
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
