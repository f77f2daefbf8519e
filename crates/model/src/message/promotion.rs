//! What became of an image on its way into another repository.

use super::{
    eyes::Eyes,
    reference::{RepositoryRef, TagRef},
};
use crate::{size, tag::Revision};
use longshore_oci::Namespace;
use serde::{Deserialize, Serialize};

/// A namespace has no room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What was to be stored there; who may read it is told of its namespace.
    pub repository: RepositoryRef,
    /// The namespace.
    pub namespace: Namespace,
    /// The most that it may hold, in bytes.
    pub quota: u64,
    /// What it holds, in bytes.
    pub used: u64,
    /// What would come on top, in bytes.
    pub needed: u64,
}

impl Quota {
    fn sentence(&self, eyes: &dyn Eyes) -> String {
        let full = format!(
            "the namespace {} may hold {}, holds {} and would need {} more; delete what is not needed and purge \
             deleted repositories, or ask an administrator for a larger quota",
            self.namespace,
            size(self.quota),
            size(self.used),
            size(self.needed)
        );
        let hidden = "its quota has no room for the image in another repository";
        self.repository.words(&full, eyes).unwrap_or(hidden).to_owned()
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PromotionMessage {
    /// It was promoted.
    Promoted {
        /// As what.
        target: TagRef,
        /// Why some of what hangs on it stayed behind.
        without: Option<Quota>,
    },
    /// The target had it already.
    Unchanged {
        /// As what.
        target: TagRef,
        /// Why some of what hangs on it stayed behind.
        without: Option<Quota>,
    },
    /// A later change has the name.
    Superseded {
        /// The name.
        target: TagRef,
        /// The change.
        by: Revision,
    },
    /// The target's tag may not be moved.
    Immutable {
        /// The name.
        target: TagRef,
    },
    /// The image was deleted before its tag could be set.
    Deleted {
        /// The name.
        target: TagRef,
    },
    /// There is no room.
    NoRoom {
        /// Where, and how much.
        quota: Quota,
    },
    /// The tag template gives no tag.
    Template {
        /// What is wrong with it; names the source's tag at most.
        error: String,
    },
    /// It came here by a promotion.
    From {
        /// Its source.
        source: TagRef,
    },
}

impl PromotionMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        let left_behind = |without: &Option<Quota>| match without {
            Some(quota) => {
                format!(", without all of its signatures, SBOMs and attestations: {}", quota.sentence(eyes))
            }
            None => String::new(),
        };
        match self {
            Self::Promoted { target, without } => {
                format!("promoted as {}{}", target.shown(eyes), left_behind(without))
            }
            Self::Unchanged { target, without } => {
                format!("{} has this image already{}", target.shown(eyes), left_behind(without))
            }
            Self::Superseded { target, by } => {
                format!("{} holds a later change ({}), so it was left alone", target.shown(eyes), by.0)
            }
            Self::Immutable { target } => target.immutable(eyes),
            Self::Deleted { target } => {
                format!("the image of {} was deleted before the tag could be set", target.shown(eyes))
            }
            Self::NoRoom { quota } => quota.sentence(eyes),
            Self::Template { error } => format!("the tag template gives no tag: {error}"),
            Self::From { source } => format!("from {}", source.shown(eyes)),
        }
    }
}
