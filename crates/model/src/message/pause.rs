//! Sentences of the activity about pauses.

use super::{counted, eyes::Eyes, reference::RemoteRef};
use crate::pause::{Pause, PauseScope};
use serde::{Deserialize, Serialize};

/// A pause began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PauseMessage {
    Began {
        pause: Pause,
        /// The paused remote, if it is one.
        remote: Option<RemoteRef>,
    },
    Ended {
        pause: Pause,
        /// The remote that was paused, if it is one.
        remote: Option<RemoteRef>,
        /// The number of waiting jobs that were dropped.
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
                counted(*dropped, "waiting job was", "waiting jobs were")
            ),
        }
    }
}
