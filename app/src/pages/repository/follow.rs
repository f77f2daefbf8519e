//! Keeping what a page shows of a repository up to date while somebody looks at it.

use std::time::Duration;

use leptos::prelude::*;
use longshore_model::job::Event;

use crate::{
    live::{News, follow},
    paths,
};

/// Many changes at once are read as one.
const GATHER: Duration = Duration::from_millis(700);

/// Calls `reload` soon after something happened in the repository that matters to the page. Answers
/// whether the connection is lost.
pub(crate) fn follow_repository(
    name: Memo<String>,
    matters: impl Fn(&Event) -> bool + 'static,
    reload: impl Fn() + Copy + 'static,
) -> ReadSignal<bool> {
    let address = move || name.with(|name| Some(paths::with_query("/events", &[("repository", Some(name))])));
    follow_and_reload(address, matters, reload)
}

/// Calls `reload` soon after something was told at an address that matters to the page. Answers whether the
/// connection is lost.
pub(crate) fn follow_and_reload(
    address: impl Fn() -> Option<String> + 'static,
    matters: impl Fn(&Event) -> bool + 'static,
    reload: impl Fn() + Copy + 'static,
) -> ReadSignal<bool> {
    let due = StoredValue::new(false);
    let soon = move || {
        if !due.get_value() {
            due.set_value(true);
            wait(due, reload);
        }
    };
    follow(address, move |news| match news {
        // What changed between the page and its stream, or while that was lost, was not told.
        News::Opened => soon(),
        News::Event(event) if matters(&event) => soon(),
        News::Event(_) => {}
    })
}

/// Whether tags changed, or a job ended.
pub(crate) fn changes_tags(event: &Event) -> bool {
    match event {
        Event::Tags { .. } => true,
        Event::Job { job } => job.status.is_final(),
        Event::Pauses => true,
        Event::Log { .. } => false,
    }
}

/// Waits until the changes are gathered, and until nobody is answering a question about what is
/// shown: reading anew would take it away.
fn wait(due: StoredValue<bool>, reload: impl Fn() + Copy + 'static) {
    let then = move || {
        // The page may have been left meanwhile.
        let Some(true) = due.try_get_value() else { return };
        if document().query_selector("dialog:modal").ok().flatten().is_some() {
            return wait(due, reload);
        }
        due.set_value(false);
        reload();
    };
    set_timeout(then, GATHER);
}
