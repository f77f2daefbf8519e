//! What changes while a page is open: the server's events, followed for as long as somebody looks.
//!
//! A page opens one stream at most, and none while it is hidden: over HTTP/1.1 all tabs of a site
//! share six connections. A stream that breaks is opened again, with growing pauses, and the page
//! says so until it is back.

use std::{cell::RefCell, rc::Rc, time::Duration};

use leptos::{ev, prelude::*};
use longshore_model::job::Event;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{EventSource, MessageEvent};

use crate::components::{Alert, Tone};

/// A stream that is back within this time was never missed.
const GRACE: Duration = Duration::from_millis(1_500);
/// The pause before the first attempt to open a stream that the browser has given up.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a page that follows events is told.
#[derive(Clone, Debug)]
pub enum News {
    /// The stream is open, now or again. What changed before may have been missed.
    Opened,
    /// Something changed.
    Event(Event),
}

/// Follows the events at an address until the page is left. Where `address` reads signals, another
/// address is followed when they change; none stops. Answers whether the connection is lost.
pub fn follow(
    address: impl Fn() -> Option<String> + 'static,
    on_news: impl Fn(News) + 'static,
) -> ReadSignal<bool> {
    let (lost, set_lost) = signal(false);
    let (address, on_news): (Rc<dyn Fn() -> _>, Rc<dyn Fn(_)>) = (Rc::new(address), Rc::new(on_news));
    Effect::new(move |_| {
        if address().is_none() {
            return;
        }
        let follower = Rc::new(Follower {
            address: Rc::clone(&address),
            on_news: Rc::clone(&on_news),
            lost: set_lost,
            stream: RefCell::default(),
            timer: RefCell::default(),
            pause: RefCell::new(FIRST_PAUSE),
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
                follower.close();
            }
        });
    });
    lost
}

/// Says that the connection is lost, until it is back.
#[component]
pub fn ConnectionNotice(
    /// Whether it is lost.
    #[prop(into)]
    lost: Signal<bool>,
) -> impl IntoView {
    view! {
        <Show when=move || lost.get()>
            <Alert tone=Tone::Warn>
                "The connection to the server is lost, so this page may be out of date. It is opened again as soon as the server answers."
            </Alert>
        </Show>
    }
}

struct Follower {
    address: Rc<dyn Fn() -> Option<String>>,
    on_news: Rc<dyn Fn(News)>,
    lost: WriteSignal<bool>,
    stream: RefCell<Option<Stream>>,
    /// The next attempt, or the end of the grace.
    timer: RefCell<Option<TimeoutHandle>>,
    pause: RefCell<Duration>,
}

impl Follower {
    /// Opens the stream where somebody looks at the page, closes it where nobody does.
    fn look(self: &Rc<Self>) {
        if document().hidden() {
            self.close();
        } else if self.stream.borrow().is_none() {
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
        self.lost.set(false);
        (self.on_news)(News::Opened);
    }

    fn told(&self, text: &str) {
        // A page that is older than the server may meet an event that it does not know.
        if let Ok(event) = serde_json::from_str(text) {
            (self.on_news)(News::Event(event));
        }
    }

    /// The connection broke. Most often the browser opens it again by itself.
    fn broke(self: &Rc<Self>, for_good: bool) {
        if for_good {
            return self.give_up();
        }
        if self.timer.borrow().is_none() {
            let lost = self.lost;
            self.set_timer(set_timeout_with_handle(move || lost.set(true), GRACE).ok());
        }
    }

    /// The browser will not try again; this does, later.
    fn give_up(self: &Rc<Self>) {
        self.lost.set(true);
        let pause = *self.pause.borrow();
        self.pause.replace((pause * 2).min(LONGEST_PAUSE));
        let follower = Rc::clone(self);
        let again = move || {
            follower.stream.replace(None);
            follower.look();
        };
        self.set_timer(set_timeout_with_handle(again, pause).ok());
    }
}

/// An open stream. Dropping it closes it.
struct Stream {
    source: EventSource,
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut()>,
}

impl Stream {
    fn open(address: &str, follower: Rc<Follower>) -> Option<Self> {
        let source = EventSource::new(address).ok()?;
        let on_open = {
            let follower = Rc::clone(&follower);
            Closure::new(move || follower.opened())
        };
        let on_message = {
            let follower = Rc::clone(&follower);
            Closure::new(move |message: MessageEvent| {
                if let Some(text) = message.data().as_string() {
                    follower.told(&text);
                }
            })
        };
        let on_error = {
            let source = source.clone();
            Closure::new(move || follower.broke(source.ready_state() == EventSource::CLOSED))
        };
        source.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        source.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Some(Self { source, _on_open: on_open, _on_message: on_message, _on_error: on_error })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.close();
    }
}
