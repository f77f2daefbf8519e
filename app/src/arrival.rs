//! Coming to another page without loading it, as if it were loaded: the focus goes to its heading, and who goes back
//! finds the page where it was left.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use leptos::{ev, prelude::*};
use leptos_router::hooks::use_location;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, HtmlElement, MouseEvent};

/// How often one looks whether the page has come.
const LOOK: Duration = Duration::from_millis(50);
/// How often at most: after three seconds, who waits has done something else.
const LOOKS: u32 = 60;
/// So many addresses are remembered with where they were left.
const REMEMBERED: usize = 200;

/// Looks after the focus and the scroll position. Renders nothing.
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

/// The heading that had the focus, or could have had it, and what it said: from one thing to another of its kind, the
/// element stays and its text changes.
type Heading = Rc<RefCell<Option<(Element, String)>>>;

/// Hears of each click before the router does, which may leave the page at once. It listens for as long as the page
/// lives.
pub(crate) fn before_router(on_click: impl Fn(MouseEvent) + 'static) {
    let listener = Closure::<dyn Fn(MouseEvent)>::new(on_click);
    let function = listener.as_ref().unchecked_ref();
    if window().add_event_listener_with_callback_and_bool("click", function, true).is_ok() {
        listener.forget();
    }
}

/// Looks again and again, until it is done.
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

/// Focuses the heading where it is another one than before. Answers whether there is nothing more to wait for.
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
        // Focusing an element that is on the page cannot fail.
        let _ = heading.focus_with_options(&how);
    }
    true
}

/// Notes where a page is left, and goes there when somebody comes back to it. Browsers try the same, but before the
/// page has its contents.
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
                // Who has gone on is not taken there any more.
                let arrived = move || address() != here || scroll_to(at);
                // In this turn the page that is left is still there.
                set_timeout(move || until(LOOKS, arrived), LOOK);
            }
        });
        on_cleanup(move || returning.remove());
    });
}

fn address() -> Option<String> {
    window().location().href().ok()
}

/// Goes to a place of the page, once it is long enough.
fn scroll_to(at: f64) -> bool {
    let length = document().document_element().map_or(0, |root| root.scroll_height() - root.client_height());
    let long_enough = f64::from(length) >= at;
    if long_enough {
        window().scroll_to_with_x_and_y(0.0, at);
    }
    long_enough
}
