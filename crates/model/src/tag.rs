//! Tags over time: revisions, provenance, and what is shown of a tag.

use crate::account::Author;
use crate::id::{JobId, PolicyId, RemoteId, RepositoryId};
use crate::policy::PolicyKind;
use jiff::Timestamp;
use longshore_oci::{Descriptor, Digest, RemoteName, RepositoryName, Tag};
use longshore_policy::Verdict;
use serde::{Deserialize, Serialize};

/// The number of one change of a tag, from one increasing sequence of the whole server (semantics 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// The policies that an event has passed, oldest first, at most [`Lineage::MAX`] (semantics 5).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lineage(Vec<PolicyId>);

impl Lineage {
    /// The maximum number of policies that an event passes.
    pub const MAX: usize = 32;

    /// Oldest first.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        &self.0
    }

    /// Whether the event has already passed `policy`.
    #[must_use]
    pub fn has(&self, policy: PolicyId) -> bool {
        self.0.contains(&policy)
    }

    /// Whether no further policy may act.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }

    /// The lineage after `policy` has acted. A full lineage stays unchanged, because no policy acts on it.
    #[must_use]
    pub fn with(&self, policy: PolicyId) -> Self {
        let mut passed = self.clone();
        if !passed.is_full() {
            passed.0.push(policy);
        }
        passed
    }
}

impl FromIterator<PolicyId> for Lineage {
    /// Keeps the first [`Lineage::MAX`] policies.
    fn from_iter<I: IntoIterator<Item = PolicyId>>(policies: I) -> Self {
        Self(policies.into_iter().take(Self::MAX).collect())
    }
}

/// Where a tag came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Provenance {
    /// A client pushed it.
    Push,
    /// It was promoted from another repository of this server.
    Promotion {
        /// `None` if a person promoted it.
        policy: Option<PolicyId>,
        /// `None` for what an earlier version wrote.
        #[serde(default)]
        source: Option<RepositoryId>,
        source_repository: RepositoryName,
        source_tag: Tag,
        /// The revision of the source tag.
        source_revision: Revision,
    },
    /// A pull mirror copied it from another registry.
    Mirror {
        policy: PolicyId,
        /// `None` for what an earlier version wrote.
        #[serde(default)]
        remote: Option<RemoteId>,
        /// With the port unless it is the default port of the scheme.
        remote_host: String,
        remote_repository: RemoteName,
        remote_tag: Tag,
    },
    /// A person restored it after it had been overwritten or deleted (semantics 22).
    Restored {
        /// The revision that was restored.
        revision: Revision,
        /// Whether the person chose that no policy acts on it.
        quietly: bool,
        /// The pin, if a pull mirror had set the restored tag.
        pin: Option<Pin>,
    },
}

/// A pin: a pull mirror set the tag and a person restored it. The mirror leaves it alone until somebody releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub mirror: PolicyId,
    /// Whether the mirror may change the tag again.
    pub released: bool,
}

impl Provenance {
    /// The pull mirror that the tag belongs to: it set the tag, or set what a person restored.
    #[must_use]
    pub fn mirror(&self) -> Option<PolicyId> {
        match self {
            Self::Mirror { policy, .. } => Some(*policy),
            Self::Restored { pin, .. } => pin.map(|pin| pin.mirror),
            Self::Push | Self::Promotion { .. } => None,
        }
    }

    /// The pull mirror that must leave the tag alone until somebody releases it.
    #[must_use]
    pub fn pinned_from(&self) -> Option<PolicyId> {
        match self {
            Self::Restored { pin: Some(pin), .. } if !pin.released => Some(pin.mirror),
            _ => None,
        }
    }
}

/// A tag as stored in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    pub repository: RepositoryId,
    pub name: Tag,
    pub digest: Digest,
    /// The latest change of the tag.
    pub revision: Revision,
    /// The change at the source that led to it: its own for a push, the source tag's for a promotion. An earlier
    /// source change never replaces a later one (semantics 1).
    pub source_revision: Revision,
    /// When a tag with this name was first set.
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub author: Author,
    pub provenance: Provenance,
    /// The policies that led to it.
    pub lineage: Lineage,
}

/// A tag as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagSummary {
    pub tag: TagRecord,
    /// The media type of its manifest.
    pub media_type: String,
    /// The artifact type, unless it is an image.
    pub artifact_type: Option<String>,
    /// Platforms such as `linux/amd64`; empty if none are known.
    pub platforms: Vec<String>,
    /// The size of the manifest and everything that it references.
    pub size_bytes: u64,
    /// Whether the reader may see the source in the provenance. If not, it is blanked out.
    pub source_visible: bool,
}

/// The result of one policy for a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAnswer {
    pub policy: PolicyId,
    pub kind: PolicyKind,
    /// The destination, such as `qa/website` or `qa-example.com/qa/website`; or "another repository".
    pub destination: String,
    /// `None` if the policy was not evaluated yet.
    pub verdict: Option<Verdict>,
    /// One sentence about what happened: promoted as …, superseded by …, failed because ….
    pub consequence: String,
    pub result: AnswerResult,
    /// The tag at the destination, if there is one.
    pub target_tag: Option<Tag>,
    /// The job that acted on the verdict.
    pub job: Option<JobId>,
    pub at: Option<Timestamp>,
    /// Whether the current rules match; `Some(false)` after a change of the policy.
    pub would_qualify_today: Option<bool>,
}

/// The result of a policy for a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerResult {
    /// The tag is at the destination.
    Done,
    /// A job is copying it.
    Running,
    /// The rules do not match.
    NotMatched,
    /// The verdict is waiting.
    Waiting,
    /// It failed; the job has the reason.
    Failed,
    /// A later change replaced it.
    Superseded,
    /// The policy has not been evaluated for this revision.
    NotEvaluated,
}

/// The details of a tag: what it is, where it came from, where it was copied, and why not further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagDetail {
    pub summary: TagSummary,
    /// The results of all promotion policies and push mirrors of the repository.
    pub answers: Vec<PolicyAnswer>,
    /// The manifests that refer to it: signatures, SBOMs, attestations.
    pub referrers: Vec<Descriptor>,
    /// The layers of an image, in order; empty for an index.
    pub layers: Vec<Descriptor>,
    /// The children of an index; empty for an image.
    pub children: Vec<Descriptor>,
    /// The manifest as text, for display; at most 64 KiB.
    pub manifest: String,
    /// The full size of the manifest.
    pub manifest_bytes: u64,
    /// The changes of the tag, newest first. Older ones are requested as those before the last of these.
    pub history: Vec<TagChange>,
}

/// One change of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagChange {
    pub revision: Revision,
    /// `None` if the tag was deleted.
    pub digest: Option<Digest>,
    pub at: Timestamp,
    pub author: Author,
    /// `None` if the tag was deleted, or if the reader may not see the source.
    pub provenance: Option<Provenance>,
    /// Until when it can be restored; `None` if it is current, a deletion, or no longer restorable.
    pub until: Option<Timestamp>,
}

impl TagChange {
    /// The number of changes that are returned at once; fewer are the last ones.
    pub const AT_ONCE: usize = 50;
}

/// A deleted tag that can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTag {
    pub name: Tag,
    /// The revision to restore.
    pub revision: Revision,
    /// The manifest it pointed to.
    pub digest: Digest,
    pub deleted_at: Timestamp,
    pub deleted_by: Author,
    /// Until when it can be restored.
    pub until: Timestamp,
}

/// What restoring a tag would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    pub name: Tag,
    /// The revision to restore.
    pub revision: Revision,
    /// The manifest it pointed to.
    pub digest: Digest,
    /// When that change was made.
    pub at: Timestamp,
    pub author: Author,
    /// What the tag points to now; `None` if it is deleted.
    pub present: Option<Digest>,
    /// The policies that would act on it.
    pub policies: Vec<PolicyAhead>,
    /// Whether the tag would be pinned, so that the mirror that set it leaves it alone.
    pub pins: bool,
}

/// What a policy would do with a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAhead {
    pub policy: PolicyId,
    pub kind: PolicyKind,
    /// The destination, or "another repository".
    pub destination: String,
    /// The tag at the destination; `None` if the reader may not know it.
    pub target_tag: Option<Tag>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn semantics_05_a_lineage_holds_at_most_32_policies() {
        let full: Lineage = (0..40).map(|_| PolicyId::new()).collect();
        assert_eq!(full.policies().len(), Lineage::MAX);
        assert!(full.is_full());
        assert_eq!(full.with(PolicyId::new()), full);
    }

    #[test]
    fn a_lineage_knows_the_policies_it_passed() {
        let (first, second) = (PolicyId::new(), PolicyId::new());
        let lineage = Lineage::default().with(first);
        assert!(lineage.has(first));
        assert!(!lineage.has(second));
    }
}
