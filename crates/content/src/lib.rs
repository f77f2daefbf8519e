//! The registry's content: uploads, blobs, manifests and tags, as bytes in a [`Store`] and rows in `metadata`, and the
//! operations that keep the two consistent. It checks a repository's state ([`may_write_tags`]) but no permissions, and
//! knows nothing of HTTP.
//!
//! Invariants: a blob's row is written after its bytes are durable, and a manifest's row after every blob and manifest
//! that it needs has a row. So a tag never points to an incomplete image.

mod blobs;
mod claims;
mod disk;
mod error;
mod garbage;
mod hash;
mod intake;
mod label;
mod manifests;
mod moving;
mod repositories;
mod room;
mod s3;
mod scrub;
mod store;
mod undo;
mod uploads;

pub use blobs::BlobInfo;
pub use disk::{DiskStore, make_durable_folder, replace_durably};
pub use error::Error;
pub use garbage::{Freed, Retention};
pub use manifests::{PutManifest, PutOutcome, Sparse, immutable};
pub use moving::{Fate, Moved};
pub use repositories::{CreateError, Made, may_delete_tags, may_restore_tags, may_write_tags};
pub use s3::{S3Settings, S3Store};
pub use scrub::{Checked, Damage};
pub use store::{ByteStream, Kept, Note, Store, StoreError, Writer};
pub use undo::Restore;
pub use uploads::Chunk;

use crate::claims::Busy;
use crate::room::Rooms;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use longshore_metadata::{Database, Priority, Tx};
use longshore_model::{BootId, Clock, Timestamp};
use std::sync::Arc;
use tokio::sync::RwLock;
use tokio_util::task::TaskTracker;

/// The registry's content. Cheap to clone.
#[derive(Clone)]
pub struct Content(Arc<Inner>, Choices);

/// Settings that an administrator chooses.
#[derive(Debug, Clone, Copy)]
struct Choices {
    sparse: Sparse,
    /// How long the claim of a server that has stopped responding keeps an upload.
    hold: SignedDuration,
}

struct Inner {
    db: Database,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Identifies the claims of this process on uploads.
    me: BootId,
    busy: Busy,
    rooms: Rooms,
    /// Locked for reading while a blob is stored and recorded, and for writing while one is removed.
    storing: RwLock<()>,
    /// Work that continues after its request was dropped.
    unattended: TaskTracker,
}

impl Content {
    /// Content in a database and a store.
    #[must_use]
    pub fn new(db: Database, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (me, busy, rooms) = (BootId::new(), Busy::default(), Rooms::default());
        let (storing, unattended) = (RwLock::new(()), TaskTracker::new());
        let choices = Choices { sparse: Sparse::default(), hold: claims::HOLD };
        Self(Arc::new(Inner { db, store, clock, me, busy, rooms, storing, unattended }), choices)
    }

    /// The same content with another setting for incomplete manifests.
    #[must_use]
    pub fn accepting(self, sparse: Sparse) -> Self {
        Self(self.0, Choices { sparse, ..self.1 })
    }

    /// The same content with another time for which an upload stays claimed by a server that has stopped responding. It
    /// matters only if several servers share the store.
    #[must_use]
    pub fn holding(self, hold: SignedDuration) -> Self {
        Self(self.0, Choices { hold, ..self.1 })
    }

    /// Waits until the received bytes of interrupted uploads are saved. To be called when no request is running any
    /// more.
    pub async fn settled(&self) {
        self.0.unattended.close();
        self.0.unattended.wait().await;
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn write<T: Send + 'static, E: From<longshore_metadata::Error> + Send + 'static>(
        &self,
        change: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        self.0.db.write(Priority::Normal, change).await
    }
}
