//! The state of a connection's client: sending a request, receiving a response, idle, or too slow. The stream and the
//! bodies report events here; the task of the connection checks regularly.
//!
//! Only time spent waiting for the *client* counts. A pull over a slow link may take hours as long as bytes are
//! received, and the time in which a response has no data yet does not count.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::limits::{LimitSettings, Slow};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// No request for a long time.
    Idle,
    /// The head of a request is incomplete.
    SlowHead,
    /// A response is not received fast enough.
    SlowResponse,
}

/// The activity of one connection.
pub(super) struct Pulse {
    read: AtomicU64,
    written: AtomicU64,
    state: Mutex<State>,
    head: Duration,
    idle: Duration,
    slow: Option<Slow>,
}

struct State {
    /// The number of requests whose response has not ended.
    open: usize,
    served: bool,
    /// Keep-alive frames of HTTP/2 belong to no request.
    http2: bool,
    quiet_since: Instant,
    /// The number of bytes read when the connection became idle; any more belong to a new request.
    quiet_read: u64,
    head_since: Option<Instant>,
    /// The number of responses with data that the client has not received.
    owed: usize,
    owed_since: Instant,
    /// How long data was waiting for the client, and the number of bytes written when this was last reset.
    waited: Duration,
    written_before: u64,
}

impl Pulse {
    /// The state of a new connection; `http2` if it is known to speak HTTP/2.
    pub(super) fn new(limits: &LimitSettings, http2: bool, now: Instant) -> Arc<Self> {
        let state = State {
            open: 0,
            served: false,
            http2,
            quiet_since: now,
            quiet_read: 0,
            head_since: None,
            owed: 0,
            owed_since: now,
            waited: Duration::ZERO,
            written_before: 0,
        };
        Arc::new(Self {
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            state: Mutex::new(state),
            head: limits.head_seconds,
            idle: limits.idle_seconds,
            slow: limits.slow(),
        })
    }

    pub(super) fn has_read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn has_written(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Relaxed);
    }

    /// The head of a request has arrived.
    pub(super) fn begin(&self, http2: bool) {
        let mut state = self.state();
        state.open += 1;
        state.served = true;
        state.http2 |= http2;
        state.head_since = None;
    }

    /// The response of a request has ended.
    pub(super) fn end(&self, now: Instant) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        if state.open == 0 {
            state.quiet_since = now;
            state.quiet_read = self.read.load(Relaxed);
        }
    }

    /// The rest of an answered request has been read: it is not the start of another one.
    pub(super) fn swept(&self) {
        let mut state = self.state();
        if state.open == 0 {
            state.quiet_read = self.read.load(Relaxed);
            state.head_since = None;
        }
    }

    /// The number of bytes of a request whose head is incomplete.
    pub(super) fn unfinished(&self) -> u64 {
        self.read.load(Relaxed) - self.state().quiet_read
    }

    /// Data of a response waits for the client.
    pub(super) fn owe(&self, now: Instant) {
        let mut state = self.state();
        if state.owed == 0 {
            state.owed_since = now;
        }
        state.owed += 1;
    }

    /// The client has received the data.
    pub(super) fn settle(&self, now: Instant) {
        let mut state = self.state();
        state.owed = state.owed.saturating_sub(1);
        if state.owed == 0 {
            let waited = now - state.owed_since;
            state.waited += waited;
        }
    }

    /// Checks the state of the client.
    pub(super) fn look(&self, now: Instant) -> Verdict {
        let mut state = self.state();
        if state.open > 0 {
            return self.look_at_answers(&mut state, now);
        }
        let begun = self.read.load(Relaxed) > state.quiet_read && !state.http2;
        if begun {
            let since = *state.head_since.get_or_insert(now);
            return if now - since >= self.head { Verdict::SlowHead } else { Verdict::Fine };
        }
        let patience = if state.served { self.idle } else { self.head };
        if now - state.quiet_since >= patience { Verdict::Idle } else { Verdict::Fine }
    }

    fn look_at_answers(&self, state: &mut State, now: Instant) -> Verdict {
        let Some(slow) = self.slow.filter(|_| state.owed > 0) else { return Verdict::Fine };
        let waited = state.waited + (now - state.owed_since);
        if waited < slow.after {
            return Verdict::Fine;
        }
        let written = self.written.load(Relaxed);
        if slow.is_too_slow(waited, written - state.written_before) {
            return Verdict::SlowResponse;
        }
        (state.waited, state.owed_since, state.written_before) = (Duration::ZERO, now, written);
        Verdict::Fine
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_settings::Values;

    /// A new connection, and a function that returns the instant some seconds after it was opened.
    fn opened() -> (Arc<Pulse>, impl Fn(u64) -> Instant) {
        opened_with(false)
    }

    fn opened_with(http2: bool) -> (Arc<Pulse>, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let pulse = Pulse::new(&Values::default().group().unwrap(), http2, start);
        (pulse, move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn a_head_that_arrives_too_slowly_ends_the_connection() {
        let (pulse, at) = opened();
        for second in 0..20 {
            pulse.has_read(1);
            assert_eq!(pulse.look(at(second)), Verdict::Fine);
        }
        assert_eq!(pulse.look(at(20)), Verdict::SlowHead);
    }

    #[test]
    fn a_connection_without_a_request_is_closed() {
        let (pulse, at) = opened();
        assert_eq!(pulse.look(at(19)), Verdict::Fine);
        assert_eq!(pulse.look(at(20)), Verdict::Idle);
    }

    #[test]
    fn a_connection_may_be_idle_between_requests() {
        let (pulse, at) = opened();
        pulse.has_read(100);
        pulse.begin(false);
        assert_eq!(pulse.look(at(3600)), Verdict::Fine, "the server has no data to send");
        pulse.end(at(3600));
        assert_eq!(pulse.look(at(3719)), Verdict::Fine);
        assert_eq!(pulse.look(at(3720)), Verdict::Idle);
    }

    #[test]
    fn keep_alive_frames_of_http_2_are_not_a_request() {
        let (pulse, at) = opened();
        pulse.begin(true);
        pulse.end(at(0));
        pulse.has_read(17);
        assert_eq!(pulse.look(at(1)), Verdict::Fine);
        assert_eq!(pulse.look(at(60)), Verdict::Fine);
    }

    #[test]
    fn an_http_2_connection_opened_in_advance_is_idle_and_not_slow() {
        let (pulse, at) = opened_with(true);
        pulse.has_read(60);
        assert_eq!(pulse.look(at(1)), Verdict::Fine);
        assert_eq!(pulse.look(at(21)), Verdict::Idle);
    }

    #[test]
    fn the_rest_of_an_answered_request_is_not_the_start_of_another() {
        let (pulse, at) = opened();
        pulse.begin(false);
        pulse.end(at(0));
        pulse.has_read(1000);
        assert_eq!(pulse.look(at(1)), Verdict::Fine);
        pulse.swept();
        assert_eq!(pulse.look(at(60)), Verdict::Fine);
        assert_eq!(pulse.look(at(120)), Verdict::Idle);
    }

    #[test]
    fn a_pull_over_a_slow_link_continues_and_one_that_is_not_received_is_ended() {
        let (pulse, at) = opened();
        pulse.begin(false);
        pulse.owe(at(0));
        for minute in 1..100 {
            // A kernel accepts a lot at once and then nothing for a while.
            pulse.has_written(60 * 1000);
            assert_eq!(pulse.look(at(60 * minute)), Verdict::Fine);
        }
        pulse.has_written(60 * 400);
        assert_eq!(pulse.look(at(60 * 100)), Verdict::SlowResponse);
    }

    #[test]
    fn time_without_data_to_send_does_not_count_against_the_client() {
        let (pulse, at) = opened();
        pulse.begin(false);
        for minute in 0..100 {
            pulse.owe(at(60 * minute));
            pulse.has_written(1000);
            pulse.settle(at(60 * minute + 1));
            assert_eq!(pulse.look(at(60 * minute + 59)), Verdict::Fine);
        }
    }
}
