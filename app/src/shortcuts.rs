//! Keyboard shortcuts on every page: `/` focuses the search field, `g` and a letter open a list.

use leptos::{ev, prelude::*};
use leptos_router::hooks::use_navigate;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};

use crate::{
    components::{Way, use_leaving},
    pages::SECTIONS,
};

/// The maximum time between `g` and the letter, in milliseconds.
const PAUSE: f64 = 1_500.0;

/// Listens for the keys. Renders nothing.
#[component]
pub(crate) fn Shortcuts() -> impl IntoView {
    let (navigate, leaving) = (use_navigate(), use_leaving());
    Effect::new(move |_| {
        let navigate = navigate.clone();
        let after_g = StoredValue::new(None::<f64>);
        let listening = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
            if event.ctrl_key() || event.meta_key() || event.alt_key() || is_typing(&event) || in_dialog() {
                return;
            }
            let g_was_pressed = after_g.get_value().is_some_and(|at| event.time_stamp() - at < PAUSE);
            after_g.set_value(None);
            let page = match event.key().as_str() {
                "/" if focus_search() => return event.prevent_default(),
                "g" => return after_g.set_value(Some(event.time_stamp())),
                key => match SECTIONS.iter().find(|section| g_was_pressed && section.key == Some(key)) {
                    Some(section) => section.page.path(),
                    None => return,
                },
            };
            event.prevent_default();
            if !leaving.asks(None, Way::Page { href: page.to_owned(), scroll: true }) {
                navigate(page, Default::default());
            }
        });
        on_cleanup(move || listening.remove());
    });
}

/// Whether the key is input to a field.
fn is_typing(event: &KeyboardEvent) -> bool {
    event.target().and_then(|target| target.dyn_into::<Element>().ok()).is_some_and(|element| {
        element.closest("input, textarea, select, [contenteditable]").ok().flatten().is_some()
    })
}

fn in_dialog() -> bool {
    document().query_selector("dialog:modal").ok().flatten().is_some()
}

/// Focuses the page's search field, if there is one. Returns whether there is.
fn focus_search() -> bool {
    let field = document().query_selector("input[type=search]").ok().flatten();
    field.and_then(|field| field.dyn_into::<HtmlElement>().ok()).is_some_and(|field| field.focus().is_ok())
}
