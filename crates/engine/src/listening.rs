//! Waiting for what commits announce. Announcements may be lost, so whoever waits looks anyway from time to time.

use longshore_metadata::Change;
use longshore_model::job::JobAction;
use std::time::Duration;
use tokio::sync::broadcast;

/// Work is looked for this often even if nobody announces any.
pub(crate) const NET: Duration = Duration::from_secs(3);

/// What was announced until now is about to be looked at.
pub(crate) fn heard(changes: &mut broadcast::Receiver<Change>) {
    use broadcast::error::TryRecvError::{Closed, Empty, Lagged};
    loop {
        match changes.try_recv() {
            Ok(_) | Err(Lagged(_)) => {}
            Err(Empty | Closed) => return,
        }
    }
}

/// Waits until jobs of one of these actions are announced, or may have been.
pub(crate) async fn work_is_announced(actions: &[JobAction], changes: &mut broadcast::Receiver<Change>) {
    use broadcast::error::RecvError::{Closed, Lagged};
    loop {
        match changes.recv().await {
            Ok(Change::JobsWaiting(action)) if action.is_none_or(|action| actions.contains(&action)) => {
                return;
            }
            Err(Lagged(_)) => return,
            Ok(_) => {}
            Err(Closed) => return std::future::pending().await,
        }
    }
}
