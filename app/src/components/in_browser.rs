//! What the browser alone loads: suggestions and previews, which no page waits for.
//!
//! A `LocalResource` would be the obvious way, but what reads one while the server renders makes the
//! boundary around it give up, and the form arrives as "Loading…", or not, as chance has it.

use leptos::{prelude::*, task::spawn_local};

/// Loads something in the browser, and again whenever a signal changes that `load` reads before its first
/// `await`. None on the server, and until it has come; what came last stays while the next is on its way.
pub fn in_browser<T, F>(load: impl Fn() -> F + 'static) -> Signal<Option<T>>
where
    T: Send + Sync + 'static,
    F: Future<Output = T> + 'static,
{
    let (loaded, turn) = (RwSignal::new(None), StoredValue::new(0_u64));
    // Effects run in the browser only.
    Effect::new(move || {
        turn.update_value(|turn| *turn += 1);
        let (mine, coming) = (turn.get_value(), load());
        spawn_local(async move {
            let value = coming.await;
            // The page may be gone, or something newer on its way.
            if turn.try_get_value() == Some(mine) {
                loaded.try_set(Some(value));
            }
        });
    });
    loaded.into()
}
