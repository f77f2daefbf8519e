//! The state that a server must have after an interruption: for everything that clients changed, the last
//! acknowledged state or any that was requested since.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use longshore_oci::Digest;

/// Something whose state a server stores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// A tag of the repository in which clients work.
    Tag(String),
    /// A blob of that repository.
    Blob(Digest),
    /// A manifest of that repository, by digest.
    Manifest(Digest),
    /// An upload, by its location.
    Upload(String),
}

/// The state of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It does not exist.
    Absent,
    /// It exists.
    Present,
    /// A tag that points to this digest.
    PointsTo(Digest),
    /// An upload with this number of bytes.
    Has(u64),
}

/// The possible states of one thing.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The last acknowledged state.
    pub(crate) certain: State,
    /// The states requested since, which may have been reached.
    pub(crate) possible: Vec<State>,
}

impl Known {
    /// Whether this state is possible. If a part breaks off, an upload may keep any number of its bytes.
    pub(crate) fn allows(&self, state: &State) -> bool {
        let lengths = |state: &State| match state {
            State::Has(length) => Some(*length),
            _ => None,
        };
        let most = self.possible.iter().chain([&self.certain]).filter_map(lengths).max();
        match (state, lengths(&self.certain), most) {
            (State::Has(now), Some(least), Some(most)) => (least..=most).contains(now),
            _ => self.certain == *state || self.possible.contains(state),
        }
    }
}

pub(crate) type Number = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There was no response.
    Open,
    Acknowledged,
    Refused,
}

#[derive(Debug)]
struct Request {
    effects: Vec<(Thing, State)>,
    outcome: Outcome,
}

/// Everything that clients requested, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    settled: BTreeMap<Thing, State>,
    requests: Vec<Request>,
    /// All bytes of each upload, to finish it.
    pub(crate) uploads: HashMap<String, Bytes>,
}

impl Journal {
    /// Records the effects of a request before it is sent.
    pub(crate) fn ask(&mut self, effects: Vec<(Thing, State)>) -> Number {
        self.requests.push(Request { effects, outcome: Outcome::Open });
        self.requests.len() - 1
    }

    /// Records that a request was acknowledged.
    pub(crate) fn acknowledge(&mut self, number: Number) {
        self.requests[number].outcome = Outcome::Acknowledged;
    }

    /// Records that a request started an upload, at the location in the response.
    pub(crate) fn upload_began(&mut self, number: Number, location: &str, bytes: Bytes) {
        let began = (Thing::Upload(location.to_owned()), State::Has(0));
        self.requests[number] = Request { effects: vec![began], outcome: Outcome::Acknowledged };
        self.uploads.insert(location.to_owned(), bytes);
    }

    /// Records that a request was rejected, so that it had no effect.
    pub(crate) fn refuse(&mut self, number: Number) {
        self.requests[number].outcome = Outcome::Refused;
    }

    /// The acknowledged requests.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = Number> {
        self.requests
            .iter()
            .enumerate()
            .filter(|(_, request)| request.outcome == Outcome::Acknowledged)
            .map(|(number, _)| number)
    }

    /// The possible states, given the acknowledgements that clients received.
    pub(crate) fn expected(&self) -> BTreeMap<Thing, Known> {
        self.expected_when(|number| self.requests[number].outcome == Outcome::Acknowledged)
    }

    /// The possible states if exactly these requests had been acknowledged.
    pub(crate) fn expected_when(&self, acknowledged: impl Fn(Number) -> bool) -> BTreeMap<Thing, Known> {
        let known = |state: &State| Known { certain: state.clone(), possible: Vec::new() };
        let mut expected: BTreeMap<Thing, Known> =
            self.settled.iter().map(|(thing, state)| (thing.clone(), known(state))).collect();
        for (number, request) in self.requests.iter().enumerate() {
            if request.outcome == Outcome::Refused {
                continue;
            }
            for (thing, state) in &request.effects {
                let entry = expected.entry(thing.clone()).or_insert_with(|| known(&State::Absent));
                if acknowledged(number) {
                    *entry = known(state);
                } else {
                    entry.possible.push(state.clone());
                }
            }
        }
        expected
    }

    /// Replaces the history by the states that were found, which are certain from now on.
    pub(crate) fn settle(&mut self, found: BTreeMap<Thing, State>) {
        *self = Self { settled: found, ..Self::default() };
    }

    /// The digest that a tag points to, if that is certain.
    pub(crate) fn certain(&self, tag: &str) -> Option<Digest> {
        let thing = Thing::Tag(tag.to_owned());
        let last = self.requests.iter().rev().filter(|request| request.outcome == Outcome::Acknowledged);
        let mut last = last.flat_map(|request| request.effects.iter().filter(|(other, _)| *other == thing));
        match last.next().map(|(_, state)| state).or_else(|| self.settled.get(&thing)) {
            Some(State::PointsTo(digest)) => Some(digest.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> Thing {
        Thing::Tag("v1".to_owned())
    }

    fn points_to(number: u8) -> State {
        State::PointsTo(Digest::sha256([number; 32]))
    }

    #[test]
    fn acknowledged_states_are_certain_and_requested_ones_are_possible() {
        let mut journal = Journal::default();
        for number in 1..=3 {
            let asked = journal.ask(vec![(tag(), points_to(number))]);
            if number < 3 {
                journal.acknowledge(asked);
            }
        }
        let expected = journal.expected();
        let states = [State::Absent, points_to(1), points_to(2), points_to(3)];
        let allowed: Vec<bool> = states.iter().map(|state| expected[&tag()].allows(state)).collect();
        assert_eq!(allowed, [false, false, true, true]);
        assert_eq!(journal.certain("v1"), Some(Digest::sha256([2; 32])));

        // The same, if the power had been cut before the second response.
        let earlier = journal.expected_when(|number| number == 0);
        let allowed: Vec<bool> = states.iter().map(|state| earlier[&tag()].allows(state)).collect();
        assert_eq!(allowed, [false, true, true, true]);

        journal.settle([(tag(), points_to(3))].into());
        assert!(!journal.expected()[&tag()].allows(&points_to(2)));
    }

    #[test]
    fn an_upload_keeps_its_acknowledged_bytes_and_may_have_more() {
        let mut journal = Journal::default();
        let upload = Thing::Upload("/v2/x".to_owned());
        let first = journal.ask(vec![(upload.clone(), State::Has(10))]);
        journal.acknowledge(first);
        journal.ask(vec![(upload.clone(), State::Has(30))]);
        let expected = &journal.expected()[&upload];
        let allowed = [9, 10, 20, 30, 31].map(|length| expected.allows(&State::Has(length)));
        assert_eq!(allowed, [false, true, true, true, false]);
        assert!(!expected.allows(&State::Absent));
    }
}
