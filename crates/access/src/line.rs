//! The order in which passwords are checked. A check needs 19 MiB and a core for some hundredths of a second, and any
//! client can ask for one; so the queue is short, and attempts that find it full are rejected immediately instead of
//! waiting behind all guesses.
//!
//! First come attempts from a network where the same user has recently signed in; then those from networks with the
//! fewest recent attempts that were wrong or found the queue full, and with the fewest attempts in the queue. If the
//! queue is full, a newcomer takes the place of the last one if it ranks before that. So a guesser loses its place to
//! an honest user after a single attempt, however many addresses the guesses come from.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The origin of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) network: IpAddr,
    /// Whether the same user has recently signed in from there.
    pub(crate) known: bool,
    /// The number of recent attempts from there that were wrong or found the queue full.
    pub(crate) tries: u32,
}

/// The queue is full of attempts that rank higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The rank in the queue: smaller ones go first; equal ones in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stranger: bool,
    load: u32,
    number: u64,
}

/// The queue, and the number of checks that may start; cheap to clone.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<State>>);

struct State {
    free: usize,
    most: usize,
    number: u64,
    waiting: BTreeMap<Place, (IpAddr, oneshot::Sender<Slot>)>,
    /// The number of waiting attempts per network.
    networks: HashMap<IpAddr, u32>,
}

/// The permission to check one password; released when it is dropped.
pub(crate) struct Slot(Option<Line>);

impl State {
    fn leave(&mut self, place: Place) -> Option<oneshot::Sender<Slot>> {
        let (network, sender) = self.waiting.remove(&place)?;
        if let Some(count) = self.networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
        Some(sender)
    }
}

impl Line {
    /// A queue of at most `most` attempts, while `slots` passwords are checked at a time.
    pub(crate) fn new(slots: usize, most: usize) -> Self {
        let (waiting, networks) = (BTreeMap::new(), HashMap::new());
        Self(Arc::new(Mutex::new(State { free: slots, most, number: 0, waiting, networks })))
    }

    /// Waits until a password may be checked.
    ///
    /// # Errors
    /// [`Full`], immediately or when an attempt that ranks higher takes the place.
    pub(crate) async fn slot(&self, asker: Asker) -> Result<Slot, Full> {
        let (place, turn) = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Slot(Some(self.clone())));
            }
            let waiting = state.networks.get(&asker.network).copied().unwrap_or_default();
            let load = asker.tries.saturating_add(waiting);
            let place = Place { stranger: !asker.known, load, number: state.number };
            state.number += 1;
            if state.waiting.len() >= state.most {
                match state.waiting.last_key_value().map(|(last, _)| *last) {
                    // Dropping its sender notifies it.
                    Some(last) if place < last => drop(state.leave(last)),
                    _ => return Err(Full),
                }
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.insert(place, (asker.network, sender));
            *state.networks.entry(asker.network).or_default() += 1;
            (place, turn)
        };
        // Leaves the queue if the future is dropped.
        let _waiting = Waiting { line: self, place };
        turn.await.map_err(|_| Full)
    }

    fn release(&self) {
        loop {
            let next = {
                let mut state = self.state();
                let first = state.waiting.first_key_value().map(|(place, _)| *place);
                let Some(first) = first else {
                    state.free += 1;
                    return;
                };
                state.leave(first)
            };
            let Some(next) = next else { continue };
            match next.send(Slot(Some(self.clone()))) {
                Ok(()) => return,
                // The receiver was dropped at the last moment; offer the slot to the next one.
                Err(mut slot) => slot.0 = None,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.release();
        }
    }
}

struct Waiting<'a> {
    line: &'a Line,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.line.state().leave(self.place);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::BoxFuture;

    fn network(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn stranger(n: u8, tries: u32) -> Asker {
        Asker { network: network(n), known: false, tries }
    }

    /// An attempt that waits in the queue, polled once.
    fn waits(line: &Line, asker: Asker) -> BoxFuture<'static, Result<Slot, Full>> {
        let line = line.clone();
        let mut waiting = async move { line.slot(asker).await }.boxed();
        assert!((&mut waiting).now_or_never().is_none(), "{asker:?} waits");
        waiting
    }

    fn has_turn(waiting: &mut BoxFuture<'static, Result<Slot, Full>>) -> Option<Slot> {
        waiting.now_or_never().map(Result::unwrap)
    }

    #[tokio::test]
    async fn known_users_go_first_and_then_networks_with_the_fewest_wrong_guesses() {
        let line = Line::new(1, 10);
        let mut slot = Some(line.slot(stranger(0, 0)).await.unwrap());
        let mut guesser = waits(&line, stranger(1, 7));
        let mut fresh = waits(&line, stranger(2, 0));
        let mut second_of_it = waits(&line, stranger(2, 0));
        let mut other = waits(&line, stranger(3, 0));
        let mut known = waits(&line, Asker { known: true, ..stranger(4, 9) });
        for next in [&mut known, &mut fresh, &mut other, &mut second_of_it, &mut guesser] {
            drop(slot.take());
            slot = Some(has_turn(next).expect("this one is next"));
        }
        drop(slot);
        assert!(line.slot(stranger(0, 0)).now_or_never().is_some(), "the queue is empty");
    }

    #[tokio::test]
    async fn a_full_queue_rejects_the_attempt_that_ranks_last() {
        let line = Line::new(1, 2);
        let slot = line.slot(stranger(0, 0)).await.unwrap();
        let mut first = waits(&line, stranger(1, 1));
        let mut last = waits(&line, stranger(2, 3));
        assert!(matches!(line.slot(stranger(3, 3)).await, Err(Full)));
        let mut honest = waits(&line, stranger(4, 0));
        assert!(matches!((&mut last).now_or_never(), Some(Err(Full))));
        drop(slot);
        let slot = has_turn(&mut honest).unwrap();
        drop(slot);
        assert!(has_turn(&mut first).is_some());
    }

    #[tokio::test]
    async fn guesses_from_a_thousand_addresses_do_not_keep_out_an_honest_one() {
        let line = Line::new(1, 16);
        let slot = line.slot(stranger(0, 0)).await.unwrap();
        let guesser = |n: u16| {
            let [high, low] = n.to_be_bytes();
            Asker { network: IpAddr::from([10, 0, high, low]), known: false, tries: 1 }
        };
        let mut waiting: Vec<_> = (0..16).map(|n| waits(&line, guesser(n))).collect();
        for n in 16..1000 {
            assert!(matches!(line.slot(guesser(n)).await, Err(Full)));
        }
        let mut honest = waits(&line, stranger(1, 0));
        drop(slot);
        assert!(has_turn(&mut honest).is_some());
        waiting.clear();
        drop(honest);
    }

    #[tokio::test]
    async fn a_dropped_attempt_leaves_the_queue_and_its_slot_goes_to_the_next() {
        let line = Line::new(1, 2);
        let slot = line.slot(stranger(0, 0)).await.unwrap();
        let gone = waits(&line, stranger(1, 0));
        let gone_with_its_turn = waits(&line, stranger(2, 0));
        drop(gone);
        drop(slot);
        drop(gone_with_its_turn);
        assert!(line.slot(stranger(3, 0)).now_or_never().is_some());
        assert!(line.state().networks.is_empty());
    }
}
