//! Sentences about copies to other registries.

use super::{Message, counted, eyes::Eyes, reference::PlaceRef};
use crate::{id::JobId, tag::Revision};
use longshore_oci::Digest;
use serde::{Deserialize, Serialize};

/// A sentence about a copy to another registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PushMessage {
    /// A job will copy it.
    Queued { place: PlaceRef },
    Sent {
        place: PlaceRef,
        /// The number of optional parts that were not copied.
        #[serde(default)]
        warnings: u64,
    },
    /// The remote tag already points to the image.
    Unchanged {
        place: PlaceRef,
        /// The number of optional parts that were not copied.
        #[serde(default)]
        warnings: u64,
    },
    /// The remote tag was set.
    Set { place: PlaceRef, digest: Digest },
    /// Referrers were copied.
    Along { count: u64 },
    /// The remote tag has a later change.
    Superseded {
        place: PlaceRef,
        /// The revision to be copied.
        ours: Revision,
        /// The later revision.
        later: Revision,
        /// The job that copied the later one.
        job: Option<JobId>,
    },
    /// Longshore did not set the remote tag, and it may not be overwritten.
    Foreign {
        place: PlaceRef,
        /// What the tag points to.
        digest: Digest,
    },
    /// Longshore did not set the remote tag, and it is overwritten.
    Overwritten {
        place: PlaceRef,
        /// What the tag pointed to.
        digest: Digest,
    },
    /// The copy failed.
    Failed { place: PlaceRef, why: Box<Message> },
}

impl PushMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Queued { place } => format!("on its way to {}", place.shown(eyes)),
            Self::Sent { place, warnings } => format!("sent to {}{}", place.shown(eyes), warned(*warnings)),
            Self::Unchanged { place, warnings } => {
                format!("{} has this image already{}", place.shown(eyes), warned(*warnings))
            }
            Self::Set { place, digest } => format!("{} is now at {digest}", place.shown(eyes)),
            Self::Along { count } => {
                let what = counted(*count, "signature or other referrer", "signatures and other referrers");
                format!("{what} included")
            }
            Self::Superseded { place, ours, later, job } => {
                let by = job.map(|job| format!(" by job {job}")).unwrap_or_default();
                let (place, later, ours) = (place.shown(eyes), later.0, ours.0);
                format!(
                    "{place} was set by a later change (revision {later} after {ours}){by}, so it was left alone"
                )
            }
            Self::Foreign { place, digest } => format!(
                "{} is at {digest}, which Longshore did not set, and this mirror does not overwrite such \
                 tags; enable overwriting, or use a tag template that gives another name",
                place.shown(eyes)
            ),
            Self::Overwritten { place, digest } => format!(
                "{} was at {digest}, which Longshore did not set; it is overwritten",
                place.shown(eyes)
            ),
            Self::Failed { place, why } => format!("{}: {}", place.shown(eyes), why.sentence(eyes)),
        }
    }
}

fn warned(warnings: u64) -> String {
    match warnings {
        0 => String::new(),
        warnings => format!(", {}", counted(warnings, "warning", "warnings")),
    }
}
