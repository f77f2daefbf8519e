//! What the bucket knows of an upload that does not fit into one part: a small JSON object with the
//! parts that are stored and the points up to which the upload was saved. It is all that another
//! server needs to go on. Nothing here speaks to the bucket.

use super::bucket::WriterName;
use serde::{Deserialize, Serialize};

/// How long a part is at first, and how long an upload must be to have parts at all. Servers that
/// share a bucket must agree on it.
pub(super) const FIRST_PART: usize = 8 * 1024 * 1024;
/// After how many parts they become twice as long: 10,000 parts, all that S3 takes, hold 484 GiB,
/// and a part in memory is not longer than 16 MiB before the upload has 15 GiB.
const DOUBLE_AFTER: usize = 2_000;
/// How many parts S3 takes.
pub(super) const MOST_PARTS: usize = 10_000;

/// How long the part with this index is.
pub(super) fn part_size(index: usize) -> usize {
    FIRST_PART << (index / DOUBLE_AFTER).min(4)
}

/// An upload in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// What S3 calls the multipart upload.
    pub(super) multipart: String,
    /// The parts that are stored, from the first one on.
    pub(super) parts: Vec<Part>,
    /// Up to where the upload was saved, last and last but one. The point before the last is kept
    /// because whoever counts the bytes may have died before it took note of the last one.
    pub(super) saved: Vec<SavePoint>,
    /// How often the upload was saved. The tail of each time has a name of its own: a tail that a
    /// state names is never overwritten.
    pub(super) saves: u32,
    /// Tails that no point names any more and that were not removed yet.
    pub(super) stale: Vec<u32>,
    /// The one that saved the upload as a small one before, so that such an object is there, too.
    #[serde(default)]
    pub(super) small: Option<WriterName>,
    /// Whether the parts were put together already.
    pub(super) whole: bool,
}

/// A part that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) etag: String,
    pub(super) size: u64,
}

/// The upload up to a byte: so many parts, and the object that holds what comes behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavePoint {
    pub(super) parts: usize,
    pub(super) tail: Option<Tail>,
}

/// What lies behind the last full part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    pub(super) number: u32,
    pub(super) length: u64,
}

impl State {
    pub(super) fn new(multipart: String, small: Option<WriterName>) -> Self {
        let (parts, saved, stale) = Default::default();
        Self { multipart, parts, saved, saves: 0, stale, small, whole: false }
    }

    /// The number of the tail that is stored next. One may be there under it already that no state
    /// names, when a server died between the two.
    pub(super) fn next_tail(&self) -> u32 {
        self.saves + 1
    }

    /// The state with all its parts saved, and a tail of `tail` bytes under [`State::next_tail`].
    /// Answers the tails that nobody needs any more once this is stored, too.
    pub(super) fn save(mut self, tail: u64) -> (Self, Vec<u32>) {
        self.saves += 1;
        let tail = (tail > 0).then_some(Tail { number: self.saves, length: tail });
        self.saved.push(SavePoint { parts: self.parts.len(), tail });
        let mut stale = std::mem::take(&mut self.stale);
        if self.saved.len() > 2 {
            stale.extend(self.saved.remove(0).tail.map(|tail| tail.number));
        }
        (self, stale)
    }

    /// Up to which byte the upload was saved.
    pub(super) fn length(&self) -> u64 {
        self.saved.last().map_or(0, |point| self.offset(point))
    }

    /// The tail up to there.
    pub(super) fn tail(&self) -> Option<Tail> {
        self.saved.last()?.tail
    }

    fn offset(&self, point: &SavePoint) -> u64 {
        let parts = self.parts.iter().take(point.parts).map(|part| part.size).sum::<u64>();
        parts + point.tail.map_or(0, |tail| tail.length)
    }

    /// Forgets whatever lies behind a byte; nothing, when the upload was not saved just there or
    /// cannot go back any more.
    pub(super) fn back_to(mut self, offset: u64) -> Option<Self> {
        let last = self.saved.iter().rposition(|point| self.offset(point) == offset)?;
        if self.whole && last + 1 < self.saved.len() {
            return None;
        }
        let behind = self.saved.drain(last + 1..).filter_map(|point| point.tail);
        self.stale.extend(behind.map(|tail| tail.number));
        self.parts.truncate(self.saved[last].parts);
        Some(self)
    }

    /// The numbers of all tails that can be there.
    pub(super) fn tails(&self) -> impl Iterator<Item = u32> {
        let named = self.saved.iter().filter_map(|point| point.tail);
        named.map(|tail| tail.number).chain(self.stale.iter().copied()).chain([self.next_tail()])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with_parts(mut state: State, count: usize) -> State {
        state.parts.extend((0..count).map(|_| Part { etag: "e".into(), size: 10 }));
        state
    }

    #[test]
    fn parts_grow_so_that_few_are_enough() {
        let all: u64 = (0..MOST_PARTS).map(|index| part_size(index) as u64).sum();
        assert_eq!(all >> 30, 484);
        assert!((0..MOST_PARTS).all(|index| part_size(index) >= 5 * 1024 * 1024));
        assert_eq!(part_size(MOST_PARTS - 1), 128 * 1024 * 1024);
    }

    #[test]
    fn an_upload_goes_back_to_the_last_two_points_alone() {
        let (state, old) = with_parts(State::new("m".into(), None), 1).save(3);
        assert_eq!((state.length(), old), (13, vec![]));
        let (state, old) = with_parts(state, 1).save(4);
        assert_eq!((state.length(), old), (24, vec![]));
        let (state, old) = with_parts(state, 1).save(0);
        assert_eq!((state.length(), old), (30, vec![1]));

        let back = state.clone().back_to(24).unwrap();
        assert_eq!((back.length(), back.parts.len(), back.tail().unwrap().number), (24, 2, 2));
        assert_eq!(state.clone().back_to(30).unwrap(), state);
        assert_eq!(state.clone().back_to(13), None);
        assert_eq!(state.clone().back_to(20), None);
        // The tail that is stored next overwrites none that a state in the bucket names.
        assert_eq!(back.next_tail(), 4);
    }

    #[test]
    fn what_was_put_together_does_not_go_back() {
        let (state, _) = with_parts(State::new("m".into(), None), 1).save(3);
        let (mut state, _) = with_parts(state, 1).save(0);
        state.whole = true;
        assert!(state.clone().back_to(20).is_some());
        assert!(state.back_to(13).is_none());
    }
}
