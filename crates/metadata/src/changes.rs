//! What others are told after a commit.

use longshore_model::{JobId, RepositoryId, job::Action};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// Something has changed, and it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A job that does this, or one that may do anything, waits to be taken or is due at another
    /// time than before.
    JobsWaiting(Option<Action>),
    /// A job is new or stands elsewhere.
    Job(JobId),
    /// A job has new lines in its log.
    JobLog(JobId),
    /// Tags of a repository have changed.
    Tags(RepositoryId),
    /// Something was paused or resumed.
    Pauses,
}

/// A slow listener misses the oldest of more than these; it looks at the database anyway.
const KEPT: usize = 4096;

#[derive(Clone)]
pub(crate) struct Changes(broadcast::Sender<Change>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }

    pub(crate) fn announce(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            // Nobody listening is no failure.
            let _ = self.0.send(change);
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}
