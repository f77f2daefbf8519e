//! What the client of a connection is up to: asking, taking an answer, resting, or wasting our time. The
//! stream and the bodies report here; the connection's task looks from time to time.
//!
//! A client is slow by the time that *it* is waited for. A pull over a thin line goes on for hours as
//! long as bytes are taken; an answer that we have nothing of yet costs the client no time.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::limits::{LimitSettings, Slow};

/// What a look at a connection comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may go on.
    Fine,
    /// Nothing was asked for a long time.
    Idle,
    /// A request's head does not end.
    SlowHead,
    /// An answer is not taken.
    SlowResponse,
}

/// What one connection does.
pub(super) struct Pulse {
    read: AtomicU64,
    written: AtomicU64,
    state: Mutex<State>,
    head: Duration,
    idle: Duration,
    slow: Option<Slow>,
}

struct State {
    /// Requests whose answer has not ended.
    open: usize,
    served: bool,
    /// Frames that keep an HTTP/2 connection alive belong to no request.
    http2: bool,
    quiet_since: Instant,
    /// What had been read when it became quiet; more is the beginning of a request.
    quiet_read: u64,
    head_since: Option<Instant>,
    /// Answers of which the client has not taken what there is.
    owed: usize,
    owed_since: Instant,
    /// For how long something was owed, and what had been written when this began to be counted.
    waited: Duration,
    written_before: u64,
}

impl Pulse {
    /// A connection that is opened now, and whether it is known already to speak HTTP/2.
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

    /// A request's head has come.
    pub(super) fn begin(&self, http2: bool) {
        let mut state = self.state();
        state.open += 1;
        state.served = true;
        state.http2 |= http2;
        state.head_since = None;
    }

    /// Its answer has ended.
    pub(super) fn end(&self, now: Instant) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        if state.open == 0 {
            state.quiet_since = now;
            state.quiet_read = self.read.load(Relaxed);
        }
    }

    /// What was still coming of a request that is answered has come: it is no beginning of another one.
    pub(super) fn swept(&self) {
        let mut state = self.state();
        if state.open == 0 {
            state.quiet_read = self.read.load(Relaxed);
            state.head_since = None;
        }
    }

    /// Bytes of a request whose head has not ended.
    pub(super) fn unfinished(&self) -> u64 {
        self.read.load(Relaxed) - self.state().quiet_read
    }

    /// A part of an answer waits for the client.
    pub(super) fn owe(&self, now: Instant) {
        let mut state = self.state();
        if state.owed == 0 {
            state.owed_since = now;
        }
        state.owed += 1;
    }

    /// The client has taken it.
    pub(super) fn settle(&self, now: Instant) {
        let mut state = self.state();
        state.owed = state.owed.saturating_sub(1);
        if state.owed == 0 {
            let waited = now - state.owed_since;
            state.waited += waited;
        }
    }

    /// Looks at what the client does.
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

    /// A connection, and the instant so many seconds after it was opened.
    fn opened() -> (Arc<Pulse>, impl Fn(u64) -> Instant) {
        opened_with(false)
    }

    fn opened_with(http2: bool) -> (Arc<Pulse>, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let pulse = Pulse::new(&Values::default().group().unwrap(), http2, start);
        (pulse, move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn a_head_that_drips_in_has_its_time_and_no_more() {
        let (pulse, at) = opened();
        for second in 0..20 {
            pulse.has_read(1);
            assert_eq!(pulse.look(at(second)), Verdict::Fine);
        }
        assert_eq!(pulse.look(at(20)), Verdict::SlowHead);
    }

    #[test]
    fn who_connects_and_says_nothing_does_not_stay() {
        let (pulse, at) = opened();
        assert_eq!(pulse.look(at(19)), Verdict::Fine);
        assert_eq!(pulse.look(at(20)), Verdict::Idle);
    }

    #[test]
    fn a_connection_may_rest_between_requests() {
        let (pulse, at) = opened();
        pulse.has_read(100);
        pulse.begin(false);
        assert_eq!(pulse.look(at(3600)), Verdict::Fine, "it is we who have nothing to say");
        pulse.end(at(3600));
        assert_eq!(pulse.look(at(3719)), Verdict::Fine);
        assert_eq!(pulse.look(at(3720)), Verdict::Idle);
    }

    #[test]
    fn frames_that_keep_http_2_alive_are_no_request() {
        let (pulse, at) = opened();
        pulse.begin(true);
        pulse.end(at(0));
        pulse.has_read(17);
        assert_eq!(pulse.look(at(1)), Verdict::Fine);
        assert_eq!(pulse.look(at(60)), Verdict::Fine);
    }

    #[test]
    fn who_opens_http_2_in_advance_sends_no_slow_head() {
        let (pulse, at) = opened_with(true);
        pulse.has_read(60);
        assert_eq!(pulse.look(at(1)), Verdict::Fine);
        assert_eq!(pulse.look(at(21)), Verdict::Idle);
    }

    #[test]
    fn what_was_left_of_an_answered_request_begins_no_other() {
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
    fn a_pull_over_a_thin_line_goes_on_and_one_that_nobody_takes_does_not() {
        let (pulse, at) = opened();
        pulse.begin(false);
        pulse.owe(at(0));
        for minute in 1..100 {
            // A kernel takes much at once and then nothing for a while.
            pulse.has_written(60 * 1000);
            assert_eq!(pulse.look(at(60 * minute)), Verdict::Fine);
        }
        pulse.has_written(60 * 400);
        assert_eq!(pulse.look(at(60 * 100)), Verdict::SlowResponse);
    }

    #[test]
    fn time_in_which_we_have_nothing_to_give_is_not_the_clients() {
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
