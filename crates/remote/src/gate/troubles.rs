//! Whose trouble it is that things cannot be had: their own (semantics 37), or the registry's (semantics 39).

use std::collections::VecDeque;

/// Things that could not be had are remembered, this many at most.
pub(super) const TROUBLED: usize = 256;
/// So many different things in a row that cannot be had are the registry's trouble, though it says that it is
/// there: what stands in front of it may say so for it, and its database may be away.
pub(super) const MANY: usize = 4;
/// It takes twice as many after it was wrong to say so this often.
const WRONG: u32 = 4;

/// Things that could not be had, in a way in which a whole registry fails.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    things: VecDeque<Thing>,
    /// How often the registry was left alone for them and then had others, since one of them was had at last. Without
    /// it, many things that are broken for good would keep those behind them from ever being asked for.
    wrong: u32,
    /// Whether the registry is being left alone for them, and not for a limit or an outage.
    blamed: bool,
}

#[derive(Debug)]
struct Thing {
    what: String,
    /// Whether others were had since: then the trouble is the thing's own.
    others_answered: bool,
}

/// Whose trouble it is that a thing cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Its own: others could be had since it failed before.
    Its,
    /// The registry's: it is one of many.
    TheRegistrys,
    /// The registry itself can tell.
    Unknown,
}

impl Troubles {
    /// A thing could be had. `probed`: it was the first after the registry was left alone.
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

    /// Whether a thing is known to have troubles of its own.
    pub(super) fn are_of(&self, what: &str) -> bool {
        self.things.iter().any(|thing| thing.what == what && thing.others_answered)
    }

    /// Keeps in mind that a thing could not be had, and says whose trouble that is.
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

    /// How many in a row are the registry's trouble; beyond [`TROUBLED`], none are.
    fn many(&self) -> usize {
        MANY << (self.wrong / WRONG).min(TROUBLED.ilog2())
    }
}
