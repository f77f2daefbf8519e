//! The state of a multipart upload, which is stored in the bucket as a small JSON object: the stored parts and the
//! points up to which the upload was saved. It is all that another server needs to continue. This module makes no
//! requests.

use super::bucket::WriterName;
use serde::{Deserialize, Serialize};

/// The size of the first parts, and the size from which an upload has parts at all. Servers that share a bucket must
/// agree on it.
pub(super) const FIRST_PART: usize = 8 * 1024 * 1024;
/// The size of the parts doubles after this many: 10,000 parts, the maximum of S3, have 484 GiB, and no part in memory
/// is larger than 16 MiB before the upload has 15 GiB.
const DOUBLE_AFTER: usize = 2_000;
/// The maximum number of parts in S3.
pub(super) const MOST_PARTS: usize = 10_000;

/// The size of the part with this index.
pub(super) fn part_size(index: usize) -> usize {
    FIRST_PART << (index / DOUBLE_AFTER).min(4)
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// S3's upload ID.
    pub(super) multipart: String,
    /// The stored parts, from the first one.
    pub(super) parts: Vec<Part>,
    /// The last two points up to which the upload was saved. The one before the last is kept because the server may
    /// have died before it recorded the last one.
    pub(super) saved: Vec<SavePoint>,
    /// How often the upload was saved. The tail of each save has its own name: a tail that a state names is never
    /// overwritten.
    pub(super) saves: u32,
    /// Tails that no point names any more and that were not removed yet.
    pub(super) stale: Vec<u32>,
    /// The writer that saved the upload as a small one before; that object still exists.
    #[serde(default)]
    pub(super) small: Option<WriterName>,
    /// Whether the parts were assembled.
    pub(super) whole: bool,
}

/// A stored part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) etag: String,
    pub(super) size: u64,
}

/// The upload up to an offset: the number of parts, and the object with the bytes after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavePoint {
    pub(super) parts: usize,
    pub(super) tail: Option<Tail>,
}

/// The bytes after the last full part.
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

    /// The number of the next tail. An object with that number may already exist that no state names, if a server died
    /// before it stored the state.
    pub(super) fn next_tail(&self) -> u32 {
        self.saves + 1
    }

    /// The state with all its parts saved, and a tail of `tail` bytes under [`State::next_tail`]. Also returns the
    /// tails that are no longer needed once this state is stored.
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

    /// The offset up to which the upload was saved.
    pub(super) fn length(&self) -> u64 {
        self.saved.last().map_or(0, |point| self.offset(point))
    }

    /// The tail of the last save.
    pub(super) fn tail(&self) -> Option<Tail> {
        self.saved.last()?.tail
    }

    fn offset(&self, point: &SavePoint) -> u64 {
        let parts = self.parts.iter().take(point.parts).map(|part| part.size).sum::<u64>();
        parts + point.tail.map_or(0, |tail| tail.length)
    }

    /// Discards everything after an offset; `None` if the upload was not saved at that offset or cannot be rewound any
    /// more.
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

    /// The numbers of all tails that can exist.
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
    fn parts_grow_so_that_their_number_suffices() {
        let all: u64 = (0..MOST_PARTS).map(|index| part_size(index) as u64).sum();
        assert_eq!(all >> 30, 484);
        assert!((0..MOST_PARTS).all(|index| part_size(index) >= 5 * 1024 * 1024));
        assert_eq!(part_size(MOST_PARTS - 1), 128 * 1024 * 1024);
    }

    #[test]
    fn an_upload_can_be_rewound_only_to_its_last_two_saves() {
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
        // The next tail does not overwrite one that a state in the bucket names.
        assert_eq!(back.next_tail(), 4);
    }

    #[test]
    fn an_assembled_upload_cannot_be_rewound() {
        let (state, _) = with_parts(State::new("m".into(), None), 1).save(3);
        let (mut state, _) = with_parts(state, 1).save(0);
        state.whole = true;
        assert!(state.clone().back_to(20).is_some());
        assert!(state.back_to(13).is_none());
    }
}
