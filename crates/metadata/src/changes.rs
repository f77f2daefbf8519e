//! Changes that are announced to this and other servers after a commit.

use longshore_model::{AccountId, JobId, RepositoryId, job::JobAction};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::sync::broadcast;

/// A committed change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A job with this action, or with any, was enqueued or is due at another time than before.
    JobsWaiting(Option<JobAction>),
    /// A job was enqueued or has changed.
    Job(JobId),
    /// A job has new lines in its log.
    JobLog(JobId),
    /// Tags of a repository have changed.
    Tags(RepositoryId),
    /// Something was paused or resumed.
    Pauses,
    /// A repository, policy, mirror, remote or account was created, changed or deleted.
    Settings,
    /// The permissions, credentials or sessions of an account, or of any account, have changed.
    Account(Option<AccountId>),
}

/// The number of changes that a slow listener may lag behind before it misses the oldest. It reads the database from
/// time to time anyway.
const KEPT: usize = 4096;

#[derive(Clone)]
pub(crate) struct Changes {
    told: broadcast::Sender<Change>,
    /// The number of transactions of this process that changed something.
    made: Arc<AtomicU64>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self { told: broadcast::Sender::new(KEPT), made: Arc::default() }
    }

    pub(crate) fn announce(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            // It is no error if nobody is listening.
            let _ = self.told.send(change);
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.told.subscribe()
    }

    /// Adds to the number of committed transactions that changed something.
    pub(crate) fn count(&self, made: u64) {
        self.made.fetch_add(made, Relaxed);
    }

    pub(crate) fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }
}
