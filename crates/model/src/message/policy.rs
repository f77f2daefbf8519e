//! Sentences about policies and mirrors: why they do not act on a tag, why they stopped, how they were changed.

use super::{
    Message,
    eyes::Eyes,
    reference::{PlaceRef, RepositoryRef},
};
use crate::{policy::PolicyKind, tag::Lineage};
use longshore_oci::Digest;
use longshore_policy::WaitingFor;
use serde::{Deserialize, Serialize};

/// A reason other than its rules why a policy does not act on a tag (semantics 5, 18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Objection {
    /// The tag has already passed this policy.
    Cycle,
    /// The tag has passed the maximum number of policies.
    FullLineage,
    /// The target is read-only.
    ReadOnly { target: RepositoryRef },
    /// Only pull mirrors may write to the target.
    Mirrored { target: RepositoryRef },
    /// The tag came from the destination.
    CameFrom { place: PlaceRef },
    /// The policy made too many tags of one image.
    Brake {
        /// The number within an hour.
        made: u64,
        /// The maximum.
        most: u64,
        digest: Digest,
    },
}

impl Objection {
    /// The reason as a sentence.
    #[must_use]
    pub fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Cycle => "the tag has already passed this policy: the cycle stops here".to_owned(),
            Self::FullLineage => {
                format!("the tag has passed {} policies, which is the maximum: it stops here", Lineage::MAX)
            }
            Self::ReadOnly { target } => format!("{} is read-only", target.shown(eyes)),
            Self::Mirrored { target } => {
                format!("{} is written by its pull mirrors alone", target.shown(eyes))
            }
            Self::CameFrom { place } => format!("it came from {}", place.shown(eyes)),
            Self::Brake { made, digest, .. } => {
                format!("it made {made} tags of the image {} within an hour", digest.short())
            }
        }
    }

    /// The rule behind the reason, as a sentence.
    #[must_use]
    pub fn rule(&self) -> String {
        match self {
            Self::Cycle | Self::FullLineage => "a policy acts once on the way of a tag".to_owned(),
            Self::ReadOnly { .. } | Self::Mirrored { .. } => "the target takes promotions".to_owned(),
            Self::CameFrom { .. } => "a tag is not sent back to where it came from".to_owned(),
            Self::Brake { most, .. } => {
                format!("a policy makes at most {most} tags of one image within an hour")
            }
        }
    }
}

/// The kind of a change of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    Enabled,
    #[serde(rename = "suspended")]
    Disabled,
    Edited,
    Deleted,
}

/// A sentence about a policy or mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PolicyMessage {
    /// Rules did not match, or there was an objection.
    NotMatched {
        /// The finding of each rule, in words that name only the tag.
        found: Vec<String>,
        objection: Option<Objection>,
    },
    /// The verdict is waiting.
    Waiting {
        awaited: WaitingFor,
    },
    Stopped {
        policy: PolicyKind,
        why: Box<Message>,
    },
    /// It was not evaluated, because its stored form cannot be read.
    Unreadable {
        policy: PolicyKind,
        /// Its identifier as stored.
        id: String,
        error: String,
    },
    /// Why it stopped: its rules cannot be read.
    UnreadableRules {
        /// The rules, as far as they can be read.
        rules: String,
    },
    /// Why it stopped: it made too many tags of one image.
    Loop {
        found: Objection,
    },
    /// It does not act, because one of its repositories was deleted and can be restored.
    Rests {
        repository: RepositoryRef,
    },
    /// A promotion policy was saved.
    Promotion {
        target: RepositoryRef,
        /// The rules as a sentence.
        rules: String,
    },
    /// A push mirror was saved.
    PushMirror {
        place: PlaceRef,
        /// The rules as a sentence.
        rules: String,
    },
    /// A pull mirror was saved.
    PullMirror {
        place: PlaceRef,
        patterns: String,
    },
    /// A promotion policy was enabled, disabled or deleted.
    PromotionChanged {
        target: RepositoryRef,
        changed: Changed,
    },
    /// A mirror was enabled, disabled or deleted.
    MirrorChanged {
        policy: PolicyKind,
        /// The remote repository.
        place: PlaceRef,
        changed: Changed,
    },
}

impl PolicyMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::NotMatched { found, objection } => {
                let objection = objection.iter().map(|objection| objection.sentence(eyes));
                found.iter().cloned().chain(objection).collect::<Vec<_>>().join("; ")
            }
            Self::Waiting { awaited } => match awaited {
                WaitingFor::Scan => "waiting for the scan of the image",
                WaitingFor::Approval => "waiting for an approval",
                WaitingFor::Soak => "waiting until the tag is old enough",
            }
            .to_owned(),
            Self::Stopped { policy, why } => {
                format!("the {} stopped itself: {}", policy.noun(), why.sentence(eyes))
            }
            Self::Unreadable { policy, id, error } => format!(
                "the {} {id} was not evaluated, because this version of Longshore cannot read it ({error}); \
                 if a newer version saved it, use that one; otherwise save it again or delete it",
                policy.noun()
            ),
            Self::UnreadableRules { rules } => {
                format!("its rules cannot be read by this version: {rules}")
            }
            Self::Loop { found } => format!(
                "{}, which looks like a loop; check its template and the policies that lead back into the repository, then \
                 enable it again",
                found.sentence(eyes)
            ),
            Self::Rests { repository } => {
                format!("{} has been deleted; it can be restored", repository.shown(eyes))
            }
            Self::Promotion { target, rules } => {
                format!("promotion policy to {}: {rules}", target.shown(eyes))
            }
            Self::PushMirror { place, rules } => format!("push mirror to {}: {rules}", place.shown(eyes)),
            Self::PullMirror { place, patterns } => {
                format!("pull mirror of {}: {patterns}", place.shown(eyes))
            }
            Self::PromotionChanged { target, changed } => {
                format!("promotion policy to {} {}", target.shown(eyes), changed.word())
            }
            Self::MirrorChanged { policy, place, changed } => {
                let between = if *policy == PolicyKind::PullMirror { "of" } else { "to" };
                format!("{} {between} {} {}", policy.noun(), place.shown(eyes), changed.word())
            }
        }
    }
}

impl Changed {
    fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Edited => "changed",
            Self::Deleted => "deleted",
        }
    }
}
