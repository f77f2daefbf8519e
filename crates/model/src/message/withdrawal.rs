//! The reasons why work that is no longer wanted is withdrawn (semantics 34).

use crate::{job::Status, policy::PolicyKind};
use serde::{Deserialize, Serialize};

/// Why work is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// The policy was changed.
    Changed(PolicyKind),
    Disabled(PolicyKind),
    #[serde(rename = "paused")]
    Stopped(PolicyKind),
    Deleted(PolicyKind),
    /// The repository was deleted, even if it can still be restored.
    RepositoryDeleted,
    /// The repository was made read-only.
    RepositoryClosed,
    RemoteDeleted,
    /// The remote was changed to another registry.
    RemoteMoved,
}

impl Withdrawal {
    /// The final status of a withdrawn job.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Changed(_) | Self::RemoteMoved => Status::Superseded,
            _ => Status::Canceled,
        }
    }

    /// One sentence without names.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Changed(PolicyKind::PullMirror) => {
                "the pull mirror was changed; another poll follows the new settings".to_owned()
            }
            Self::Changed(kind) => {
                format!("the {} was changed; Save & Apply acts on this tag by the new settings", kind.noun())
            }
            Self::Disabled(kind) => format!("the {} was disabled", kind.noun()),
            Self::Stopped(kind) => format!("the {} stopped itself; enable it again", kind.noun()),
            Self::Deleted(kind) => format!("the {} was deleted", kind.noun()),
            Self::RepositoryDeleted => "the repository was deleted".to_owned(),
            Self::RepositoryClosed => "the repository was made read-only".to_owned(),
            Self::RemoteDeleted => "the remote was deleted".to_owned(),
            Self::RemoteMoved => "the remote now points to a different registry".to_owned(),
        }
    }
}
