//! Decides whether failures are problems of single resources (semantics 37) or of the registry (semantics 39).

use std::collections::VecDeque;

/// The most failed resources that are remembered.
pub(super) const TROUBLED: usize = 256;
/// This many different resources that fail in a row are a problem of the registry, even if it answers `/v2/`: a proxy
/// may answer for it, or its database may be down.
pub(super) const MANY: usize = 4;
/// After this many false alarms, twice as many failures are required.
const WRONG: u32 = 4;

/// Resources that failed as they would if the whole registry were down.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    things: VecDeque<Thing>,
    /// False alarms (closures after which the registry served others) since one of the resources was last read. Without
    /// this count, many permanently broken resources would block those behind them for ever.
    wrong: u32,
    /// Whether the gate is closed because of them, and not because of a limit or an outage.
    blamed: bool,
}

#[derive(Debug)]
struct Thing {
    what: String,
    /// Whether others were read since; then the problem is the resource's own.
    others_answered: bool,
}

/// The cause of a failed read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The resource itself: others were read since it failed before.
    Its,
    /// The registry: this is one of many failures.
    TheRegistrys,
    /// Unknown until the registry itself is checked.
    Unknown,
}

impl Troubles {
    /// A resource was read. `probed` means that it was the first after the gate was closed.
    pub(super) fn had(&mut self, what: &str, probed: bool) {
        let before = self.things.len();
        self.things.retain(|thing| thing.what != what);
        if self.things.len() < before {
            self.wrong = 0;
        } else if probed && self.blamed {
            self.wrong = self.wrong.saturating_add(1);
        }
        self.blamed &= !probed;
        self.things.iter_mut().for_each(|thing| thing.others_answered = true);
    }

    /// Whether a resource is known to have a problem of its own.
    pub(super) fn are_of(&self, what: &str) -> bool {
        self.things.iter().any(|thing| thing.what == what && thing.others_answered)
    }

    /// Records that a resource could not be read, and returns the cause.
    pub(super) fn whose(&mut self, what: &str) -> Whose {
        match self.things.iter().find(|thing| thing.what == what) {
            Some(known) if known.others_answered => return Whose::Its,
            Some(_) => {}
            None => {
                if self.things.len() == TROUBLED {
                    self.things.pop_front();
                }
                self.things.push_back(Thing { what: what.to_owned(), others_answered: false });
            }
        }
        let in_a_row = self.things.iter().filter(|thing| !thing.others_answered).count();
        if in_a_row < self.many() {
            return Whose::Unknown;
        }
        self.blamed = true;
        Whose::TheRegistrys
    }

    /// How many failures in a row are a problem of the registry; above [`TROUBLED`], no number is.
    fn many(&self) -> usize {
        MANY << (self.wrong / WRONG).min(TROUBLED.ilog2())
    }
}
