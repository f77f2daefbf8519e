//! Sentences about promotions.

use super::{
    eyes::Eyes,
    reference::{RepositoryRef, TagRef},
};
use crate::{size, tag::Revision};
use longshore_oci::Namespace;
use serde::{Deserialize, Serialize};

/// A namespace whose quota leaves no room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The repository that needs the room; only its readers are shown its namespace.
    pub repository: RepositoryRef,
    pub namespace: Namespace,
    /// The maximum size, in bytes.
    pub quota: u64,
    /// The current size, in bytes.
    pub used: u64,
    /// The additional size, in bytes.
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

/// A sentence about a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PromotionMessage {
    Promoted {
        target: TagRef,
        /// Why some of its referrers were not copied.
        without: Option<Quota>,
    },
    /// The target tag already points to the image.
    Unchanged {
        target: TagRef,
        /// Why some of its referrers were not copied.
        without: Option<Quota>,
    },
    /// The target tag has a later change.
    Superseded { target: TagRef, by: Revision },
    /// The target tag is immutable.
    Immutable { target: TagRef },
    /// The image was deleted before its tag could be set.
    Deleted { target: TagRef },
    /// The quota leaves no room.
    NoRoom { quota: Quota },
    /// The tag template does not give a valid tag.
    Template {
        /// What is wrong with it; names at most the source tag.
        error: String,
    },
    /// The origin of a tag.
    From { source: TagRef },
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
            Self::Template { error } => format!("the tag template does not give a valid tag: {error}"),
            Self::From { source } => format!("from {}", source.shown(eyes)),
        }
    }
}
