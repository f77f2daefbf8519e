//! Data that only the browser loads: suggestions and previews, which no page waits for.
//!
//! `LocalResource` would be the obvious choice, but reading one during server rendering makes the surrounding boundary
//! give up, and whether the form arrives or just "Loading…" is a matter of chance.

use leptos::{prelude::*, task::spawn_local};

/// Loads something in the browser, and again whenever a signal changes that `load` reads before its first `await`.
/// `None` on the server and until the first value arrives; the last value stays while the next one loads.
pub fn in_browser<T, F>(load: impl Fn() -> F + 'static) -> Signal<Option<T>>
where
    T: Send + Sync + 'static,
    F: Future<Output = T> + 'static,
{
    let (loaded, turn) = (RwSignal::new(None), StoredValue::new(0_u64));
    // Effects run only in the browser.
    Effect::new(move || {
        turn.update_value(|turn| *turn += 1);
        let (mine, coming) = (turn.get_value(), load());
        spawn_local(async move {
            let value = coming.await;
            // The page may be gone, or a newer request under way.
            if turn.try_get_value() == Some(mine) {
                loaded.try_set(Some(value));
            }
        });
    });
    loaded.into()
}
