//! Keeps an open page up to date: it follows server-sent events and reloads when one of them matters to the page.

use std::{collections::HashMap, time::Duration};

use leptos::prelude::*;
use longshore_model::{
    Actor,
    job::{Event, Job},
};

use crate::{
    components::is_filled,
    live::{News, follow},
    paths,
    session::use_session,
};

/// Changes within this time cause a single reload.
const GATHER: Duration = Duration::from_millis(700);
/// The same for lists of the whole server, which change all the time on a busy server and are expensive to load, and
/// for [`Event::Settings`], which does not say what was changed.
const GATHER_SLOWLY: Duration = Duration::from_secs(3);

/// Calls `reload` soon after an event in the repository that matters to the page. Returns whether the connection is
/// lost.
pub(crate) fn follow_repository(
    name: Memo<String>,
    matters: impl Fn(&Event) -> bool + 'static,
    reload: impl Fn() + Copy + 'static,
) -> ReadSignal<bool> {
    let address = move || name.with(|name| Some(paths::with_query("/events", &[("repository", Some(name))])));
    follow_and_reload(address, matters, reload)
}

/// Calls `reload` a few seconds after an event anywhere on the server that matters to the page. Anonymous users may not
/// follow the whole server, so nothing is followed for them. Returns whether the connection is lost.
pub(crate) fn follow_everything(
    matters: impl Fn(&Event) -> bool + 'static,
    reload: impl Fn() + Copy + 'static,
) -> ReadSignal<bool> {
    let actor = use_session().actor;
    let signed_in = RwSignal::new(false);
    Effect::new(move |_| signed_in.set(matches!(actor.get(), Some(Ok(Actor::User(_))))));
    let address = move || signed_in.get().then(|| "/events?jobs=1".to_owned());
    follow_gathered(address, GATHER_SLOWLY, matters, reload)
}

/// Calls `reload` soon after an event from `address` that matters to the page. Returns whether the connection is lost.
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
    let due = StoredValue::new(None);
    let within = move |gather: Duration| {
        if due.get_value().is_none_or(|within| gather < within) {
            due.set_value(Some(gather));
            wait(due, gather, reload);
        }
    };
    follow(address, move |news| match news {
        // Changes between rendering the page and opening its stream, or during an interruption, were not sent.
        News::Opened => within(gather),
        News::Event(event) if matters(&event) => within(match event {
            Event::Settings => GATHER_SLOWLY,
            _ => gather,
        }),
        News::Event(_) => {}
    })
}

/// Whether tags changed, a job ended, or something was paused or resumed.
pub(crate) fn changes_tags(event: &Event) -> bool {
    match event {
        Event::Tags { .. } | Event::Pauses => true,
        Event::Job { job } => job.status.is_final(),
        Event::Settings | Event::Log { .. } => false,
    }
}

/// As [`changes_tags`], and whether settings changed: policies, mirrors, remotes, repositories.
pub(crate) fn changes_anything(event: &Event) -> bool {
    changes_tags(event) || *event == Event::Settings
}

/// Returns a function that tells whether the status of a job has changed since it was last called with that job.
pub(crate) fn turns() -> impl Fn(&Job) -> bool {
    let seen = StoredValue::new(HashMap::new());
    move |job| {
        let last = seen.try_update_value(|seen| match job.status.is_final() {
            true => seen.remove(&job.id),
            false => seen.insert(job.id, job.status),
        });
        last.flatten() != Some(job.status)
    }
}

/// Reloads after `gather`, but not while a dialog is open or a form has unsaved input, which a reload would discard.
fn wait(due: StoredValue<Option<Duration>>, gather: Duration, reload: impl Fn() + Copy + 'static) {
    let then = move || {
        // The user may have left the page in the meantime.
        let Some(Some(_)) = due.try_get_value() else { return };
        if document().query_selector("dialog:modal").ok().flatten().is_some() || is_filled(None) {
            return wait(due, gather, reload);
        }
        due.set_value(None);
        reload();
    };
    set_timeout(then, gather);
}
