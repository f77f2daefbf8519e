//! Promotions: one transaction links a manifest and everything it references into another repository and sets a tag
//! there, without copying any bytes. Whether a policy matches is decided in `evaluate`.

use crate::{Engine, family};
use longshore_metadata::{
    Error, Priority, Tx,
    deliveries::{self, Delivery, DeliveryTarget},
    manifests, repositories,
    storage::{self, QuotaExceeded},
    tags::{self, SetOutcome, SetTag},
    work,
};
use longshore_model::{
    Author, JobId, Lineage, PolicyId, PolicyKind, Provenance, Repository, RepositoryState, Revision,
    TagRecord, Timestamp, message::Quota,
};
use longshore_oci::{Digest, RepositoryName, Tag};

/// The promotion of one tag.
pub(crate) struct Promotion<'a> {
    pub policy: Option<PolicyId>,
    pub source: &'a Repository,
    pub tag: &'a TagRecord,
    pub target: &'a Repository,
    pub name: &'a Tag,
    pub author: &'a Author,
    pub lineage: &'a Lineage,
    /// Whether signatures, SBOMs and digest tags are included.
    pub referrers: bool,
    pub job: Option<JobId>,
}

/// The result of a promotion.
pub(crate) struct Carried {
    pub outcome: SetOutcome,
    /// The exceeded quota, if some referrers or digest tags were not linked because of it.
    pub left_behind: Option<QuotaExceeded>,
}

impl From<SetOutcome> for Carried {
    fn from(outcome: SetOutcome) -> Self {
        Self { outcome, left_behind: None }
    }
}

impl Promotion<'_> {
    /// Links the manifest and sets the tag. Nothing changes if the tag may not be set or the quota would be exceeded.
    pub(crate) async fn carry_out(
        &self,
        tx: &mut Tx,
        now: Timestamp,
    ) -> Result<Result<Carried, QuotaExceeded>, Error> {
        if let Some(obstacle) = self.obstacle(tx).await? {
            return Ok(Ok(obstacle.into()));
        }
        if let Some(exceeded) = self.link(tx, &self.tag.digest).await? {
            return Ok(Err(exceeded));
        }
        let mut carried = Carried::from(self.set(tx, self.tag, self.name, now).await?);
        if matches!(carried.outcome, SetOutcome::Set(_) | SetOutcome::Unchanged(_)) {
            if self.referrers {
                carried.left_behind = self.take_family(tx, now).await?;
            }
            self.record(tx, now).await?;
        }
        Ok(Ok(carried))
    }

    /// The reason why the tag may not be set. Checked before anything is linked, so that a refused promotion leaves
    /// nothing behind.
    async fn obstacle(&self, tx: &mut Tx) -> Result<Option<SetOutcome>, Error> {
        let Some(existing) = tags::find(tx, self.target.id, self.name).await? else { return Ok(None) };
        if existing.digest == self.tag.digest {
            return Ok(None);
        }
        if self.target.immutable_tags.covers(self.name) {
            return Ok(Some(SetOutcome::Immutable { existing }));
        }
        let later = self.source_revision(self.tag).is_some_and(|ours| existing.source_revision > ours);
        Ok(later.then_some(SetOutcome::Superseded { by: existing }))
    }

    /// The revision that decides which of several tags wins a shared name. `None` for a person, who may replace a newer
    /// tag with an older one (semantics 1).
    fn source_revision(&self, tag: &TagRecord) -> Option<Revision> {
        self.policy.map(|_| tag.revision)
    }

    async fn set(
        &self,
        tx: &mut Tx,
        from: &TagRecord,
        name: &Tag,
        now: Timestamp,
    ) -> Result<SetOutcome, Error> {
        let provenance = Provenance::Promotion {
            policy: self.policy,
            source: Some(self.source.id),
            source_repository: self.source.name.clone(),
            source_tag: from.name.clone(),
            source_revision: from.revision,
        };
        let change = SetTag {
            repository: self.target,
            name,
            digest: &from.digest,
            source_revision: self.source_revision(from),
            author: self.author,
            provenance: &provenance,
            lineage: self.lineage,
            now,
        };
        tags::set(tx, change).await
    }

    /// Links the referrers of the image and its parts, and sets its digest tags (semantics 6, 7), as far as the quota
    /// allows. Returns the exceeded quota if some were not linked.
    async fn take_family(&self, tx: &mut Tx, now: Timestamp) -> Result<Option<QuotaExceeded>, Error> {
        let family = family::of(tx, self.source.id, &self.tag.digest).await?;
        let mut left_behind = None;
        for referrer in &family.referrers {
            left_behind = self.link(tx, referrer).await?.or(left_behind);
        }
        for tag in &family.digest_tags {
            match self.link(tx, &tag.digest).await? {
                None => drop(self.set(tx, tag, &tag.name, now).await?),
                Some(exceeded) => left_behind = Some(exceeded),
            }
        }
        Ok(left_behind)
    }

    /// Links a manifest and everything it references, unless that would exceed the quota, which is then returned.
    async fn link(&self, tx: &mut Tx, digest: &Digest) -> Result<Option<QuotaExceeded>, Error> {
        let exceeded = no_room(tx, self.source, self.target, digest).await?;
        if exceeded.is_none() {
            manifests::link_tree(tx, self.source.id, self.target.id, digest).await?;
        }
        Ok(exceeded)
    }

    async fn record(&self, tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
        let delivery = Delivery {
            policy: self.policy,
            kind: PolicyKind::Promotion,
            source_repository: self.source.id,
            source_tag: Some(self.tag.name.clone()),
            source_revision: self.tag.revision,
            digest: self.tag.digest.clone(),
            target: DeliveryTarget::Local(self.target.id),
            target_tag: Some(self.name.clone()),
            at: now,
            job: self.job,
        };
        deliveries::record(tx, &delivery).await
    }
}

/// The quota of the target's namespace, if it would be exceeded by a manifest of the source and everything that it
/// references.
pub(crate) async fn no_room(
    tx: &mut Tx,
    source: &Repository,
    target: &Repository,
    digest: &Digest,
) -> Result<Option<QuotaExceeded>, Error> {
    let namespace = target.name.to_namespace();
    storage::hold_quota(tx, &namespace).await?;
    storage::obstacle_to_tree(tx, &namespace, source.id, digest).await
}

/// The message about a quota that a promotion into `target` would exceed.
pub(crate) fn quota(target: &Repository, exceeded: QuotaExceeded) -> Quota {
    let QuotaExceeded { namespace, quota, used, needed } = exceeded;
    Quota { repository: target.into(), namespace, quota, used, needed }
}

/// DTR's message for a tag that cannot be moved.
pub(crate) fn immutable(name: &Tag, repository: &RepositoryName) -> String {
    format!("tag={name} cannot be overwritten because {repository} is an immutable repository")
}

/// A single promotion by a person.
#[derive(Debug, Clone)]
pub struct PromoteNow {
    pub source: Repository,
    /// The tag in `source`.
    pub tag: Tag,
    pub target: Repository,
    /// The name in `target`.
    pub target_tag: Tag,
    /// The person who promotes; the caller has checked their permission.
    pub author: Author,
}

/// Why a promotion by a person failed.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// The source tag does not exist.
    #[error("{repository} has no tag {tag}")]
    NoSuchTag { repository: RepositoryName, tag: Tag },
    /// The target was deleted.
    #[error("{repository} has been deleted")]
    NoSuchTarget { repository: RepositoryName },
    /// The target's state forbids it (semantics 18).
    #[error(
        "{repository} takes no promotions: it is {}",
        if *.state == RepositoryState::ReadOnly { "read-only" } else { "written by its pull mirrors alone" }
    )]
    NotWritable { repository: RepositoryName, state: RepositoryState },
    /// The target's tags are immutable, and this one has another digest.
    #[error("{}", immutable(.tag, .repository))]
    Immutable { repository: RepositoryName, tag: Tag },
    /// The image, or its referrers, would exceed the quota of the target's namespace.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

impl Engine {
    /// Promotes one tag on behalf of a person, in one transaction. It replaces the target tag even if that is newer
    /// (semantics 1). Returns the resulting tag of the target.
    pub async fn promote_now(&self, order: PromoteNow) -> Result<TagRecord, PromoteError> {
        let now = self.now();
        self.db().write(Priority::Normal, work!(|tx| order.carry_out(tx, now).await)).await
    }
}

impl PromoteNow {
    async fn carry_out(&self, tx: &mut Tx, now: Timestamp) -> Result<TagRecord, PromoteError> {
        tags::lock_changes(tx).await?;
        // Read again, since it may have been deleted or locked since the caller read it.
        let gone = || PromoteError::NoSuchTarget { repository: self.target.name.clone() };
        let target = repositories::get(tx, self.target.id).await?.ok_or_else(gone)?;
        if target.state != RepositoryState::Normal {
            return Err(PromoteError::NotWritable { repository: target.name, state: target.state });
        }
        let tag = tags::find(tx, self.source.id, &self.tag).await?.ok_or_else(|| {
            PromoteError::NoSuchTag { repository: self.source.name.clone(), tag: self.tag.clone() }
        })?;
        let promotion = Promotion {
            policy: None,
            source: &self.source,
            tag: &tag,
            target: &target,
            name: &self.target_tag,
            author: &self.author,
            lineage: &tag.lineage,
            referrers: true,
            job: None,
        };
        let carried = promotion.carry_out(tx, now).await??;
        // Unlike a policy, a person can free some space and try again.
        if let Some(exceeded) = carried.left_behind {
            return Err(exceeded.into());
        }
        match carried.outcome {
            SetOutcome::Set(record) | SetOutcome::Unchanged(record) => Ok(record),
            // Should not happen, since a person's change is never superseded; return the existing tag.
            SetOutcome::Superseded { by } => Ok(by),
            SetOutcome::Unstored => {
                Err(PromoteError::NoSuchTag { repository: self.source.name.clone(), tag: self.tag.clone() })
            }
            SetOutcome::Immutable { .. } => Err(PromoteError::Immutable {
                repository: self.target.name.clone(),
                tag: self.target_tag.clone(),
            }),
        }
    }
}
