//! Which repositories of other registries are known to hold a blob, so that it can be mounted from there. Only
//! a memory of what this process saw: forgetting costs an upload, nothing else.

use longshore_model::RemoteId;
use longshore_oci::{Digest, RemoteName};
use parking_lot::Mutex;
use std::collections::HashMap;

/// When so many are known, all are forgotten: simpler than choosing, and rare.
const MOST: usize = 50_000;

/// Blobs seen at other registries.
#[derive(Debug, Default)]
pub(crate) struct Holdings(Mutex<HashMap<(RemoteId, Digest), RemoteName>>);

impl Holdings {
    /// `repository` was seen to hold the blob.
    pub(crate) fn saw(&self, remote: RemoteId, digest: &Digest, repository: &RemoteName) {
        let mut known = self.0.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert((remote, digest.clone()), repository.clone());
    }

    /// A repository other than `target` that was last seen to hold the blob.
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
