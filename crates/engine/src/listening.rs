//! Waits for changes that commits announce. Announcements may be lost, so callers must also poll, every [`NET`].

use longshore_metadata::Change;
use longshore_model::job::JobAction;
use std::time::Duration;
use tokio::sync::broadcast;

/// How often workers look for work even if none is announced.
pub(crate) const NET: Duration = Duration::from_secs(3);

/// Discards the announcements so far, before the caller looks for work.
pub(crate) fn heard(changes: &mut broadcast::Receiver<Change>) {
    use broadcast::error::TryRecvError::{Closed, Empty, Lagged};
    loop {
        match changes.try_recv() {
            Ok(_) | Err(Lagged(_)) => {}
            Err(Empty | Closed) => return,
        }
    }
}

/// Waits until a job with one of these actions is announced, or an announcement may have been missed.
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
