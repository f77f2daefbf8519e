//! What somebody did, for the activity.

use super::{
    eyes::Eyes,
    reference::{RemoteRef, RepositoryRef},
};
use crate::{
    repository::{ImmutableTags, RepositoryState, Visibility},
    size,
    tag::Revision,
};
use longshore_oci::Namespace;
use serde::{Deserialize, Serialize};

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ActivityMessage {
    /// An account was made.
    AccountCreated {
        /// Its name.
        name: Namespace,
        /// Whether it is an organization.
        is_org: bool,
    },
    /// How much a namespace may hold was set.
    Quota {
        /// The namespace.
        namespace: Namespace,
        /// In bytes; none: any amount.
        quota: Option<u64>,
    },
    /// A remote was made.
    RemoteCreated {
        /// The remote, by its name.
        remote: RemoteRef,
    },
    /// A remote was changed.
    RemoteChanged {
        /// The remote, by its name.
        remote: RemoteRef,
    },
    /// A remote was deleted.
    RemoteDeleted {
        /// The remote, by its name.
        remote: RemoteRef,
    },
    /// A repository was deleted.
    RepositoryDeleted {
        /// Which.
        repository: RepositoryRef,
    },
    /// A deleted repository was brought back.
    RepositoryRestored {
        /// Which.
        repository: RepositoryRef,
    },
    /// A deleted repository was removed for good.
    RepositoryPurged {
        /// Which.
        repository: RepositoryRef,
    },
    /// A repository's settings were changed; what is none stayed.
    Settings {
        /// From and to.
        visibility: Option<(Visibility, Visibility)>,
        /// From and to.
        state: Option<(RepositoryState, RepositoryState)>,
        /// To.
        immutable_tags: Option<ImmutableTags>,
        /// Whether the description changed.
        description: bool,
    },
    /// A tag was brought back.
    Restored {
        /// From which change.
        revision: Revision,
    },
}

impl ActivityMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::AccountCreated { .. } if !eyes.everything() => "an account was created".to_owned(),
            Self::AccountCreated { name, is_org: true } => format!("the organization {name} was created"),
            Self::AccountCreated { name, is_org: false } => format!("the user {name} was created"),
            Self::Quota { .. } if !eyes.everything() => "a quota was changed".to_owned(),
            Self::Quota { namespace, quota: Some(quota) } => {
                format!("the namespace {namespace} may now hold {}", size(*quota))
            }
            Self::Quota { namespace, quota: None } => {
                format!("the namespace {namespace} may now hold any amount")
            }
            Self::RemoteCreated { remote } => format!("the remote {} was created", remote.shown(eyes)),
            Self::RemoteChanged { remote } => format!("the remote {} was changed", remote.shown(eyes)),
            Self::RemoteDeleted { remote } => format!("the remote {} was deleted", remote.shown(eyes)),
            Self::RepositoryDeleted { repository } => {
                format!("the repository {} was deleted with all its tags", repository.shown(eyes))
            }
            Self::RepositoryRestored { repository } => {
                format!("the repository {} was restored with all its tags", repository.shown(eyes))
            }
            Self::RepositoryPurged { repository } => {
                format!("the deleted repository {} was removed for good", repository.shown(eyes))
            }
            Self::Settings { visibility, state, immutable_tags, description } => {
                let mut parts = Vec::new();
                if let Some((from, to)) = visibility {
                    parts.push(format!("visibility {} → {}", from.as_str(), to.as_str()));
                }
                if let Some((from, to)) = state {
                    parts.push(format!("state {} → {}", from.as_str(), to.as_str()));
                }
                match immutable_tags {
                    Some(ImmutableTags::All) => parts.push("all tags are immutable now".to_owned()),
                    Some(ImmutableTags::Matching(patterns)) => {
                        parts.push(format!("the tags {patterns} are immutable now"));
                    }
                    Some(ImmutableTags::Off) => parts.push("tags can be moved now".to_owned()),
                    None => {}
                }
                if *description {
                    parts.push("description".to_owned());
                }
                if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") }
            }
            Self::Restored { revision } => format!("as it was after revision {}", revision.0),
        }
    }
}
