//! Which uploads are being appended to. One file must never be written from two requests: their
//! bytes would mix, and the hash of one would vouch for the bytes of the other.

use longshore_model::UploadId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Mutex<HashSet<UploadId>>>);

impl Busy {
    /// Takes the upload until the claim is dropped; nothing, while somebody else has it.
    pub(crate) fn claim(&self, upload: UploadId) -> Option<Claim> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(upload);
        free.then(|| Claim { busy: self.clone(), upload })
    }
}

pub(crate) struct Claim {
    busy: Busy,
    upload: UploadId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.busy.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.upload);
    }
}
