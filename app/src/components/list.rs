//! Lists whose state stands in the address: what is searched, filtered, and on which page one is.

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

/// What the address says about a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery(ParamsMap);

/// What the address of this page says about its list.
#[must_use]
pub fn use_list_query() -> Memo<ListQuery> {
    let query = use_query_map();
    Memo::new(move |_| ListQuery(query.get()))
}

impl ListQuery {
    /// A filter's value, when it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get_str(name).map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The words that are searched for.
    #[must_use]
    pub fn search(&self) -> Option<String> {
        self.get("q")
    }

    /// A filter's value, where it is one of the words it may be.
    #[must_use]
    pub fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Which part of the list is wanted.
    #[must_use]
    pub fn page(&self) -> PageRequest {
        PageRequest { start: self.parsed("start"), size: PAGE_SIZE }
    }

    /// Whether a part of the list is wanted of which the address names a filter.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.0.latest_values().any(|(name, value)| name != "start" && !value.trim().is_empty())
    }

    /// What an address with these parts says.
    #[cfg(test)]
    pub(crate) fn of(parts: &[(&'static str, &str)]) -> Self {
        Self(parts.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    /// Another page of the same list.
    fn at(&self, path: &str, start: &Cursor) -> String {
        // What precedes a second page is the first one, whose address says nothing of it.
        let is_first = start.back && start.position <= u64::from(PAGE_SIZE);
        let start = (!is_first).then(|| start.to_string());
        let kept = self.0.latest_values().filter(|(name, _)| *name != "start");
        let mut parts: Vec<_> = kept.map(|(name, value)| (name.as_ref(), Some(value))).collect();
        parts.push(("start", start.as_deref()));
        paths::with_query(path, &parts)
    }
}

/// Says which part of the list is shown, and leads to the others.
#[component]
pub fn ListPager<'page, T>(
    /// What is shown.
    page: &'page Page<T>,
) -> impl IntoView + use<T> {
    let query = use_list_query().get_untracked();
    let path = use_location().pathname.get_untracked();
    let previous = page.previous.as_ref().map(|start| query.at(&path, start));
    let next = page.next.as_ref().map(|start| query.at(&path, start));
    view! { <Pager start=page.start shown=page.items.len() total=page.total previous=previous next=next/> }
}

/// A filter with a few values, which acts when one is chosen.
#[component]
pub fn FilterSelect(
    /// The filter's name in the address.
    name: &'static str,
    /// What is filtered, which stands for all values as well: "State".
    label: &'static str,
    /// What the address says.
    #[prop(into)]
    value: Signal<String>,
    /// The values.
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

/// A filter with too many values for a list, of which some are suggested.
#[component]
pub fn FilterText(
    /// The filter's name in the address.
    name: &'static str,
    /// What is filtered.
    label: &'static str,
    /// What the address says.
    #[prop(into)]
    value: Signal<String>,
    /// What may be chosen.
    #[prop(into)]
    suggestions: Signal<Vec<String>>,
    /// Told what stands there when the field is entered and with each change, so that something can be suggested.
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

/// Sends the form that the list of values stands in.
fn submit_form(event: &Event) {
    let select = event.target().and_then(|target| target.dyn_into::<HtmlSelectElement>().ok());
    if let Some(form) = select.and_then(|select| select.form()) {
        // A form that is on the page and has no checks of its own can always be sent.
        let _ = form.request_submit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_part_of_a_list_keeps_what_is_searched() {
        let at = |back, position| Cursor { back, position, key: "\"a\"".to_owned() };
        let query = ListQuery::of(&[("q", "web site"), ("state", ""), ("start", &at(false, 25).to_string())]);
        assert_eq!(query.page().start, Some(at(false, 25)));
        assert_eq!(query.at("/repositories", &at(false, 50)), "/repositories?q=web%20site&start=n50x226122");
        assert_eq!(query.at("/repositories", &at(true, 50)), "/repositories?q=web%20site&start=b50x226122");
        assert_eq!(query.at("/repositories", &at(true, 25)), "/repositories?q=web%20site");
    }

    #[test]
    fn what_an_address_says_is_read_with_care() {
        let query = ListQuery::of(&[("q", "  "), ("start", "25")]);
        assert_eq!(query.search(), None);
        assert!(!query.is_filtered());
        assert_eq!(query.page(), PageRequest::first(PAGE_SIZE));
    }
}
