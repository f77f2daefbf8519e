//! What became of an image on its way to another registry.

use super::{Message, counted, eyes::Eyes, reference::PlaceRef};
use crate::{id::JobId, tag::Revision};
use longshore_oci::Digest;
use serde::{Deserialize, Serialize};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PushMessage {
    /// A job will send it.
    Queued {
        /// Where to.
        place: PlaceRef,
    },
    /// It was sent.
    Sent {
        /// Where to.
        place: PlaceRef,
        /// What is optional and did not go along.
        #[serde(default)]
        warnings: u64,
    },
    /// It was there already.
    Unchanged {
        /// Where.
        place: PlaceRef,
        /// What is optional and did not go along.
        #[serde(default)]
        warnings: u64,
    },
    /// The name there points to it now.
    Set {
        /// The name there.
        place: PlaceRef,
        /// The image.
        digest: Digest,
    },
    /// Referrers went along.
    Along {
        /// So many.
        count: u64,
    },
    /// A later change has had the name there.
    Superseded {
        /// The name there.
        place: PlaceRef,
        /// The change that was to be sent.
        ours: Revision,
        /// The later one.
        later: Revision,
        /// The job that sent it.
        job: Option<JobId>,
    },
    /// The name there is somebody else's, and such tags stay.
    Foreign {
        /// The name there.
        place: PlaceRef,
        /// What it points to.
        digest: Digest,
    },
    /// The name there is somebody else's, and such tags are moved.
    Overwritten {
        /// The name there.
        place: PlaceRef,
        /// What it pointed to.
        digest: Digest,
    },
    /// It did not get there.
    Failed {
        /// Where to.
        place: PlaceRef,
        /// Why not.
        why: Box<Message>,
    },
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
                format!("{what} went along")
            }
            Self::Superseded { place, ours, later, job } => {
                let by = job.map(|job| format!(" by job {job}")).unwrap_or_default();
                let (place, later, ours) = (place.shown(eyes), later.0, ours.0);
                format!(
                    "{place} was set by a later change (revision {later} after {ours}){by}, so it was left alone"
                )
            }
            Self::Foreign { place, digest } => format!(
                "{} is at {digest}, which Longshore did not put there, and this mirror does not overwrite such \
                 tags; switch overwriting on, or let the tag template give another name",
                place.shown(eyes)
            ),
            Self::Overwritten { place, digest } => format!(
                "{} was at {digest}, which Longshore did not put there; it is overwritten",
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
