//! What the activity says of pauses.

use super::{counted, eyes::Eyes, reference::RemoteRef};
use crate::pause::{Pause, PauseScope};
use serde::{Deserialize, Serialize};

/// A pause began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PauseMessage {
    /// It began.
    Began {
        /// The pause.
        pause: Pause,
        /// The remote that it is of, by its name.
        remote: Option<RemoteRef>,
    },
    /// It ended.
    Ended {
        /// The pause.
        pause: Pause,
        /// The remote that it was of, by its name.
        remote: Option<RemoteRef>,
        /// Jobs that waited and were dropped.
        dropped: u64,
    },
}

impl PauseMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        let subject = |pause: &Pause, remote: &Option<RemoteRef>| match remote {
            Some(remote) if matches!(pause.scope, PauseScope::Remote(_)) => {
                pause.subject(Some(&remote.shown(eyes)))
            }
            _ if !eyes.everything() => "something".to_owned(),
            _ => pause.subject(None),
        };
        match self {
            Self::Began { pause, remote } => format!("{} was paused", subject(pause, remote)),
            Self::Ended { pause, remote, dropped: 0 } => format!("{} was resumed", subject(pause, remote)),
            Self::Ended { pause, remote, dropped } => format!(
                "{} was resumed; {} dropped",
                subject(pause, remote),
                counted(*dropped, "job that waited was", "jobs that waited were")
            ),
        }
    }
}
