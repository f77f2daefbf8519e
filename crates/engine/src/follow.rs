//! Sends a referrer or digest tag that arrives after its image was promoted or mirrored to every place that the image
//! was copied to, without evaluating any policy (semantics 7).

use crate::{
    evaluate::JobContext,
    family,
    outgoing::Outgoing,
    promote::{no_room, quota},
};
use longshore_metadata::{
    Error, Tx,
    deliveries::{self, DeliveryTarget},
    jobs::{self, Claim},
    manifests, remotes, repositories,
    tags::{self, SetTag},
};
use longshore_model::{
    Author, Lineage, Provenance, Repository, RepositoryId, RepositoryState, Revision, TagRecord,
    job::{
        Cause, Status,
        orders::{self, Destination, Shipment},
    },
    message::{JobMessage, PromotionMessage, Quota},
};
use longshore_oci::{Digest, Tag};

/// A referrer or digest tag that arrived, and its subject.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub repository: RepositoryId,
    pub referrer: Digest,
    pub subject: Digest,
    pub tag: Option<Tag>,
}

/// Links the referrer locally, queues its pushes, and ends the job, all in the caller's transaction.
pub(crate) async fn follow(
    tx: &mut Tx,
    claim: &Claim,
    arrival: &Arrival,
    at: &JobContext,
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
    at: &JobContext,
) -> Result<JobMessage, Error> {
    let places = places(tx, source.id, &arrival.subject).await?;
    let (mut linked, mut queued, mut without) = (0, 0, None);
    // The tag may have moved since; its present manifest is sent.
    let tag = match &arrival.tag {
        Some(name) => tags::find(tx, source.id, name).await?,
        None => None,
    };
    let first = Referrer { source, digest: arrival.referrer.clone(), subject: arrival.subject.clone(), tag };
    let mut travellers = vec![first];
    if !places.is_empty() {
        // Referrers of this referrer may have arrived before it, when there was nothing to follow.
        travellers.extend(Referrer::hanging_on(tx, source, &arrival.referrer).await?);
    }
    for (number, referrer) in travellers.iter().enumerate() {
        for place in &places {
            match &place.target {
                DeliveryTarget::Local(target) => match referrer.link(tx, *target, place, at).await? {
                    Link::Made => linked += u64::from(number == 0),
                    Link::NotNeeded => {}
                    Link::NoRoom(quota) => without = Some(quota),
                },
                // The push of the first referrer includes those of its own.
                DeliveryTarget::Remote { .. } if number == 0 => {
                    referrer.ship(tx, place, at).await?;
                    queued += 1;
                }
                DeliveryTarget::Remote { .. } => {}
            }
        }
    }
    let without = without.map(|quota| Box::new(PromotionMessage::NoRoom { quota }.into()));
    Ok(JobMessage::Followed { linked, queued, without })
}

/// A place that an image was copied to, and the policy on whose behalf its referrers follow.
struct Place {
    target: DeliveryTarget,
    /// The policy that copies images there now; `None` if a person promoted or sent the image.
    policy: Option<Outgoing>,
}

impl Place {
    fn author(&self) -> Author {
        self.policy
            .as_ref()
            .map_or(Author::System, |policy| Author::Policy { id: policy.id(), policy: policy.kind() })
    }
}

/// The places to which the subject was copied, by itself, as a part of an index or as a referrer of an image. A place
/// counts if an active policy with referrers switched on targets it now, even if another policy copied the image
/// there (it may have been deleted and created anew), or if a person did (semantics 7).
async fn places(tx: &mut Tx, source: RepositoryId, subject: &Digest) -> Result<Vec<Place>, Error> {
    let mut went: Vec<(DeliveryTarget, bool)> = Vec::new();
    for root in family::roots(tx, source, subject).await? {
        for delivery in deliveries::of_digest(tx, source, &root).await? {
            let by_hand = delivery.policy.is_none();
            match went.iter_mut().find(|(target, _)| *target == delivery.target) {
                Some((_, asked)) => *asked |= by_hand,
                None => went.push((delivery.target, by_hand)),
            }
        }
    }
    let mut places = Vec::new();
    if went.is_empty() {
        return Ok(places);
    }
    let mut policies = Outgoing::active_of(tx, source).await?;
    policies.retain(|policy| policy.common().referrers);
    for (target, by_hand) in went {
        if let Some(policy) = policies.iter().find(|policy| policy.target() == target) {
            // With the remote that the policy uses now.
            places.push(Place { target: policy.target(), policy: Some(policy.clone()) });
        } else if by_hand && still_there(tx, &target).await? {
            places.push(Place { target, policy: None });
        }
    }
    Ok(places)
}

/// Whether the remote through which a person sent the image still exists.
async fn still_there(tx: &mut Tx, target: &DeliveryTarget) -> Result<bool, Error> {
    match target {
        DeliveryTarget::Local(_) => Ok(true),
        DeliveryTarget::Remote { remote, .. } => Ok(remotes::get(tx, *remote).await?.is_some()),
    }
}

/// The result of linking a referrer into a repository.
enum Link {
    Made,
    /// It is already linked, the image is not there, or the repository's state does not allow it.
    NotNeeded,
    NoRoom(Quota),
}

struct Referrer<'a> {
    source: &'a Repository,
    digest: Digest,
    subject: Digest,
    tag: Option<TagRecord>,
}

impl<'a> Referrer<'a> {
    /// The referrers and digest tags of a referrer, nearest first.
    async fn hanging_on(tx: &mut Tx, source: &'a Repository, referrer: &Digest) -> Result<Vec<Self>, Error> {
        let family = family::of(tx, source.id, referrer).await?;
        let mut hanging = Vec::new();
        for digest in family.referrers {
            let subject = manifests::subject(tx, &digest).await?.unwrap_or_else(|| referrer.clone());
            hanging.push(Self { source, digest, subject, tag: None });
        }
        for tag in family.digest_tags {
            let subject = tag.name.digest_tag_subject().unwrap_or_else(|| referrer.clone());
            hanging.push(Self { source, digest: tag.digest.clone(), subject, tag: Some(tag) });
        }
        Ok(hanging)
    }

    fn digest(&self) -> &Digest {
        self.tag.as_ref().map_or(&self.digest, |tag| &tag.digest)
    }

    /// Links the referrer into a repository that still has the image.
    async fn link(
        &self,
        tx: &mut Tx,
        target: RepositoryId,
        place: &Place,
        at: &JobContext,
    ) -> Result<Link, Error> {
        let Some(target) = repositories::get(tx, target).await? else { return Ok(Link::NotNeeded) };
        let has_image = manifests::get(tx, target.id, &self.subject).await?.is_some();
        let there = manifests::get(tx, target.id, self.digest()).await?.is_some();
        let tagged = match &self.tag {
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
        let author = place.author();
        match &self.tag {
            // Setting a digest tag enqueues the job that follows from the target onwards.
            Some(tag) => {
                let provenance = Provenance::Promotion {
                    policy: place.policy.as_ref().map(Outgoing::id),
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
                let (referrer, subject) = (self.digest.clone(), self.subject.clone());
                let order = orders::follow(target.id, referrer, subject, None, author, at.now);
                jobs::enqueue(tx, order, at.now).await?;
            }
        }
        Ok(Link::Made)
    }

    /// Enqueues the push to another registry.
    async fn ship(&self, tx: &mut Tx, place: &Place, at: &JobContext) -> Result<(), Error> {
        let DeliveryTarget::Remote { remote, host, repository } = &place.target else { return Ok(()) };
        let destination = Destination { remote: *remote, host: host.clone(), repository: repository.clone() };
        let tag = self.tag.as_ref();
        let shipment = Shipment {
            policy: place.policy.as_ref().map(Outgoing::id),
            rules_version: place.policy.as_ref().map(|policy| policy.common().rules_version),
            tag: tag.map(|tag| tag.name.clone()),
            digest: self.digest().clone(),
            revision: tag.map_or(Revision(0), |tag| tag.revision),
            target_tag: tag.map(|tag| tag.name.clone()),
            lineage: tag.map_or_else(Lineage::default, |tag| tag.lineage.clone()),
            overwrite: true,
            referrers: true,
        };
        let cause = match &place.policy {
            Some(policy) => Cause::Policy { id: policy.id(), policy: policy.kind() },
            None => Cause::TagChanged { author: Author::System },
        };
        let order = orders::push(self.source, shipment, &destination, cause, at.now);
        jobs::enqueue(tx, order, at.now).await.map(drop)
    }
}
