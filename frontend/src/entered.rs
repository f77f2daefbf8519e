//! Input made before hydration. Hydrating sets every field to the server's value, so the input is recorded before and
//! entered again afterwards.

use leptos::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::{
    Element, Event, EventInit, HtmlFormElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement,
    HtmlTextAreaElement,
};

/// The fields that differ from what the server sent.
pub(crate) struct Entered(Vec<(Element, Entry)>);

enum Entry {
    Text(String),
    Ticked(bool),
    Chosen(String),
}

impl Entered {
    /// Reads every field of the page.
    pub(crate) fn note() -> Self {
        let fields = document().query_selector_all("input, textarea, select").ok();
        let fields = fields.iter().flat_map(|fields| (0..fields.length()).filter_map(|at| fields.get(at)));
        let fields = fields.filter_map(|field| field.dyn_into::<Element>().ok());
        Self(fields.filter_map(|field| entry(&field).map(|entry| (field, entry))).collect())
    }

    /// Enters the input again. Hydration keeps the elements, so they are the same.
    pub(crate) fn enter(self) {
        for (field, entry) in self.0 {
            match &entry {
                Entry::Text(text) => set_text(&field, text),
                Entry::Ticked(ticked) => {
                    if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
                        input.set_checked(*ticked);
                    }
                }
                Entry::Chosen(value) => {
                    if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
                        select.set_value(value);
                    }
                }
            }
            // A form that navigates, such as a search, reads its fields when it is submitted.
            if !leads_to_an_address(&field) {
                tell(&field, if matches!(entry, Entry::Text(_)) { "input" } else { "change" });
            }
        }
    }
}

/// The input in a field, if it was changed.
fn entry(field: &Element) -> Option<Entry> {
    if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
        return match input.type_().as_str() {
            "hidden" | "submit" | "button" => None,
            // Checking another radio button unchecks this one.
            "radio" => (input.checked() && !input.default_checked()).then_some(Entry::Ticked(true)),
            "checkbox" => {
                (input.checked() != input.default_checked()).then(|| Entry::Ticked(input.checked()))
            }
            _ => (input.value() != input.default_value()).then(|| Entry::Text(input.value())),
        };
    }
    if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
        let sent = area.default_value().unwrap_or_default();
        return (area.value() != sent).then(|| Entry::Text(area.value()));
    }
    let select = field.dyn_ref::<HtmlSelectElement>()?;
    let options = (0..select.length()).filter_map(|at| select.get(at));
    let options: Vec<_> = options.filter_map(|option| option.dyn_into::<HtmlOptionElement>().ok()).collect();
    // If the server selected none, the browser selects the first.
    let sent = options.iter().find(|option| option.default_selected()).or(options.first())?;
    (select.value() != sent.value()).then(|| Entry::Chosen(select.value()))
}

fn set_text(field: &Element, text: &str) {
    if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
        input.set_value(text);
    } else if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
        area.set_value(text);
    }
}

fn leads_to_an_address(field: &Element) -> bool {
    let form = field.closest("form").ok().flatten();
    let form = form.and_then(|form| form.dyn_into::<HtmlFormElement>().ok());
    form.is_some_and(|form| form.method() == "get")
}

fn tell(field: &Element, kind: &str) {
    let how = EventInit::new();
    how.set_bubbles(true);
    if let Ok(event) = Event::new_with_event_init_dict(kind, &how) {
        // Fails only for an event that is already being dispatched.
        let _ = field.dispatch_event(&event);
    }
}
