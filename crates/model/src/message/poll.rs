//! Sentences about polls of pull mirrors.

use super::{
    Message, counted,
    eyes::Eyes,
    reference::{PlaceRef, RepositoryRef, TagRef},
};
use crate::{account::Author, tag::Revision};
use longshore_oci::Digest;
use serde::{Deserialize, Serialize};

/// The results for the tags of a poll, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Polled {
    /// Created or changed.
    pub copied: u64,
    pub unchanged: u64,
    /// Left out because they existed when the mirror was saved.
    pub in_baseline: u64,
    /// Left alone because a person restored them.
    pub pinned: u64,
    /// Left alone because this mirror did not set them.
    pub conflicts: u64,
    /// Copied digest tags and referrers.
    pub referrers: u64,
    /// Not copied because of an error.
    pub failed: u64,
    /// Optional content that was not copied: signatures, other referrers, digest tags (semantics 37).
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
        add(self.pinned, "pinned and left alone until somebody releases them");
        add(self.conflicts, "left alone because they were not made by this mirror");
        add(self.referrers, "signatures and other referrers");
        add(self.failed, "failed");
        add(self.warnings, if self.warnings == 1 { "warning" } else { "warnings" });
        parts.join(", ")
    }
}

/// A sentence about a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PollMessage {
    Ended {
        counts: Polled,
    },
    /// It ended with failed tags.
    Failed {
        counts: Polled,
        /// The first permanent error.
        first: Box<Message>,
    },
    /// The tags that existed when the mirror was saved were recorded.
    Baseline {
        /// The number of tags.
        known: u64,
    },
    /// The tags that only new patterns match were recorded.
    BaselineGrew {
        /// The number of tags.
        known: u64,
    },
    /// The tags that only new patterns match cannot be recorded yet, because the list of tags is incomplete.
    BaselineWaits,
    /// A tag was recorded although its manifest could not be read.
    Unread {
        place: PlaceRef,
        why: Box<Message>,
    },
    /// The list of tags may be incomplete.
    Incomplete {
        place: PlaceRef,
        /// May quote the registry.
        why: String,
    },
    /// The list of tags contains names that are not valid tags; they are skipped.
    OddNames {
        place: PlaceRef,
        /// How many and which; quotes the registry.
        names: String,
    },
    /// The patterns of the mirror match none of the listed tags.
    NoneMatch {
        place: PlaceRef,
        /// The number of listed tags.
        tags: u64,
        /// The patterns as saved.
        patterns: String,
    },
    /// A tag that is listed or requested by name does not exist.
    Absent {
        place: PlaceRef,
    },
    /// A tag was not copied.
    Tag {
        place: PlaceRef,
        why: Box<Message>,
    },
    /// A tag was deleted at the remote while it was copied.
    Vanished {
        place: PlaceRef,
    },
    /// The manifest of a tag was deleted here before the tag was set.
    DeletedHere {
        tag: TagRef,
    },
    /// A local tag was set.
    Set {
        tag: TagRef,
        /// What it points to now.
        digest: Digest,
    },
    /// A tag is left alone, because a person restored it.
    Pinned {
        tag: TagRef,
        /// What it points to.
        digest: Digest,
        /// Who restored it.
        by: Author,
    },
    /// A tag is left alone, because this mirror did not set it.
    Conflict {
        tag: TagRef,
        /// What it points to.
        digest: Digest,
    },
    /// The local tag has a later change.
    Superseded {
        tag: TagRef,
        by: Revision,
    },
    /// The patterns of the mirror are invalid.
    Patterns {
        error: String,
    },
    MirrorGone,
    Disabled,
    /// Several mirrors were polled.
    All {
        count: u64,
    },
    /// Several mirrors were polled, and some polls failed.
    NotAll {
        /// The number of failed polls.
        failed: u64,
        /// The number of polls.
        count: u64,
        /// The repository of a failed poll, unless it was deleted.
        first: Option<RepositoryRef>,
        /// Why that poll failed.
        why: Box<Message>,
    },
    /// The origin of a tag.
    From {
        place: PlaceRef,
    },
    /// A pinned tag was released to its mirror.
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
                "{} at the remote; only tags that are new or change from now on are mirrored",
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
                "{}: {}; it is recorded as it is when it can first be read",
                place.shown(eyes),
                why.sentence(eyes)
            ),
            Self::Incomplete { place, why } => match place.remote().words(why, eyes) {
                Some(why) => format!("the list of tags of {} is not complete: {why}", place.shown(eyes)),
                None => "the list of tags of another registry is not complete".to_owned(),
            },
            Self::OddNames { place, names } => match place.remote().words(names, eyes) {
                Some(names) => format!("{} lists {names}", place.shown(eyes)),
                None => "another registry lists names that are not valid tags".to_owned(),
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
                "{} is pinned at {digest}, because {by} restored it; it is left alone until somebody releases it",
                tag.shown(eyes)
            ),
            Self::Conflict { tag, digest } => format!(
                "{} was not made by this mirror and is at {digest}; it is left alone. Delete it if the mirror should \
                 set the tag",
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
