//! Who may check a password next. A check takes 19 MiB and a core for some hundredths of a second, and
//! anybody may ask for one; so the line is short, and whoever finds it full is sent away at once instead
//! of waiting behind all who guess.
//!
//! Those go first who signed in as the same user from the same network lately; then those from whose
//! network the fewest tries came that were wrong or found the line full, and the fewest wait already. Who
//! comes to a full line takes the place of the last one, if that is behind the newcomer's own. So it takes
//! no more than a try to lose one's place to somebody honest, from however many addresses guesses come.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// From which network.
    pub(crate) network: IpAddr,
    /// Whether the same user signed in from there lately.
    pub(crate) known: bool,
    /// How many wrong guesses came from there lately, and tries that found the line full.
    pub(crate) tries: u32,
}

/// The line is full of others who go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Smaller ones go first; where nothing else decides, those who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stranger: bool,
    load: u32,
    number: u64,
}

/// The line, and how many checks may begin at once; cheap to clone.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<State>>);

struct State {
    free: usize,
    most: usize,
    number: u64,
    waiting: BTreeMap<Place, (IpAddr, oneshot::Sender<Slot>)>,
    /// How many wait of each network.
    networks: HashMap<IpAddr, u32>,
}

/// The right to check one password, until it is dropped.
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
    /// A line of at most `most` who wait while `slots` passwords are checked.
    pub(crate) fn new(slots: usize, most: usize) -> Self {
        let (waiting, networks) = (BTreeMap::new(), HashMap::new());
        Self(Arc::new(Mutex::new(State { free: slots, most, number: 0, waiting, networks })))
    }

    /// Waits until a password may be checked.
    ///
    /// # Errors
    /// [`Full`], at once or when somebody comes who goes first.
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
                    // Its sender is dropped, which tells it.
                    Some(last) if place < last => drop(state.leave(last)),
                    _ => return Err(Full),
                }
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.insert(place, (asker.network, sender));
            *state.networks.entry(asker.network).or_default() += 1;
            (place, turn)
        };
        // Whoever goes away while waiting leaves the line.
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
                // Whose turn it was has just gone; the slot is still ours to give.
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

    /// Somebody who stands in line, polled once.
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
    async fn who_is_known_goes_first_and_then_who_guessed_wrong_least() {
        let line = Line::new(1, 10);
        let mut slot = Some(line.slot(stranger(0, 0)).await.unwrap());
        let mut guesser = waits(&line, stranger(1, 7));
        let mut fresh = waits(&line, stranger(2, 0));
        let mut second_of_it = waits(&line, stranger(2, 0));
        let mut other = waits(&line, stranger(3, 0));
        let mut known = waits(&line, Asker { known: true, ..stranger(4, 9) });
        for next in [&mut known, &mut fresh, &mut other, &mut second_of_it, &mut guesser] {
            drop(slot.take());
            slot = Some(has_turn(next).expect("it is the next one's turn"));
        }
        drop(slot);
        assert!(line.slot(stranger(0, 0)).now_or_never().is_some(), "nobody waits any more");
    }

    #[tokio::test]
    async fn a_full_line_sends_away_whoever_would_be_last() {
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
    async fn a_thousand_addresses_that_guess_do_not_keep_out_one_that_never_did() {
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
    async fn who_goes_away_leaves_the_line_and_a_slot_that_came_too_late_goes_on() {
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
