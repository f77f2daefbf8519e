//! Who reads: what one reader may know of the things that messages refer to.

use super::Message;
use crate::id::{PolicyId, RemoteId, RepositoryId};
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// What one reader may know. The identifier decides: what is gone is known to nobody but who sees everything,
/// whatever has its name today.
pub trait Eyes {
    /// Whether the reader sees everything, things that are gone and words of the server's own included.
    fn everything(&self) -> bool;
    /// Whether the reader may know this repository.
    fn repository(&self, id: RepositoryId) -> bool;
    /// Whether the reader may know this remote, and so what its registry said.
    fn remote(&self, id: RemoteId) -> bool;
    /// Whether the reader may know the remote of this mirror: for what earlier versions stored without the remote.
    fn remote_of(&self, mirror: PolicyId) -> bool;
}

/// Sees everything, as administrators do.
#[derive(Debug, Clone, Copy)]
pub struct Everything;

impl Eyes for Everything {
    fn everything(&self) -> bool {
        true
    }
    fn repository(&self, _: RepositoryId) -> bool {
        true
    }
    fn remote(&self, _: RemoteId) -> bool {
        true
    }
    fn remote_of(&self, _: PolicyId) -> bool {
        true
    }
}

/// Sees nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Eyes for Nothing {
    fn everything(&self) -> bool {
        false
    }
    fn repository(&self, _: RepositoryId) -> bool {
        false
    }
    fn remote(&self, _: RemoteId) -> bool {
        false
    }
    fn remote_of(&self, _: PolicyId) -> bool {
        false
    }
}

/// Notes what messages refer to, so that what a reader may know of a whole page of them is found out at once.
/// It looks on while a sentence is made, and so misses no reference that a sentence can show.
#[derive(Debug, Default)]
pub struct Mentions {
    repositories: Mutex<BTreeSet<RepositoryId>>,
    remotes: Mutex<BTreeSet<RemoteId>>,
    mirrors: Mutex<BTreeSet<PolicyId>>,
}

impl Mentions {
    /// Notes all that a message refers to.
    pub fn note(&self, message: &Message) {
        let _ = message.sentence(self);
    }

    /// The repositories that were noted, each once.
    #[must_use]
    pub fn repositories(&self) -> Vec<RepositoryId> {
        self.repositories.lock().iter().copied().collect()
    }

    /// The remotes that were noted, each once.
    #[must_use]
    pub fn remotes(&self) -> Vec<RemoteId> {
        self.remotes.lock().iter().copied().collect()
    }

    /// The mirrors whose remotes were noted, each once.
    #[must_use]
    pub fn mirrors(&self) -> Vec<PolicyId> {
        self.mirrors.lock().iter().copied().collect()
    }
}

impl Eyes for Mentions {
    fn everything(&self) -> bool {
        false
    }
    fn repository(&self, id: RepositoryId) -> bool {
        self.repositories.lock().insert(id);
        true
    }
    fn remote(&self, id: RemoteId) -> bool {
        self.remotes.lock().insert(id);
        true
    }
    fn remote_of(&self, mirror: PolicyId) -> bool {
        self.mirrors.lock().insert(mirror);
        true
    }
}
