//! What one reader may know about the things that messages refer to.

use super::Message;
use crate::id::{PolicyId, RemoteId, RepositoryId};
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// What one reader may know. Identifiers decide: only readers who see everything may know about something deleted,
/// even if its name is in use again.
pub trait Eyes {
    /// Whether the reader sees everything, including deleted things and the server's own errors.
    fn everything(&self) -> bool;
    /// Whether the reader may see this repository.
    fn repository(&self, id: RepositoryId) -> bool;
    /// Whether the reader may see this remote, and so what its registry responded.
    fn remote(&self, id: RemoteId) -> bool;
    /// Whether the reader may see the remote of this mirror, for what earlier versions stored without the remote.
    fn remote_of(&self, mirror: PolicyId) -> bool;
}

/// A reader who sees everything, such as an administrator.
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

/// A reader who sees nothing.
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

/// Collects what messages refer to, so that the permissions for a whole page are looked up at once. It acts as the
/// reader while sentences are made, so it misses no reference that a sentence can show.
#[derive(Debug, Default)]
pub struct Mentions {
    repositories: Mutex<BTreeSet<RepositoryId>>,
    remotes: Mutex<BTreeSet<RemoteId>>,
    mirrors: Mutex<BTreeSet<PolicyId>>,
}

impl Mentions {
    /// Collects everything that a message refers to.
    pub fn note(&self, message: &Message) {
        let _ = message.sentence(self);
    }

    /// The collected repositories, each once.
    #[must_use]
    pub fn repositories(&self) -> Vec<RepositoryId> {
        self.repositories.lock().iter().copied().collect()
    }

    /// The collected remotes, each once.
    #[must_use]
    pub fn remotes(&self) -> Vec<RemoteId> {
        self.remotes.lock().iter().copied().collect()
    }

    /// The mirrors whose remotes were collected, each once.
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
