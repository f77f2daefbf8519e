//! The browser's entry point: it hydrates the page that the server rendered.

mod entered;

use leptos::prelude::{Effect, window};
use wasm_bindgen::{JsCast, prelude::wasm_bindgen};
use web_sys::{PerformanceEntry, Url};

use entered::Entered;

/// Called by the page's script once this module is loaded.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    if has_moved().unwrap_or(false) && window().location().reload().is_ok() {
        return;
    }
    let mut entered = Some(Entered::note());
    leptos::mount::hydrate_body(move || {
        // Effects run after hydration: this one first, then the app's own, which announces it.
        Effect::new(move |_| {
            if let Some(entered) = entered.take() {
                entered.enter();
            }
        });
        longshore_app::App()
    });
}

/// Whether the user navigated back or forward before this module loaded. The address then differs from the one the
/// server rendered, and hydrating would show the wrong page.
fn has_moved() -> Option<bool> {
    let loads = window().performance()?.get_entries_by_type("navigation");
    let load: PerformanceEntry = loads.get(0).dyn_into().ok()?;
    let (loaded, now) = (Url::new(&load.name()).ok()?, Url::new(&window().location().href().ok()?).ok()?);
    Some(loaded.pathname() != now.pathname() || loaded.search() != now.search())
}
