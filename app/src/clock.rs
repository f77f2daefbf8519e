//! The time that relative times are computed from.
//!
//! Server and browser render the first paint with the same time, passed in a `<meta>` tag; otherwise hydration would
//! find different texts. Afterwards the clock ticks in the browser.

use std::time::Duration;

use jiff::Timestamp;
use leptos::prelude::*;

/// The `<meta>` tag with the page's time.
pub(crate) const META: &str = "page-instant";

/// The interval at which relative times are updated.
const TICK: Duration = Duration::from_secs(5);

/// The time of the request that a page is rendered for; provided by the server as context.
#[derive(Clone, Copy, Debug)]
pub struct PageInstant(pub Timestamp);

#[derive(Clone, Copy)]
struct Clock(RwSignal<Timestamp>);

/// Starts the page's clock. Called once, by the root component.
pub(crate) fn provide() {
    let now = RwSignal::new(first_instant());
    provide_context(Clock(now));
    Effect::new(move |_| {
        now.set(browser_now());
        let ticking = set_interval_with_handle(move || now.set(browser_now()), TICK);
        if let Ok(ticking) = ticking {
            on_cleanup(move || ticking.clear());
        }
    });
}

/// The current time: the page's own during the first render, then the browser's.
///
/// # Panics
/// Outside the app.
#[must_use]
pub fn use_now() -> Signal<Timestamp> {
    use_context::<Clock>().expect("the app provides a clock").0.into()
}

/// The time of the first render.
#[cfg(feature = "ssr")]
pub(crate) fn first_instant() -> Timestamp {
    use_context::<PageInstant>().expect("the server provides the page's instant").0
}

/// The time of the first render.
#[cfg(not(feature = "ssr"))]
pub(crate) fn first_instant() -> Timestamp {
    document()
        .query_selector(&format!("meta[name={META}]"))
        .ok()
        .flatten()
        .and_then(|meta| meta.get_attribute("content"))
        .and_then(|instant| instant.parse().ok())
        .unwrap_or_else(browser_now)
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for 285,000 years")]
fn browser_now() -> Timestamp {
    Timestamp::from_millisecond(js_sys::Date::now() as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}
