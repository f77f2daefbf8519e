//! Decides what a pull mirror does with one tag, from the remote's digest, the local tag and the baseline
//! (semantics 3, 4, 20). Pure functions.

use longshore_model::{PolicyId, Provenance, TagRecord, stored::PullMirror};
use longshore_oci::{Digest, RemoteName, Tag};
use std::collections::HashMap;

/// The remote's tags and their digests when the mirror was saved; `None` if a digest could not be read.
pub(crate) type BaselineTags = HashMap<Tag, Option<Digest>>;

/// A pull mirror and the remote repository that it mirrors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub policy: PolicyId,
    /// The host of the other registry.
    pub host: &'a str,
    pub repository: &'a RemoteName,
}

impl<'a> Origin<'a> {
    /// The origin of a mirror's tags.
    pub(crate) fn of(mirror: &'a PullMirror) -> Self {
        Self { policy: mirror.common.id, host: &mirror.remote_host, repository: &mirror.remote_repository }
    }

    /// Whether the tag came from this remote repository. A mirror that is changed to another one starts over, including
    /// the tags it has already mirrored (semantics 35); a tag that a person restored and released is mirrored as
    /// before.
    fn brought(&self, tag: &TagRecord) -> bool {
        match &tag.provenance {
            Provenance::Mirror { remote_host, remote_repository, .. } => {
                remote_host == self.host && remote_repository == self.repository
            }
            Provenance::Push | Provenance::Promotion { .. } | Provenance::Restored { .. } => true,
        }
    }
}

/// What to do with one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The local tag has the same digest as the remote's.
    Unchanged,
    /// The tag existed when the mirror was saved, and has not changed since.
    InBaseline,
    /// The tag is in the baseline without a digest: this digest, the first that could be read, completes the record.
    CompletesBaseline(Digest),
    /// Copy the tag at this digest.
    Copy(Digest),
    /// A person restored the local tag to another digest: it is not changed until someone releases it.
    Pinned { local: Box<TagRecord> },
    /// The local tag has another digest and was not set by this mirror: it is not changed, but reported.
    Conflict { local: Box<TagRecord> },
}

/// Decides what to do with a tag that has the digest `remote`. `baseline` is `None` if every tag is mirrored.
pub(crate) fn step(
    origin: Origin<'_>,
    name: &Tag,
    remote: &Digest,
    local: Option<&TagRecord>,
    baseline: Option<&BaselineTags>,
) -> Step {
    let mirror = origin.policy;
    let known = baseline.and_then(|known| known.get(name));
    match local {
        Some(local) if local.digest == *remote => Step::Unchanged,
        Some(local) if local.provenance.pinned_from() == Some(mirror) => {
            Step::Pinned { local: Box::new(local.clone()) }
        }
        // A tag that this mirror has set follows the remote, even back to the digest in the baseline.
        Some(local) if is_of(mirror, local) && origin.brought(local) => Step::Copy(remote.clone()),
        _ if known.is_some_and(|known| known.as_ref() == Some(remote)) => Step::InBaseline,
        _ if known.is_some_and(Option::is_none) => Step::CompletesBaseline(remote.clone()),
        Some(local) if is_of(mirror, local) => Step::Copy(remote.clone()),
        Some(local) => Step::Conflict { local: Box::new(local.clone()) },
        None => Step::Copy(remote.clone()),
    }
}

/// Whether the mirror may move the tag: it set the current revision, or a person restored the tag and has released it.
pub(crate) fn is_of(mirror: PolicyId, tag: &TagRecord) -> bool {
    tag.provenance.mirror() == Some(mirror) && tag.provenance.pinned_from().is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use longshore_model::{Author, Lineage, Pin, Provenance, RepositoryId, Revision, Timestamp};
    use uuid::Uuid;

    const MIRROR: PolicyId = PolicyId(Uuid::from_u128(1));
    const OTHER: PolicyId = PolicyId(Uuid::from_u128(2));

    fn digest(byte: u8) -> Digest {
        Digest::sha256([byte; 32])
    }

    fn tag(by: Option<PolicyId>, at: u8) -> TagRecord {
        let provenance = by.map_or(Provenance::Push, |policy| Provenance::Mirror {
            policy,
            remote: None,
            remote_host: "registry.example".into(),
            remote_repository: "a/b".parse().unwrap(),
            remote_tag: "1.0".parse().unwrap(),
        });
        TagRecord {
            repository: RepositoryId(Uuid::from_u128(3)),
            name: "1.0".parse().unwrap(),
            digest: digest(at),
            revision: Revision(4),
            source_revision: Revision(4),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            author: Author::System,
            provenance,
            lineage: Lineage::default(),
        }
    }

    fn decide(remote: u8, local: Option<&TagRecord>, baseline: Option<u8>) -> Step {
        let name: Tag = "1.0".parse().unwrap();
        let baseline = baseline.map(|at| BaselineTags::from([(name.clone(), Some(digest(at)))]));
        step(
            at("registry.example", &"a/b".parse().unwrap()),
            &name,
            &digest(remote),
            local,
            baseline.as_ref(),
        )
    }

    fn at<'a>(host: &'a str, repository: &'a RemoteName) -> Origin<'a> {
        Origin { policy: MIRROR, host, repository }
    }

    #[test]
    fn a_tag_with_the_same_digest_is_unchanged_whoever_set_it() {
        assert_eq!(decide(1, Some(&tag(Some(MIRROR), 1)), None), Step::Unchanged);
        assert_eq!(decide(1, Some(&tag(None, 1)), Some(1)), Step::Unchanged);
    }

    #[test]
    fn semantics_03_a_tag_in_the_baseline_is_not_mirrored_until_it_changes() {
        assert_eq!(decide(1, None, None), Step::Copy(digest(1)));
        assert_eq!(decide(1, None, Some(1)), Step::InBaseline);
        assert_eq!(decide(2, None, Some(1)), Step::Copy(digest(2)));
        let empty = BaselineTags::new();
        let name: Tag = "1.0".parse().unwrap();
        let there = "a/b".parse().unwrap();
        let origin = at("registry.example", &there);
        assert_eq!(step(origin, &name, &digest(1), None, Some(&empty)), Step::Copy(digest(1)));
    }

    #[test]
    fn semantics_35_the_first_digest_that_is_read_completes_the_baseline_of_a_tag() {
        let name: Tag = "1.0".parse().unwrap();
        let there = "a/b".parse().unwrap();
        let listed = BaselineTags::from([(name.clone(), None)]);
        let origin = at("registry.example", &there);
        assert_eq!(step(origin, &name, &digest(1), None, Some(&listed)), Step::CompletesBaseline(digest(1)));
        let ours = tag(Some(MIRROR), 2);
        assert_eq!(step(origin, &name, &digest(1), Some(&ours), Some(&listed)), Step::Copy(digest(1)));
    }

    #[test]
    fn semantics_35_a_mirror_of_another_registry_starts_over_with_tags_it_has_mirrored() {
        let name: Tag = "1.0".parse().unwrap();
        let there = "a/b".parse().unwrap();
        let recorded = BaselineTags::from([(name.clone(), Some(digest(1)))]);
        let elsewhere = at("other.example", &there);
        let ours = tag(Some(MIRROR), 2);
        let decide = |remote| step(elsewhere, &name, &digest(remote), Some(&ours), Some(&recorded));
        assert_eq!(decide(1), Step::InBaseline);
        assert_eq!(decide(3), Step::Copy(digest(3)));
    }

    #[test]
    fn semantics_03_a_mirrored_tag_follows_the_remote_back_to_the_baseline() {
        assert_eq!(decide(1, Some(&tag(Some(MIRROR), 2)), Some(1)), Step::Copy(digest(1)));
    }

    #[test]
    fn semantics_20_a_tag_that_someone_else_set_is_a_conflict() {
        for maker in [None, Some(OTHER)] {
            let local = tag(maker, 2);
            assert_eq!(decide(1, Some(&local), None), Step::Conflict { local: Box::new(local.clone()) });
            assert_eq!(decide(1, Some(&local), Some(1)), Step::InBaseline);
        }
    }

    #[test]
    fn semantics_22_a_restored_tag_is_not_changed_until_it_is_released() {
        let restored = |mirror, released| {
            let pin = Some(Pin { mirror, released });
            let provenance = Provenance::Restored { revision: Revision(2), quietly: false, pin };
            TagRecord { provenance, ..tag(None, 2) }
        };
        let pinned = restored(MIRROR, false);
        assert_eq!(decide(1, Some(&pinned), None), Step::Pinned { local: Box::new(pinned.clone()) });
        assert_eq!(decide(1, Some(&pinned), Some(1)), Step::Pinned { local: Box::new(pinned.clone()) });
        assert_eq!(decide(2, Some(&pinned), None), Step::Unchanged);
        assert_eq!(decide(1, Some(&restored(MIRROR, true)), None), Step::Copy(digest(1)));
        let other = restored(OTHER, true);
        assert_eq!(decide(1, Some(&other), None), Step::Conflict { local: Box::new(other.clone()) });
    }
}
