//! Remembers which repositories of other registries have a blob, so that it can be mounted from there. An in-memory
//! cache: a lost entry costs an upload, nothing else.

use longshore_model::RemoteId;
use longshore_oci::{Digest, RemoteName};
use parking_lot::Mutex;
use std::collections::HashMap;

/// The maximum number of entries. When it is reached, all are removed, which is simple and happens rarely.
const MOST: usize = 50_000;

/// The repository in which each blob was last seen.
#[derive(Debug, Default)]
pub(crate) struct Holdings(Mutex<HashMap<(RemoteId, Digest), RemoteName>>);

impl Holdings {
    /// Notes that `repository` has the blob.
    pub(crate) fn saw(&self, remote: RemoteId, digest: &Digest, repository: &RemoteName) {
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert((remote, digest.clone()), repository.clone());
    }

    /// A repository other than `target` that has the blob.
    pub(crate) fn elsewhere(
        &self,
        remote: RemoteId,
        digest: &Digest,
        target: &RemoteName,
    ) -> Option<RemoteName> {
        let known = self.0.lock();
        known.get(&(remote, digest.clone())).filter(|repository| *repository != target).cloned()
    }
}
