//! Why work ends that nobody wants any more (semantics 34).

use crate::{job::Status, policy::PolicyKind};
use serde::{Deserialize, Serialize};

/// Why work is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// The policy acts otherwise now.
    Changed(PolicyKind),
    /// A person switched the policy off.
    Disabled(PolicyKind),
    /// The policy stopped itself.
    #[serde(rename = "paused")]
    Stopped(PolicyKind),
    /// The policy is gone.
    Deleted(PolicyKind),
    /// The repository is gone, or waits to be restored.
    RepositoryDeleted,
    /// Nobody writes to the repository any more.
    RepositoryClosed,
    /// The remote is gone.
    RemoteDeleted,
    /// The remote leads to another registry.
    RemoteMoved,
}

impl Withdrawal {
    /// How a job ends because of it.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Changed(_) | Self::RemoteMoved => Status::Superseded,
            _ => Status::Canceled,
        }
    }

    /// One sentence, which names nothing.
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
