//! Tags in time: revisions, where a tag came from, and what is shown of it.

use crate::account::Author;
use crate::id::{JobId, PolicyId, RemoteId, RepositoryId};
use crate::policy::PolicyKind;
use jiff::Timestamp;
use longshore_oci::{Descriptor, Digest, RemoteName, RepositoryName, Tag};
use longshore_policy::Verdict;
use serde::{Deserialize, Serialize};

/// The number of one change of a tag, from one increasing sequence of the whole server
/// (semantics 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// The policies that an event has passed, oldest first, at most [`Lineage::MAX`] (semantics 5).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lineage(Vec<PolicyId>);

impl Lineage {
    /// No event passes more policies than this.
    pub const MAX: usize = 32;

    /// The policies, oldest first.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        &self.0
    }

    /// Whether the event has passed `policy` already.
    #[must_use]
    pub fn has(&self, policy: PolicyId) -> bool {
        self.0.contains(&policy)
    }

    /// Whether no further policy may act.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }

    /// The lineage after `policy` has acted. A full lineage stays as it is: nothing acts on it.
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
    /// Keeps the first [`Lineage::MAX`].
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
        /// The policy; none when a person promoted it by hand.
        policy: Option<PolicyId>,
        /// The repository where it was; unknown for what an earlier version wrote.
        #[serde(default)]
        source: Option<RepositoryId>,
        /// Its name.
        source_repository: RepositoryName,
        /// Its name there.
        source_tag: Tag,
        /// The change of the source that led here.
        source_revision: Revision,
    },
    /// A pull mirror brought it from another registry.
    Mirror {
        /// The pull mirror.
        policy: PolicyId,
        /// The remote it came from; unknown for what an earlier version wrote.
        #[serde(default)]
        remote: Option<RemoteId>,
        /// The registry's host, with its port when it is not the scheme's own.
        remote_host: String,
        /// The repository there.
        remote_repository: RemoteName,
        /// Its name there.
        remote_tag: Tag,
    },
    /// A person brought it back after it had been overwritten or deleted (semantics 22).
    Restored {
        /// The change that it was brought back from.
        revision: Revision,
        /// Whether the person asked that no policy act on it.
        quietly: bool,
        /// What ties it to the pull mirror that had made it, where one had.
        pin: Option<Pin>,
    },
}

/// A tag that a pull mirror made and a person brought back: the mirror leaves it alone until somebody
/// releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The pull mirror.
    pub mirror: PolicyId,
    /// Whether the mirror may move it again.
    pub released: bool,
}

impl Provenance {
    /// The pull mirror whose tag it is: which brought it, or had brought what a person brought back.
    #[must_use]
    pub fn mirror(&self) -> Option<PolicyId> {
        match self {
            Self::Mirror { policy, .. } => Some(*policy),
            Self::Restored { pin, .. } => pin.map(|pin| pin.mirror),
            Self::Push | Self::Promotion { .. } => None,
        }
    }

    /// The pull mirror that leaves the tag alone until somebody releases it.
    #[must_use]
    pub fn pinned_from(&self) -> Option<PolicyId> {
        match self {
            Self::Restored { pin: Some(pin), .. } if !pin.released => Some(pin.mirror),
            _ => None,
        }
    }
}

/// A tag as it stands in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    /// The repository it is in.
    pub repository: RepositoryId,
    /// Its name.
    pub name: Tag,
    /// The manifest it points to.
    pub digest: Digest,
    /// The change that made it so.
    pub revision: Revision,
    /// The change at the source that led to it: its own for a push, the source tag's for a
    /// promotion. A change from an earlier source never replaces a later one (semantics 1).
    pub source_revision: Revision,
    /// When the name first appeared.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who changed it.
    pub author: Author,
    /// Where it came from.
    pub provenance: Provenance,
    /// Which policies it passed on its way.
    pub lineage: Lineage,
}

/// A tag with what a list shows beside its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagSummary {
    /// The tag.
    pub tag: TagRecord,
    /// Media type of its manifest.
    pub media_type: String,
    /// The artifact's type where it is no image.
    pub artifact_type: Option<String>,
    /// Platforms such as `linux/amd64`; empty where none are known.
    pub platforms: Vec<String>,
    /// Bytes of the manifest and of all that it needs.
    pub size_bytes: u64,
    /// Whether the reader may see the source in the provenance; when not, it is blanked out.
    pub source_visible: bool,
}

/// What became of a tag under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAnswer {
    /// The policy.
    pub policy: PolicyId,
    /// Its kind.
    pub kind: PolicyKind,
    /// Where it leads, such as `qa/website` or `qa-example.com/qa/website`; or "another repository".
    pub destination: String,
    /// What was found, rule by rule; none when it was not evaluated yet.
    pub verdict: Option<Verdict>,
    /// One sentence about what followed: promoted as …, superseded by …, failed because ….
    pub consequence: String,
    /// How that went.
    pub result: AnswerResult,
    /// The name at the destination, where there is one.
    pub target_tag: Option<Tag>,
    /// The job that did it or tries to.
    pub job: Option<JobId>,
    /// When.
    pub at: Option<Timestamp>,
    /// Whether today's rules would let it through; `Some(false)` after a change of the policy.
    pub would_qualify_today: Option<bool>,
}

/// How a policy's answer about a tag ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerResult {
    /// The tag is at the destination.
    Done,
    /// It is on its way.
    Running,
    /// The rules do not let it through.
    NotMatched,
    /// Something is awaited.
    Waiting,
    /// It failed; the job tells why.
    Failed,
    /// A later change took its place.
    Superseded,
    /// The policy has not looked at this revision.
    NotEvaluated,
}

/// The answer page of a tag: what it is, where it came from, where it went, and why not further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagDetail {
    /// What the list shows.
    pub summary: TagSummary,
    /// Every policy and push mirror of the repository with its answer.
    pub answers: Vec<PolicyAnswer>,
    /// What refers to it: signatures, SBOMs, attestations.
    pub referrers: Vec<Descriptor>,
    /// The layers of an image, in order; empty for an index.
    pub layers: Vec<Descriptor>,
    /// The children of an index; empty for an image.
    pub children: Vec<Descriptor>,
    /// The manifest's bytes as text, for reading; at most 64 KiB of it.
    pub manifest: String,
    /// How many bytes it has.
    pub manifest_bytes: u64,
    /// Changes of the same name, newest first; older ones are had by asking for those before the last of these.
    pub history: Vec<TagChange>,
}

/// One change of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagChange {
    /// Its number.
    pub revision: Revision,
    /// The digest that was set; none when the tag was removed.
    pub digest: Option<Digest>,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub author: Author,
    /// Where it came from; none when the tag was removed, or where the reader may not see the source.
    pub provenance: Option<Provenance>,
    /// Until when it can be brought back; none: it is how the tag stands, a removal, or past that.
    pub until: Option<Timestamp>,
}

impl TagChange {
    /// So many changes are told at once; fewer are the last ones.
    pub const AT_ONCE: usize = 50;
}

/// A tag that was deleted and can be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTag {
    /// Its name.
    pub name: Tag,
    /// The change to bring back.
    pub revision: Revision,
    /// The manifest it pointed to.
    pub digest: Digest,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// By whom.
    pub deleted_by: Author,
    /// Until when it can be brought back.
    pub until: Timestamp,
}

/// What bringing a tag back would mean, for who is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// The tag.
    pub name: Tag,
    /// The change that would be brought back.
    pub revision: Revision,
    /// The manifest it pointed to.
    pub digest: Digest,
    /// When that change was made.
    pub at: Timestamp,
    /// By whom.
    pub author: Author,
    /// What the tag points to now; none: it is deleted.
    pub present: Option<Digest>,
    /// The policies that would act on it.
    pub policies: Vec<PolicyAhead>,
    /// Whether the tag would be pinned, so that the mirror that made it leaves it alone.
    pub pins: bool,
}

/// What a policy would do with a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAhead {
    /// The policy.
    pub policy: PolicyId,
    /// Its kind.
    pub kind: PolicyKind,
    /// Where it leads, or "another repository".
    pub destination: String,
    /// The name the tag would get there; none where the reader may not know.
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
