//! What others are told after a commit.

use longshore_model::{AccountId, JobId, RepositoryId, job::JobAction};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::sync::broadcast;

/// Something has changed, and it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A job that does this, or one that may do anything, waits to be taken or is due at another
    /// time than before.
    JobsWaiting(Option<JobAction>),
    /// A job is new or stands elsewhere.
    Job(JobId),
    /// A job has new lines in its log.
    JobLog(JobId),
    /// Tags of a repository have changed.
    Tags(RepositoryId),
    /// Something was paused or resumed.
    Pauses,
    /// A repository, policy, mirror, remote or account was made, changed or deleted.
    Settings,
    /// The rights, credentials or sessions of an account, or of any account, are others than before.
    Account(Option<AccountId>),
}

/// A slow listener misses the oldest of more than these; it looks at the database anyway.
const KEPT: usize = 4096;

#[derive(Clone)]
pub(crate) struct Changes {
    told: broadcast::Sender<Change>,
    /// How many transactions of this process have changed something.
    made: Arc<AtomicU64>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self { told: broadcast::Sender::new(KEPT), made: Arc::default() }
    }

    pub(crate) fn announce(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            // Nobody listening is no failure.
            let _ = self.told.send(change);
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.told.subscribe()
    }

    /// Counts transactions that changed something and are committed.
    pub(crate) fn count(&self, made: u64) {
        self.made.fetch_add(made, Relaxed);
    }

    pub(crate) fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }
}
