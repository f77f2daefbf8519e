//! What is said of policies and mirrors: why they do not act on a tag, why they stopped, what became of them.

use super::{
    Message,
    eyes::Eyes,
    reference::{PlaceRef, RepositoryRef},
};
use crate::{policy::PolicyKind, tag::Lineage};
use longshore_oci::Digest;
use longshore_policy::WaitingFor;
use serde::{Deserialize, Serialize};

/// A reason besides its rules for which a policy does not act on a tag (semantics 5, 18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Objection {
    /// The tag came through this very policy.
    Cycle,
    /// The tag has passed as many policies as there may be.
    FullLineage,
    /// Nobody may write the target.
    ReadOnly {
        /// The target.
        target: RepositoryRef,
    },
    /// Only its mirrors may write the target.
    Mirrored {
        /// The target.
        target: RepositoryRef,
    },
    /// The tag came from where it would be sent.
    CameFrom {
        /// The place.
        place: PlaceRef,
    },
    /// The policy made too many tags of one image.
    Brake {
        /// So many within an hour.
        made: u64,
        /// There may be so many.
        most: u64,
        /// The image.
        digest: Digest,
    },
}

impl Objection {
    /// What was found, as a sentence.
    #[must_use]
    pub fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Cycle => "the tag came here through this very policy: the cycle stops".to_owned(),
            Self::FullLineage => format!(
                "the tag has passed {} policies on its way, the most there may be: it stops here",
                Lineage::MAX
            ),
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

    /// The rule behind it, as a sentence.
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

/// What a change of a policy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// It may act.
    Enabled,
    /// It may not.
    #[serde(rename = "suspended")]
    Disabled,
    /// It acts otherwise.
    Edited,
    /// It is gone.
    Deleted,
}

/// Something about a policy or mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PolicyMessage {
    /// Rules did not hold, or something else stood in the way.
    NotMatched {
        /// What was found, rule by rule, in words about the tag alone.
        found: Vec<String>,
        /// What else stood in the way.
        objection: Option<Objection>,
    },
    /// The verdict waits.
    Waiting {
        /// For what.
        awaited: WaitingFor,
    },
    /// It stopped itself.
    Stopped {
        /// What it is.
        policy: PolicyKind,
        /// Why.
        why: Box<Message>,
    },
    /// It was not asked, because what is stored of it cannot be read.
    Unreadable {
        /// What it is.
        policy: PolicyKind,
        /// Its identifier, as it is stored.
        id: String,
        /// What is wrong.
        error: String,
    },
    /// Why it stopped itself: its rules cannot be read.
    UnreadableRules {
        /// The rules, as far as they can.
        rules: String,
    },
    /// Why it stopped itself: it made too many tags of one image.
    Loop {
        /// What was found.
        found: Objection,
    },
    /// It rests, because one of its repositories was deleted and can be restored.
    Rests {
        /// The repository.
        repository: RepositoryRef,
    },
    /// A promotion policy was saved.
    Promotion {
        /// Its target.
        target: RepositoryRef,
        /// Its rules, as a sentence.
        rules: String,
    },
    /// A push mirror was saved.
    PushMirror {
        /// Where it leads.
        place: PlaceRef,
        /// Its rules, as a sentence.
        rules: String,
    },
    /// A pull mirror was saved.
    PullMirror {
        /// Where it comes from.
        place: PlaceRef,
        /// Its tag patterns.
        patterns: String,
    },
    /// A promotion policy was enabled, disabled or deleted.
    PromotionChanged {
        /// Its target.
        target: RepositoryRef,
        /// What was done.
        changed: Changed,
    },
    /// A mirror was enabled, disabled or deleted.
    MirrorChanged {
        /// Its kind.
        policy: PolicyKind,
        /// Its other end.
        place: PlaceRef,
        /// What was done.
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
                WaitingFor::Soak => "waiting until the tag has stood long enough",
            }
            .to_owned(),
            Self::Stopped { policy, why } => {
                format!("the {} stopped itself: {}", policy.noun(), why.sentence(eyes))
            }
            Self::Unreadable { policy, id, error } => format!(
                "the {} {id} was not asked, because this version of Longshore cannot read what is stored of it ({error}); \
                 if a newer one wrote it, start that one, else save it again or delete it",
                policy.noun()
            ),
            Self::UnreadableRules { rules } => {
                format!("its rules cannot be read by this version: {rules}")
            }
            Self::Loop { found } => format!(
                "{}, which looks like a loop; look at its template and at what leads back into the repository, then \
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
