//! Lists whose state is in the address: search, filters and page.

use leptos::prelude::*;
use leptos_router::{
    hooks::{use_location, use_query_map},
    params::ParamsMap,
};
use longshore_model::{Cursor, Page, PageRequest};
use wasm_bindgen::JsCast;
use web_sys::{Event, HtmlSelectElement};

use super::{Choice, Pager};
use crate::{paths, server::PAGE_SIZE};

/// The list state in an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery(ParamsMap);

/// The list state in the address of the current page.
#[must_use]
pub fn use_list_query() -> Memo<ListQuery> {
    let query = use_query_map();
    Memo::new(move |_| ListQuery(query.get()))
}

impl ListQuery {
    /// A filter's value, if set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get_str(name).map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The search.
    #[must_use]
    pub fn search(&self) -> Option<String> {
        self.get("q")
    }

    /// A filter's value, if it is one of the allowed words.
    #[must_use]
    pub fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// The requested part of the list.
    #[must_use]
    pub fn page(&self) -> PageRequest {
        PageRequest { start: self.parsed("start"), size: PAGE_SIZE }
    }

    /// Whether the address sets a search or a filter.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.0.latest_values().any(|(name, value)| name != "start" && !value.trim().is_empty())
    }

    /// The list state in an address with these parts.
    #[cfg(test)]
    pub(crate) fn of(parts: &[(&'static str, &str)]) -> Self {
        Self(parts.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    /// The address of another part of the same list.
    fn at(&self, path: &str, start: &Cursor) -> String {
        // The page before the second is the first, whose address has no cursor.
        let is_first = start.back && start.position <= u64::from(PAGE_SIZE);
        let start = (!is_first).then(|| start.to_string());
        let kept = self.0.latest_values().filter(|(name, _)| *name != "start");
        let mut parts: Vec<_> = kept.map(|(name, value)| (name.as_ref(), Some(value))).collect();
        parts.push(("start", start.as_deref()));
        paths::with_query(path, &parts)
    }
}

/// Shows which part of the list is on the page, and links to the others.
#[component]
pub fn ListPager<'page, T>(page: &'page Page<T>) -> impl IntoView + use<T> {
    let query = use_list_query().get_untracked();
    let path = use_location().pathname.get_untracked();
    let previous = page.previous.as_ref().map(|start| query.at(&path, start));
    let next = page.next.as_ref().map(|start| query.at(&path, start));
    view! { <Pager start=page.start shown=page.items.len() total=page.total previous=previous next=next/> }
}

/// A filter with a few values, applied as soon as one is chosen.
#[component]
pub fn FilterSelect(
    /// Its name in the address.
    name: &'static str,
    /// Its label, which also stands for all values: "State".
    label: &'static str,
    /// The value in the address.
    #[prop(into)]
    value: Signal<String>,
    choices: Vec<Choice>,
) -> impl IntoView {
    view! {
        <select name=name aria-label=label on:change=|event| submit_form(&event)>
            <option value="" selected=move || value.with(String::is_empty)>
                {label} ": all"
            </option>
            {choices
                .into_iter()
                .map(|choice| {
                    let own = choice.value.clone();
                    view! {
                        <option value=choice.value selected=move || value.with(|value| *value == own)>
                            {choice.label}
                        </option>
                    }
                })
                .collect_view()}
        </select>
    }
}

/// A filter with too many values for a list, with suggestions.
#[component]
pub fn FilterText(
    /// Its name in the address.
    name: &'static str,
    label: &'static str,
    /// The value in the address.
    #[prop(into)]
    value: Signal<String>,
    #[prop(into)] suggestions: Signal<Vec<String>>,
    /// Called with the text when the field gains focus and on each change, to load suggestions.
    #[prop(into)]
    on_search: Callback<String>,
) -> impl IntoView {
    view! {
        <input
            class="filter"
            type="text"
            name=name
            aria-label=label
            placeholder=label
            autocomplete="off"
            list=format!("suggestions-{name}")
            value=value.get_untracked()
            prop:value=value
            on:focus=move |event| on_search.run(event_target_value(&event))
            on:input=move |event| on_search.run(event_target_value(&event))
        />
        <datalist id=format!("suggestions-{name}")>
            {move || suggestions.get().into_iter().map(|value| view! { <option value=value></option> }).collect_view()}
        </datalist>
    }
}

/// Submits the form around the list of values.
fn submit_form(event: &Event) {
    let select = event.target().and_then(|target| target.dyn_into::<HtmlSelectElement>().ok());
    if let Some(form) = select.and_then(|select| select.form()) {
        // A form on the page without validation of its own can always be submitted.
        let _ = form.request_submit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_page_of_a_list_keeps_the_search() {
        let at = |back, position| Cursor { back, position, key: "\"a\"".to_owned() };
        let query = ListQuery::of(&[("q", "web site"), ("state", ""), ("start", &at(false, 25).to_string())]);
        assert_eq!(query.page().start, Some(at(false, 25)));
        assert_eq!(query.at("/repositories", &at(false, 50)), "/repositories?q=web%20site&start=n50x226122");
        assert_eq!(query.at("/repositories", &at(true, 50)), "/repositories?q=web%20site&start=b50x226122");
        assert_eq!(query.at("/repositories", &at(true, 25)), "/repositories?q=web%20site");
    }

    #[test]
    fn invalid_values_in_an_address_are_ignored() {
        let query = ListQuery::of(&[("q", "  "), ("start", "25")]);
        assert_eq!(query.search(), None);
        assert!(!query.is_filtered());
        assert_eq!(query.page(), PageRequest::first(PAGE_SIZE));
    }
}
