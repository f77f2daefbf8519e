//! What the registry holds: uploads, blobs, manifests and tags, as bytes in a [`Store`] and rows
//! in `metadata`, and the operations that keep the two in step. Nothing here asks who may do what,
//! except for a repository's state ([`may_write_tags`]), and nothing speaks HTTP.
//!
//! What always holds: a blob's row is written after its bytes are durable, and a manifest's after
//! every blob and manifest it needs has a row, so a tag never points to what is not all there.

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

/// The registry's content; cheap to clone.
#[derive(Clone)]
pub struct Content(Arc<Inner>, Choices);

/// What an administrator decides.
#[derive(Debug, Clone, Copy)]
struct Choices {
    /// Which manifests are taken though parts of them are missing.
    sparse: Sparse,
    /// How long an upload stays with a server that says nothing any more.
    hold: SignedDuration,
}

struct Inner {
    db: Database,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Whose claims on uploads are ours.
    me: BootId,
    busy: Busy,
    rooms: Rooms,
    /// Held together by those who store a blob and record it, alone by who removes one.
    storing: RwLock<()>,
    /// Work that goes on without the request that asked for it.
    unattended: TaskTracker,
}

impl Content {
    /// Content over a database and a store.
    #[must_use]
    pub fn new(db: Database, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (me, busy, rooms) = (BootId::new(), Busy::default(), Rooms::default());
        let (storing, unattended) = (RwLock::new(()), TaskTracker::new());
        let choices = Choices { sparse: Sparse::default(), hold: claims::HOLD };
        Self(Arc::new(Inner { db, store, clock, me, busy, rooms, storing, unattended }), choices)
    }

    /// The same content, which takes manifests though parts of them are missing.
    #[must_use]
    pub fn accepting(self, sparse: Sparse) -> Self {
        Self(self.0, Choices { sparse, ..self.1 })
    }

    /// The same content, where an upload stays so long with a server that says nothing any more, if several
    /// share the store.
    #[must_use]
    pub fn holding(self, hold: SignedDuration) -> Self {
        Self(self.0, Choices { hold, ..self.1 })
    }

    /// Waits until what came of uploads whose clients are gone has been saved. To be called when no request
    /// runs any more.
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
