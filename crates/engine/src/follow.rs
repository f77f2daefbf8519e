//! A referrer or digest tag arrived after its image had been promoted or mirrored: it is sent to every place
//! the image went to, and fires no tag policy (semantics 7).

use crate::{
    evaluate::Occasion,
    orders::{self, Destination, Shipment},
    outgoing::Outgoing,
    promote::{no_room, quota},
};
use longshore_metadata::{
    Error, Tx,
    deliveries::{self, Delivery, DeliveryTarget},
    jobs::{self, Claim},
    manifests, repositories,
    tags::{self, SetTag},
};
use longshore_model::{
    Author, Lineage, PolicyKind, Provenance, Repository, RepositoryId, RepositoryState, Revision, TagRecord,
    job::{Cause, Status},
    message::{JobMessage, PromotionMessage, Quota},
};
use longshore_oci::{Digest, Tag};
use std::collections::HashSet;

/// What arrived, and what it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub repository: RepositoryId,
    pub referrer: Digest,
    pub subject: Digest,
    pub tag: Option<Tag>,
}

/// Sends it on and ends the job, all in the caller's transaction.
pub(crate) async fn follow(
    tx: &mut Tx,
    claim: &Claim,
    arrival: &Arrival,
    at: &Occasion,
) -> Result<(), Error> {
    jobs::fence(tx, claim.job.id, claim.epoch).await?;
    let outcome = match repositories::get(tx, arrival.repository).await? {
        Some(source) => send(tx, &source, arrival, at).await?,
        None => JobMessage::RepositoryGone,
    };
    jobs::finish(tx, claim.job.id, claim.epoch, Status::Done, Some(&outcome.into()), None, at.now).await
}

async fn send(
    tx: &mut Tx,
    source: &Repository,
    arrival: &Arrival,
    at: &Occasion,
) -> Result<JobMessage, Error> {
    // The tag may have moved since; its present manifest is what travels.
    let tag = match &arrival.tag {
        Some(name) => tags::find(tx, source.id, name).await?,
        None => None,
    };
    let referrer = Referrer { source, arrival, tag: tag.as_ref() };
    let (mut linked, mut queued, mut without) = (0, 0, None);
    let mut seen = HashSet::new();
    for delivery in places(tx, source.id, &arrival.subject).await? {
        if !seen.insert(delivery.target.clone()) || !wanted(tx, &delivery).await? {
            continue;
        }
        match &delivery.target {
            DeliveryTarget::Local(target) => match referrer.link(tx, *target, &delivery, at).await? {
                Link::Made => linked += 1,
                Link::NotNeeded => {}
                Link::NoRoom(quota) => without = Some(quota),
            },
            DeliveryTarget::Remote { .. } => {
                referrer.ship(tx, &delivery, at).await?;
                queued += 1;
            }
        }
    }
    let without = without.map(|quota| Box::new(PromotionMessage::NoRoom { quota }.into()));
    Ok(JobMessage::Followed { linked, queued, without })
}

/// Where the subject went, itself or as a part of an index.
async fn places(tx: &mut Tx, source: RepositoryId, subject: &Digest) -> Result<Vec<Delivery>, Error> {
    let mut places = deliveries::of_digest(tx, source, subject).await?;
    for parent in manifests::parents(tx, source, subject).await? {
        places.extend(deliveries::of_digest(tx, source, &parent).await?);
    }
    Ok(places)
}

/// Whether the policy that sent the image still acts and takes referrers along.
async fn wanted(tx: &mut Tx, delivery: &Delivery) -> Result<bool, Error> {
    let Some(policy) = delivery.policy else { return Ok(true) };
    let policy = Outgoing::get(tx, delivery.kind, policy).await?;
    Ok(policy.is_some_and(|policy| policy.is_active() && policy.common().referrers))
}

/// What became of a link into a repository.
enum Link {
    Made,
    /// It is there already, or the image is not, or the repository takes none.
    NotNeeded,
    NoRoom(Quota),
}

struct Referrer<'a> {
    source: &'a Repository,
    arrival: &'a Arrival,
    tag: Option<&'a TagRecord>,
}

impl Referrer<'_> {
    fn digest(&self) -> &Digest {
        self.tag.map_or(&self.arrival.referrer, |tag| &tag.digest)
    }

    fn author(delivery: &Delivery) -> Author {
        delivery.policy.map_or(Author::System, |id| Author::Policy { id, policy: delivery.kind })
    }

    /// Links it into a repository where the image still is.
    async fn link(
        &self,
        tx: &mut Tx,
        target: RepositoryId,
        delivery: &Delivery,
        at: &Occasion,
    ) -> Result<Link, Error> {
        let Some(target) = repositories::get(tx, target).await? else { return Ok(Link::NotNeeded) };
        let has_image = manifests::get(tx, target.id, &self.arrival.subject).await?.is_some();
        let there = manifests::get(tx, target.id, self.digest()).await?.is_some();
        let tagged = match self.tag {
            Some(tag) => tags::find(tx, target.id, &tag.name).await?.is_some_and(|t| t.digest == tag.digest),
            None => true,
        };
        if !has_image || there && tagged || target.state != RepositoryState::Normal {
            return Ok(Link::NotNeeded);
        }
        if let Some(exceeded) = no_room(tx, self.source, &target, self.digest()).await? {
            return Ok(Link::NoRoom(quota(&target, exceeded)));
        }
        manifests::link_tree(tx, self.source.id, target.id, self.digest()).await?;
        let author = Self::author(delivery);
        match self.tag {
            // Setting a digest tag tells the target's own followers.
            Some(tag) => {
                let provenance = Provenance::Promotion {
                    policy: delivery.policy,
                    source: Some(self.source.id),
                    source_repository: self.source.name.clone(),
                    source_tag: tag.name.clone(),
                    source_revision: tag.revision,
                };
                let change = SetTag {
                    repository: &target,
                    name: &tag.name,
                    digest: &tag.digest,
                    source_revision: Some(tag.revision),
                    author: &author,
                    provenance: &provenance,
                    lineage: &tag.lineage,
                    now: at.now,
                };
                tags::set(tx, change).await?;
            }
            None => {
                let (referrer, subject) = (self.arrival.referrer.clone(), self.arrival.subject.clone());
                let order = orders::follow(target.id, referrer, subject, None, author, at.now);
                jobs::enqueue(tx, order, at.now).await?;
            }
        }
        Ok(Link::Made)
    }

    /// Enqueues the copy to another registry.
    async fn ship(&self, tx: &mut Tx, delivery: &Delivery, at: &Occasion) -> Result<(), Error> {
        let DeliveryTarget::Remote { remote, host, repository } = &delivery.target else { return Ok(()) };
        let destination = Destination { remote: *remote, host: host.clone(), repository: repository.clone() };
        let shipment = Shipment {
            policy: delivery.policy,
            tag: self.tag.map(|tag| tag.name.clone()),
            digest: self.digest().clone(),
            revision: self.tag.map_or(Revision(0), |tag| tag.revision),
            target_tag: self.tag.map(|tag| tag.name.clone()),
            lineage: self.tag.map_or_else(Lineage::default, |tag| tag.lineage.clone()),
            overwrite: true,
            referrers: false,
        };
        let cause = delivery.policy.map_or(Cause::TagChanged { author: Author::System }, |id| {
            Cause::Policy { id, policy: PolicyKind::PushMirror }
        });
        let order = orders::push(self.source, shipment, &destination, cause, at.now);
        jobs::enqueue(tx, order, at.now).await.map(drop)
    }
}
