//! Makes client-side navigation behave like a page load: the focus moves to the new heading, and going back restores
//! the scroll position.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use leptos::{ev, prelude::*};
use leptos_router::hooks::use_location;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, HtmlElement, MouseEvent};

/// The interval between checks whether the page has arrived.
const LOOK: Duration = Duration::from_millis(50);
/// The number of checks. After three seconds the user is doing something else.
const LOOKS: u32 = 60;
/// The number of addresses whose scroll positions are remembered.
const REMEMBERED: usize = 200;

/// Manages focus and scroll position. Renders nothing.
#[component]
pub(crate) fn Arrival() -> impl IntoView {
    let path = use_location().pathname;
    Effect::new(move |last: Option<Heading>| {
        path.track();
        match last {
            None => Rc::new(RefCell::new(find_heading().map(with_text))),
            Some(last) => {
                let waiting = Rc::clone(&last);
                until(LOOKS, move || focus_heading(&waiting));
                last
            }
        }
    });
    restore_scroll();
}

/// The last heading that could have the focus, and its text: between two pages of one kind the element stays and only
/// its text changes.
type Heading = Rc<RefCell<Option<(Element, String)>>>;

/// Calls `on_click` for each click before the router handles it, which may leave the page at once. The listener lives
/// as long as the page.
pub(crate) fn before_router(on_click: impl Fn(MouseEvent) + 'static) {
    let listener = Closure::<dyn Fn(MouseEvent)>::new(on_click);
    let function = listener.as_ref().unchecked_ref();
    if window().add_event_listener_with_callback_and_bool("click", function, true).is_ok() {
        listener.forget();
    }
}

/// Checks repeatedly until `done` returns true.
fn until(looks: u32, done: impl Fn() -> bool + 'static) {
    if looks > 0 && !done() {
        set_timeout(move || until(looks - 1, done), LOOK);
    }
}

fn find_heading() -> Option<Element> {
    document().query_selector("main h1").ok().flatten()
}

fn with_text(heading: Element) -> (Element, String) {
    let text = heading.text_content().unwrap_or_default();
    (heading, text)
}

/// Focuses the heading if it has changed. Returns whether there is nothing left to wait for.
fn focus_heading(last: &Heading) -> bool {
    let found = find_heading().map(with_text);
    let Some((heading, _)) = found.clone().filter(|_| *last.borrow() != found) else { return false };
    last.replace(found);
    let within = document().query_selector("dialog:modal").ok().flatten();
    let typing = document().active_element().is_some_and(|focused| {
        focused.closest("main :is(input, textarea, select)").is_ok_and(|field| field.is_some())
    });
    if let (None, false, Ok(heading)) = (within, typing, heading.dyn_into::<HtmlElement>()) {
        heading.set_tab_index(-1);
        let how = web_sys::FocusOptions::new();
        how.set_prevent_scroll(true);
        // Focusing an element on the page cannot fail.
        let _ = heading.focus_with_options(&how);
    }
    true
}

/// Remembers the scroll position of a page that is left, and restores it when the user comes back. Browsers try to do
/// the same, but before the page has its contents.
fn restore_scroll() {
    let left = StoredValue::new(HashMap::<String, f64>::new());
    Effect::new(move |_| {
        before_router(move |_| {
            let (Some(here), Ok(at)) = (address(), window().scroll_y()) else { return };
            left.update_value(|left| {
                if left.len() >= REMEMBERED && !left.contains_key(&here) {
                    left.clear();
                }
                left.insert(here, at);
            });
        });
        let returning = window_event_listener(ev::popstate, move |_| {
            let at = address().and_then(|here| left.with_value(|left| left.get(&here).copied()));
            if let Some(at) = at.filter(|at| *at > 0.0) {
                let here = address();
                // If the user has moved on, nothing is scrolled.
                let arrived = move || address() != here || scroll_to(at);
                // During this turn the previous page is still there.
                set_timeout(move || until(LOOKS, arrived), LOOK);
            }
        });
        on_cleanup(move || returning.remove());
    });
}

fn address() -> Option<String> {
    window().location().href().ok()
}

/// Scrolls to a position, once the page is long enough.
fn scroll_to(at: f64) -> bool {
    let length = document().document_element().map_or(0, |root| root.scroll_height() - root.client_height());
    let long_enough = f64::from(length) >= at;
    if long_enough {
        window().scroll_to_with_x_and_y(0.0, at);
    }
    long_enough
}
