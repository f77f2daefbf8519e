//! Live updates: the server's events, followed while the page is visible.
//!
//! A page opens at most one stream, and none while it is hidden: over HTTP/1.1, all tabs of a site share six
//! connections. If more tabs are visible than the server allows to follow at once, they take turns. A broken stream is
//! reopened with increasing delays, and the page says so until it is back. A stream that the server refuses because the
//! user may not follow it is not retried; if the session has ended, the page reloads the current user.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable},
    stream::{SelectAll, select_all},
};
use gloo_net::eventsource::futures::{EventSource, EventSourceSubscription};
use leptos::{ev, prelude::*};
use longshore_model::job::Event;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, MessageEvent, RequestInit, Response};

use crate::{
    components::{Alert, Tone},
    session::{Session, use_session},
};

/// An outage shorter than this is not shown.
const GRACE: Duration = Duration::from_millis(1_500);
/// The delay before the first attempt to reopen a stream that the browser has given up.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The maximum delay.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The delay of a tab whose turn is over.
const TURN: Duration = Duration::from_secs(5);

/// The window event dispatched when a lost stream is back; `watch.js` then checks whether the server was updated.
const RECONNECTED: &str = "longshore-reconnected";

/// News for a page that follows events.
#[derive(Clone, Debug)]
pub enum News {
    /// The stream was opened or reopened. Earlier changes may have been missed.
    Opened,
    Event(Event),
}

/// Follows the events at an address until the page is left. If `address` reads signals, the stream moves with them;
/// `None` closes it. Returns whether the connection is lost.
pub fn follow(
    address: impl Fn() -> Option<String> + 'static,
    on_news: impl Fn(News) + 'static,
) -> ReadSignal<bool> {
    let (lost, set_lost) = signal(false);
    let session = use_session();
    let (address, on_news): (Rc<dyn Fn() -> _>, Rc<dyn Fn(_)>) = (Rc::new(address), Rc::new(on_news));
    Effect::new(move |_| {
        if address().is_none() {
            return;
        }
        let follower = Rc::new(Follower {
            address: Rc::clone(&address),
            on_news: Rc::clone(&on_news),
            lost: set_lost,
            session,
            stream: RefCell::default(),
            timer: RefCell::default(),
            pause: RefCell::new(FIRST_PAUSE),
            over: Cell::new(false),
            is_lost: Cell::new(false),
        });
        follower.look();
        let looking = {
            let follower = Rc::clone(&follower);
            window_event_listener(ev::visibilitychange, move |_| follower.look())
        };
        let follower = StoredValue::new_local(Some(follower));
        on_cleanup(move || {
            looking.remove();
            if let Some(follower) = follower.try_update_value(Option::take).flatten() {
                follower.over.set(true);
                follower.close();
            }
        });
    });
    lost
}

/// Says that the connection is lost, until it is back.
#[component]
pub fn ConnectionNotice(#[prop(into)] lost: Signal<bool>) -> impl IntoView {
    view! {
        <Show when=move || lost.get()>
            <Alert tone=Tone::Warn>
                "The connection to the server is lost, so this page may be out of date. It reconnects as soon as the server answers."
            </Alert>
        </Show>
    }
}

struct Follower {
    address: Rc<dyn Fn() -> Option<String>>,
    on_news: Rc<dyn Fn(News)>,
    lost: WriteSignal<bool>,
    session: Session,
    stream: RefCell<Option<Stream>>,
    /// Runs the next attempt, or ends the grace period.
    timer: RefCell<Option<TimeoutHandle>>,
    pause: RefCell<Duration>,
    /// The page was left, or the server refused the stream.
    over: Cell<bool>,
    is_lost: Cell<bool>,
}

impl Follower {
    /// Opens the stream when the page becomes visible, and closes it when it is hidden.
    fn look(self: &Rc<Self>) {
        if document().hidden() {
            self.close();
        } else if self.stream.borrow().is_none() && !self.over.get() {
            self.open();
        }
    }

    fn open(self: &Rc<Self>) {
        let Some(address) = untrack(|| (self.address)()) else { return };
        let stream = Stream::open(&address, Rc::clone(self));
        if stream.is_none() {
            self.give_up();
        }
        self.stream.replace(stream);
    }

    fn close(&self) {
        self.set_timer(None);
        self.stream.replace(None);
    }

    fn set_timer(&self, timer: Option<TimeoutHandle>) {
        if let Some(timer) = self.timer.replace(timer) {
            timer.clear();
        }
    }

    fn opened(&self) {
        self.set_timer(None);
        self.pause.replace(FIRST_PAUSE);
        if self.is_lost.replace(false) {
            self.lost.set(false);
            // The server may have restarted with another version.
            if let Ok(event) = web_sys::Event::new(RECONNECTED) {
                // Fails only for an event that is already being dispatched.
                let _ = window().dispatch_event(&event);
            }
        }
        (self.on_news)(News::Opened);
    }

    fn told(&self, message: &MessageEvent) {
        // A page older than the server may receive an event it does not know.
        let event = message.data().as_string().and_then(|text| serde_json::from_str(&text).ok());
        if let Some(event) = event {
            (self.on_news)(News::Event(event));
        }
    }

    /// The connection broke; the browser reconnects by itself.
    fn broke(self: &Rc<Self>) {
        if self.timer.borrow().is_none() {
            let follower = Rc::clone(self);
            self.set_timer(set_timeout_with_handle(move || follower.miss(), GRACE).ok());
        }
    }

    fn miss(&self) {
        self.is_lost.set(true);
        self.lost.set(true);
    }

    /// The browser will not reconnect; this does so later, unless the server refuses the stream.
    fn give_up(self: &Rc<Self>) {
        self.close();
        let (follower, address) = (Rc::clone(self), untrack(|| (self.address)()));
        spawn_local(async move {
            let status = match address {
                Some(address) => status_of(&address).await,
                None => None,
            };
            // The page may have become visible meanwhile, which opens a stream.
            if follower.over.get() || follower.stream.borrow().is_some() {
                return;
            }
            match status {
                // The session has ended: the page must not look as if the user were signed in.
                Some(401) => {
                    follower.over.set(true);
                    follower.session.actor.refetch();
                }
                Some(403 | 404) => follower.over.set(true),
                _ => follower.retry(),
            }
        });
    }

    fn retry(self: &Rc<Self>) {
        self.miss();
        let pause = *self.pause.borrow();
        self.pause.replace((pause * 2).min(LONGEST_PAUSE));
        self.open_after(pause);
    }

    /// Other tabs want to follow as well.
    fn wait_for_turn(self: &Rc<Self>) {
        self.open_after(TURN);
    }

    fn open_after(self: &Rc<Self>, pause: Duration) {
        self.close();
        let follower = Rc::clone(self);
        self.set_timer(set_timeout_with_handle(move || follower.look(), pause).ok());
    }
}

/// An open stream. Dropping it closes it.
struct Stream {
    _source: EventSource,
    reading: AbortHandle,
}

impl Stream {
    fn open(address: &str, follower: Rc<Follower>) -> Option<Self> {
        let mut source = EventSource::new(address).ok()?;
        let kinds = ["open", "message", "resync", "turn", "error"].map(|kind| source.subscribe(kind).ok());
        let events = select_all(kinds.into_iter().flatten());
        let (reading, registration) = AbortHandle::new_pair();
        // It ends early only if the stream is closed.
        spawn_local(Abortable::new(read(events, follower), registration).map(drop));
        Some(Self { _source: source, reading })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// The status that the server returns for the event stream at this address. The stream itself does not say why it
/// ended.
async fn status_of(address: &str) -> Option<u16> {
    let giving_up = AbortController::new().ok()?;
    let options = RequestInit::new();
    options.set_signal(Some(&giving_up.signal()));
    let answer = JsFuture::from(window().fetch_with_str_and_init(address, &options)).await;
    // If the stream does open, it would stay open.
    giving_up.abort();
    Some(answer.ok()?.dyn_into::<Response>().ok()?.status())
}

async fn read(mut events: SelectAll<EventSourceSubscription>, follower: Rc<Follower>) {
    while let Some(event) = events.next().await {
        let Ok((kind, message)) = event else { return follower.give_up() };
        match kind.as_str() {
            // After too many events for this page, it must reload as if the stream were new.
            "open" | "resync" => follower.opened(),
            "turn" => return follower.wait_for_turn(),
            "error" => follower.broke(),
            _ => follower.told(&message),
        }
    }
}
