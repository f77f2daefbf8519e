//! Keeping what a page shows up to date while somebody looks at it.

use std::time::Duration;

use leptos::prelude::*;
use longshore_model::{Actor, job::Event};

use crate::{
    components::is_filled,
    live::{News, follow},
    paths,
    session::use_session,
};

/// Many changes at once are read as one.
const GATHER: Duration = Duration::from_millis(700);
/// A list about everything changes all the time on a busy server, and is expensive to read.
const GATHER_FOR_LISTS: Duration = Duration::from_secs(3);

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

/// Calls `reload` some seconds after something happened on the server that matters to a list about everything. Who is
/// not signed in may not follow that. Answers whether the connection is lost.
pub(crate) fn follow_everything(
    matters: impl Fn(&Event) -> bool + 'static,
    reload: impl Fn() + Copy + 'static,
) -> ReadSignal<bool> {
    let actor = use_session().actor;
    let signed_in = RwSignal::new(false);
    Effect::new(move |_| signed_in.set(matches!(actor.get(), Some(Ok(Actor::User(_))))));
    let address = move || signed_in.get().then(|| "/events?jobs=1".to_owned());
    follow_gathered(address, GATHER_FOR_LISTS, matters, reload)
}

/// Calls `reload` soon after something was told at an address that matters to the page. Answers whether the
/// connection is lost.
pub(crate) fn follow_and_reload(
    address: impl Fn() -> Option<String> + 'static,
    matters: impl Fn(&Event) -> bool + 'static,
    reload: impl Fn() + Copy + 'static,
) -> ReadSignal<bool> {
    follow_gathered(address, GATHER, matters, reload)
}

fn follow_gathered(
    address: impl Fn() -> Option<String> + 'static,
    gather: Duration,
    matters: impl Fn(&Event) -> bool + 'static,
    reload: impl Fn() + Copy + 'static,
) -> ReadSignal<bool> {
    let due = StoredValue::new(false);
    let soon = move || {
        if !due.get_value() {
            due.set_value(true);
            wait(due, gather, reload);
        }
    };
    follow(address, move |news| match news {
        // What changed between the page and its stream, or while that was lost, was not told.
        News::Opened => soon(),
        News::Event(event) if matters(&event) => soon(),
        News::Event(_) => {}
    })
}

/// Whether tags changed, a job ended, or something was set up otherwise.
pub(crate) fn changes_tags(event: &Event) -> bool {
    match event {
        Event::Tags { .. } => true,
        Event::Job { job } => job.status.is_final(),
        Event::Pauses | Event::Settings => true,
        Event::Log { .. } => false,
    }
}

/// Waits until the changes are gathered, and until nobody is answering a question about what is
/// shown, or entering something there: reading anew would take it away.
fn wait(due: StoredValue<bool>, gather: Duration, reload: impl Fn() + Copy + 'static) {
    let then = move || {
        // The page may have been left meanwhile.
        let Some(true) = due.try_get_value() else { return };
        if document().query_selector("dialog:modal").ok().flatten().is_some() || is_filled(None) {
            return wait(due, gather, reload);
        }
        due.set_value(false);
        reload();
    };
    set_timeout(then, gather);
}
