//! Sentences of the activity about changes that a person made.

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

/// A change that a person made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ActivityMessage {
    AccountCreated {
        name: Namespace,
        /// Whether it is an organization.
        is_org: bool,
    },
    /// The quota of a namespace was changed.
    Quota {
        namespace: Namespace,
        /// In bytes; `None` means unlimited.
        quota: Option<u64>,
    },
    RemoteCreated {
        remote: RemoteRef,
    },
    RemoteChanged {
        remote: RemoteRef,
    },
    RemoteDeleted {
        remote: RemoteRef,
    },
    RepositoryDeleted {
        repository: RepositoryRef,
    },
    RepositoryRestored {
        repository: RepositoryRef,
    },
    /// A deleted repository was removed permanently.
    RepositoryPurged {
        repository: RepositoryRef,
    },
    /// Settings of a repository were changed; `None` means unchanged.
    Settings {
        /// The old and the new value.
        visibility: Option<(Visibility, Visibility)>,
        /// The old and the new value.
        state: Option<(RepositoryState, RepositoryState)>,
        /// The new value.
        immutable_tags: Option<ImmutableTags>,
        description: bool,
    },
    /// A tag was restored.
    Restored {
        /// The revision that was restored.
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
