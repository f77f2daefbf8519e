//! What became of tags on their way from another registry.

use super::{
    Message, counted,
    eyes::Eyes,
    reference::{PlaceRef, RepositoryRef, TagRef},
};
use crate::{account::Author, tag::Revision};
use longshore_oci::Digest;
use serde::{Deserialize, Serialize};

/// How many tags of a poll went which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Polled {
    /// Brought in or moved.
    pub copied: u64,
    /// As they were.
    pub unchanged: u64,
    /// Left out because they existed when the mirror was saved.
    pub in_baseline: u64,
    /// Left alone because a person brought them back.
    pub pinned: u64,
    /// Left alone because somebody else made them.
    pub conflicts: u64,
    /// Digest tags and referrers brought in.
    pub referrers: u64,
    /// Not brought in because of an error.
    pub failed: u64,
    /// What is optional and did not come: signatures, other referrers, digest tags (semantics 37).
    pub warnings: u64,
}

impl Polled {
    pub(crate) fn sentence(&self) -> String {
        let mut parts = vec![match self.copied {
            0 => "no new tags".to_owned(),
            copied => counted(copied, "tag mirrored", "tags mirrored"),
        }];
        let mut add = |count: u64, text: &str| {
            if count > 0 {
                parts.push(format!("{count} {text}"));
            }
        };
        add(self.unchanged, "unchanged");
        add(self.in_baseline, "left out because they existed when the mirror was saved");
        add(self.pinned, "pinned, and so left alone until somebody releases them");
        add(self.conflicts, "left alone because they were not made by this mirror");
        add(self.referrers, "signatures and other referrers");
        add(self.failed, "failed");
        add(self.warnings, if self.warnings == 1 { "warning" } else { "warnings" });
        parts.join(", ")
    }
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PollMessage {
    /// It ended.
    Ended {
        /// How it went.
        counts: Polled,
    },
    /// It ended, and some tags did not come.
    Failed {
        /// How it went.
        counts: Polled,
        /// The first error that will not pass.
        first: Box<Message>,
    },
    /// What there was when the mirror was saved is recorded.
    Baseline {
        /// So many tags.
        known: u64,
    },
    /// What only new patterns match is recorded.
    BaselineGrew {
        /// So many tags.
        known: u64,
    },
    /// What only new patterns match cannot be recorded yet, since the list of tags is not complete.
    BaselineWaits,
    /// A tag is recorded, though what it points to could not be read.
    Unread {
        /// The tag there.
        place: PlaceRef,
        /// Why not.
        why: Box<Message>,
    },
    /// The list of tags may lack some.
    Incomplete {
        /// The repository there.
        place: PlaceRef,
        /// Why; may quote the registry.
        why: String,
    },
    /// The list of tags has names that are no tags; they are skipped.
    OddNames {
        /// The repository there.
        place: PlaceRef,
        /// How many and which; quotes the registry.
        names: String,
    },
    /// Tags are listed, and the patterns of the mirror match none of them.
    NoneMatch {
        /// The repository there.
        place: PlaceRef,
        /// How many tags it has.
        tags: u64,
        /// The patterns, as they are saved.
        patterns: String,
    },
    /// A tag that is listed, or asked for by name, is not there.
    Absent {
        /// The tag there.
        place: PlaceRef,
    },
    /// A tag did not come.
    Tag {
        /// The tag there.
        place: PlaceRef,
        /// Why not.
        why: Box<Message>,
    },
    /// A tag was deleted there while it was copied.
    Vanished {
        /// The tag there.
        place: PlaceRef,
    },
    /// What a tag was about to point to was deleted here before it was set.
    DeletedHere {
        /// The tag here.
        tag: TagRef,
    },
    /// A tag was set here.
    Set {
        /// The tag.
        tag: TagRef,
        /// What it points to now.
        digest: Digest,
    },
    /// A tag is left alone, since a person brought it back.
    Pinned {
        /// The tag.
        tag: TagRef,
        /// What it points to.
        digest: Digest,
        /// Who brought it back.
        by: Author,
    },
    /// A tag is left alone, since somebody else made it.
    Conflict {
        /// The tag.
        tag: TagRef,
        /// What it points to.
        digest: Digest,
    },
    /// A later change has the tag here.
    Superseded {
        /// The tag.
        tag: TagRef,
        /// The change.
        by: Revision,
    },
    /// The patterns of the mirror are none.
    Patterns {
        /// What is wrong with them.
        error: String,
    },
    /// The mirror is gone.
    MirrorGone,
    /// The mirror is disabled.
    Disabled,
    /// Several mirrors were polled.
    All {
        /// So many.
        count: u64,
    },
    /// Several mirrors were polled, and not all went well.
    NotAll {
        /// So many did not.
        failed: u64,
        /// Of so many.
        count: u64,
        /// One that did not, if it is of a repository that still stands.
        first: Option<RepositoryRef>,
        /// Why not.
        why: Box<Message>,
    },
    /// A tag came from there.
    From {
        /// Its source.
        place: PlaceRef,
    },
    /// A pinned tag was left to its mirror again.
    Released,
}

impl PollMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Ended { counts } => counts.sentence(),
            Self::Failed { counts, first } => {
                format!("{}; first: {}", counts.sentence(), first.sentence(eyes))
            }
            Self::Baseline { known } => format!(
                "{} at the remote; those that come or change from now on are mirrored",
                counted(*known, "tag exists", "tags exist")
            ),
            Self::BaselineGrew { known } => format!(
                "{} that only the new patterns match; they are left out until they change",
                counted(*known, "tag exists", "tags exist")
            ),
            Self::BaselineWaits => {
                "tags that only the new patterns match wait for a complete list of tags".to_owned()
            }
            Self::Unread { place, why } => format!(
                "{}: {}; it counts as it is when it is first read",
                place.shown(eyes),
                why.sentence(eyes)
            ),
            Self::Incomplete { place, why } => match place.remote().words(why, eyes) {
                Some(why) => format!("the list of tags of {} is not complete: {why}", place.shown(eyes)),
                None => "the list of tags of another registry is not complete".to_owned(),
            },
            Self::OddNames { place, names } => match place.remote().words(names, eyes) {
                Some(names) => format!("{} lists {names}", place.shown(eyes)),
                None => "another registry lists names that are no tags".to_owned(),
            },
            Self::NoneMatch { place, tags: 1, patterns } => {
                format!("the only tag at {} does not match “{patterns}”", place.shown(eyes))
            }
            Self::NoneMatch { place, tags, patterns } => {
                format!("none of the {tags} tags at {} matches “{patterns}”", place.shown(eyes))
            }
            Self::Absent { place } => format!("{} does not exist", place.shown(eyes)),
            Self::Tag { place, why } => format!("{}: {}", place.shown(eyes), why.sentence(eyes)),
            Self::Vanished { place } => format!("{} was deleted there meanwhile", place.shown(eyes)),
            Self::DeletedHere { tag } => {
                format!("the image of {} was deleted here before the tag could be set", tag.shown(eyes))
            }
            Self::Set { tag, digest } => format!("{} is now at {digest}", tag.shown(eyes)),
            Self::Pinned { tag, digest, by } => format!(
                "{} is pinned at {digest}, because {by} brought it back; it is left alone until somebody releases it",
                tag.shown(eyes)
            ),
            Self::Conflict { tag, digest } => format!(
                "{} was not made by this mirror and is at {digest}; it is left alone. Delete it if the mirror is \
                 to have the name",
                tag.shown(eyes)
            ),
            Self::Superseded { tag, by } => format!("{} holds a later change ({})", tag.shown(eyes), by.0),
            Self::Patterns { error } => format!("the tag patterns of the mirror cannot be used: {error}"),
            Self::MirrorGone => "the pull mirror has been deleted".to_owned(),
            Self::Disabled => "the pull mirror is disabled".to_owned(),
            Self::All { count } => counted(*count, "pull mirror polled", "pull mirrors polled"),
            Self::NotAll { failed, count, first, why } => {
                let first =
                    first.as_ref().map_or_else(String::new, |first| format!("{}: ", first.shown(eyes)));
                format!("{failed} of {count} polls failed: {first}{}", why.sentence(eyes))
            }
            Self::From { place } => format!("from {}", place.shown(eyes)),
            Self::Released => "its pull mirror may move it again".to_owned(),
        }
    }
}
