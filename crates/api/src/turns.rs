//! Limits the number of event streams per browser.
//!
//! Over HTTP/1.1 a browser opens at most six connections to a site, for all tabs together; seven tabs that follow
//! events would leave none for pages. If a browser opens more than [`STREAMS`] streams, the oldest is closed and told
//! to reconnect later.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::Version;
use axum::http::request::Parts;
use longshore_access::{RequestActor, Via};
use tokio_util::sync::CancellationToken;

/// The maximum number of streams per browser; leaves two connections for everything else.
const STREAMS: usize = 4;

/// The streams of all browsers. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<Browser, VecDeque<CancellationToken>>>>);

/// Identifies a browser, as far as possible.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Browser {
    Session { csrf: String },
    Anonymous { peer: IpAddr },
}

impl Browser {
    /// The browser behind a request; `None` if the number of its connections is not so limited: scripts, and HTTP/2,
    /// which multiplexes all streams over one connection.
    fn of(parts: &Parts) -> Option<Self> {
        let request = parts.extensions.get::<RequestActor>()?;
        match &request.via {
            _ if parts.version >= Version::HTTP_2 => None,
            Via::Session { csrf } => Some(Self::Session { csrf: csrf.clone() }),
            Via::Refused { .. } | Via::None => Some(Self::Anonymous { peer: request.peer }),
            Via::Basic | Via::Bearer { .. } => None,
        }
    }
}

impl Turns {
    /// Registers a stream, and ends the browser's oldest one if there are too many.
    pub(crate) fn begin(&self, parts: &Parts) -> Turn {
        let over = CancellationToken::new();
        let browser = Browser::of(parts);
        if let Some(browser) = browser.clone() {
            let mut turns = self.0.lock();
            let held = turns.entry(browser).or_default();
            held.push_back(over.clone());
            if held.len() > STREAMS
                && let Some(oldest) = held.pop_front()
            {
                oldest.cancel();
            }
        }
        Turn { turns: self.clone(), browser, over }
    }
}

/// The registration of a stream. It ends when this is dropped, or earlier if a newer stream takes its place.
pub(crate) struct Turn {
    turns: Turns,
    browser: Option<Browser>,
    /// Cancelled when the turn is over.
    pub(crate) over: CancellationToken,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(browser) = &self.browser else { return };
        // Cancelled here too, to tell it from the others.
        self.over.cancel();
        let mut turns = self.turns.0.lock();
        if let Some(held) = turns.get_mut(browser) {
            held.retain(|turn| !turn.is_cancelled());
            if held.is_empty() {
                turns.remove(browser);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use longshore_model::Actor;
    use std::net::Ipv4Addr;

    fn request(via: Via, version: Version) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        let actor = Actor::Anonymous;
        parts.extensions.insert(RequestActor {
            actor,
            peer: Ipv4Addr::LOCALHOST.into(),
            via,
            credential: None,
        });
        parts.version = version;
        parts
    }

    fn session(csrf: &str) -> Parts {
        request(Via::Session { csrf: csrf.to_owned() }, Version::HTTP_11)
    }

    fn over(turns: &[Turn]) -> Vec<bool> {
        turns.iter().map(|turn| turn.over.is_cancelled()).collect()
    }

    #[test]
    fn the_fifth_stream_of_a_browser_ends_the_oldest() {
        let turns = Turns::default();
        let mut held: Vec<_> = (0..4).map(|_| turns.begin(&session("one"))).collect();
        let _another = turns.begin(&session("another"));
        assert_eq!(over(&held), [false; 4]);
        held.push(turns.begin(&session("one")));
        assert_eq!(over(&held), [true, false, false, false, false]);
        // A tab that was closed makes room.
        held.drain(..2);
        held.push(turns.begin(&session("one")));
        assert_eq!(over(&held), [false; 4]);
    }

    #[test]
    fn scripts_and_http_2_are_not_limited_and_ended_streams_are_forgotten() {
        let turns = Turns::default();
        for parts in [request(Via::Basic, Version::HTTP_11), request(Via::None, Version::HTTP_2)] {
            let held: Vec<_> = (0..9).map(|_| turns.begin(&parts)).collect();
            assert_eq!(over(&held), [false; 9]);
        }
        drop([turns.begin(&request(Via::None, Version::HTTP_11)), turns.begin(&session("one"))]);
        assert!(turns.0.lock().is_empty());
    }
}
