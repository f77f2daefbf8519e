//! The job *push_mirror_tag*: copies one tag or one referrer to another registry, unless a later change was faster or
//! the tag there was set by someone else. The copying itself is in `transfer`.

mod ending;

pub(crate) use ending::failed;

use crate::{
    Engine, family,
    journal::Journal,
    memory::Lasting,
    outgoing::{runs_wild, stops},
    stopping::{StoppedPolicy, stop},
    transfer::push::{Push, Target},
    trouble::{Fate, Trouble},
};
use jiff::SignedDuration;
use longshore_metadata::{
    Conn, Error, Priority,
    deliveries::{self, DeliveryTarget},
    jobs::{self, Claim},
    policies, push_mirrors, repositories, work,
};
use longshore_model::{
    PolicyKind, Repository, RepositoryId, TagRecord,
    job::{
        Parameters,
        orders::{Destination, Shipment},
    },
    message::{JobMessage, PlaceRef, PolicyMessage, PushMessage, RemoteRef, TroubleMessage},
};
use longshore_oci::{Digest, Reference, RemoteName};
use std::{collections::HashSet, ops::ControlFlow};

/// The parameters of the job.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    source: RepositoryId,
    destination: Destination,
    shipment: Shipment,
    /// Whether non-distributable layers are included. Read from the mirror when the copy begins; always true if a
    /// person starts the copy.
    foreign_layers: bool,
}

impl Order {
    /// Reads the order from a job's parameters.
    pub(crate) fn of(parameters: &Parameters) -> Option<Self> {
        let Parameters::PushTag {
            policy,
            rules_version,
            repository,
            repository_name: _,
            tag,
            digest,
            revision,
            remote,
            remote_host,
            remote_repository,
            target_tag,
            lineage,
            overwrite,
            referrers,
        } = parameters.clone()
        else {
            return None;
        };
        let destination = Destination { remote, host: remote_host, repository: remote_repository };
        let shipment = Shipment {
            policy,
            rules_version,
            tag,
            digest,
            revision,
            target_tag,
            lineage,
            overwrite,
            referrers,
        };
        let foreign_layers = policy.is_none();
        Some(Self { source: repository, destination, shipment, foreign_layers })
    }

    /// The order with the mirror's present remote, so that new credentials for the same place are used at once
    /// (semantics 35). Fails if the mirror no longer wants the copy (semantics 34).
    async fn by_present_settings(&self, conn: &mut Conn) -> Result<Self, Trouble> {
        check_withdrawn(conn, self).await?;
        let mut order = self.clone();
        if let Some(policy) = self.shipment.policy
            && let Some(mirror) = push_mirrors::get(conn, policy).await?
        {
            order.destination.remote = mirror.remote;
            order.foreign_layers = mirror.foreign_layers;
        }
        Ok(order)
    }

    fn target(&self) -> DeliveryTarget {
        DeliveryTarget::Remote {
            remote: self.destination.remote,
            host: self.destination.host.clone(),
            repository: self.destination.repository.clone(),
        }
    }

    /// The target of the copy.
    fn place(&self) -> PlaceRef {
        let Destination { remote, host, repository } = &self.destination;
        let place = PlaceRef::new(RemoteRef::new(*remote, host.clone()), repository.clone());
        match &self.shipment.target_tag {
            Some(tag) => place.tagged(tag.clone()),
            None => place.at(self.shipment.digest.clone()),
        }
    }

    /// Whether the job pushes a tag that the mirror's rules matched, rather than a referrer or digest tag.
    fn is_asked_for(&self) -> bool {
        self.shipment.tag.as_ref().is_some_and(|tag| !tag.is_digest_tag())
    }

    fn reference(&self) -> Reference {
        match &self.shipment.target_tag {
            Some(tag) => Reference::Tag(tag.clone()),
            None => Reference::Digest(self.shipment.digest.clone()),
        }
    }
}

/// How long the next attempts of a job rely on uploaded content, even if no manifest references it yet. Registries keep
/// unreferenced content for longer before they collect it.
const SENT: Lasting =
    Lasting { within_round: SignedDuration::from_hours(1), after_round: SignedDuration::from_hours(1) };

/// Runs the job, including the transaction that ends it.
pub(crate) async fn run(
    engine: &Engine,
    claim: &Claim,
    order: &Order,
    journal: &Journal,
) -> Result<(), Trouble> {
    let mut conn = engine.db().read().await?;
    let source = repositories::get(&mut conn, order.source)
        .await?
        .ok_or_else(|| Trouble::Final(JobMessage::RepositoryGone.into()))?;
    let order = &order.by_present_settings(&mut conn).await?;
    check_superseded(&mut conn, order).await?;
    let relatives = relatives(&mut conn, order).await?;
    drop(conn);
    check_brake(engine, claim, order).await?;
    let registry = engine.registry(order.destination.remote).await?;
    journal.asks(order.destination.remote);
    let notes = engine.notes(claim, order.destination.remote, &order.destination.repository, SENT).await?;
    let target = Target {
        remote: order.destination.remote,
        repository: order.destination.repository.clone(),
        relatives,
        foreign_layers: order.foreign_layers,
        notes,
    };
    let run = Run {
        engine,
        order,
        source: &source,
        push: Push::new(
            engine.content().clone(),
            registry,
            source.clone(),
            target,
            &order.shipment.lineage,
            journal.clone(),
            engine.shared(),
            engine.settings().waits,
        ),
        journal,
    };
    journal.plan_tags(1);
    let (sent, moved) = run.carry_out().await?;
    engine.note_contact(journal, None).await;
    journal.tag_done();
    journal.flush(engine.db(), engine.now()).await?;
    ending::done(engine, claim, order, source, sent, moved).await
}

/// Whether the mirror still wants this copy (semantics 34).
async fn check_withdrawn(conn: &mut Conn, order: &Order) -> Result<(), Trouble> {
    let Some(policy) = order.shipment.policy else { return Ok(()) };
    let version = order.shipment.rules_version;
    match policies::withdrawn(conn, PolicyKind::PushMirror, policy, version).await? {
        Some(why) => Err(Trouble::Withdrawn(why)),
        None => Ok(()),
    }
}

/// Fails if a later change has already set the target tag (semantics 1). A person may replace a newer tag with an older
/// one.
async fn check_superseded(conn: &mut Conn, order: &Order) -> Result<(), Trouble> {
    let (Some(_), Some(name)) = (order.shipment.policy, &order.shipment.target_tag) else { return Ok(()) };
    if name.is_digest_tag() {
        return Ok(());
    }
    let latest = deliveries::latest_at(conn, &order.target(), name).await?;
    match latest.filter(|latest| latest.source_revision > order.shipment.revision) {
        Some(latest) => {
            let (place, ours, later) = (order.place(), order.shipment.revision, latest.source_revision);
            let superseded = PushMessage::Superseded { place, ours, later, job: latest.job };
            Err(Trouble::Superseded(superseded.into()))
        }
        None => Ok(()),
    }
}

/// Checks the brake (semantics 5) again before the push, since many jobs may have been queued at the same time.
async fn check_brake(engine: &Engine, claim: &Claim, order: &Order) -> Result<(), Trouble> {
    let (Some(policy), Some(_)) = (order.shipment.policy, &order.shipment.target_tag) else { return Ok(()) };
    let mut conn = engine.db().read().await?;
    let wild = runs_wild(&mut conn, policy, &order.shipment.digest, engine.now()).await?;
    let Some(why) = wild.as_ref().and_then(stops) else { return Ok(()) };
    drop(conn);
    let policy = StoppedPolicy { id: policy, kind: PolicyKind::PushMirror, repository: order.source };
    let stopped = PolicyMessage::Stopped { policy: PolicyKind::PushMirror, why: Box::new(why.clone()) };
    let (job, epoch, now) = (claim.job.id, claim.epoch, engine.now());
    let write = engine.db().write(
        Priority::Normal,
        work!(|tx| {
            jobs::lock_endings(tx).await?;
            jobs::fence(tx, job, epoch).await?;
            stop(tx, policy, &why, job, now).await
        }),
    );
    write.await?;
    Err(Trouble::Final(stopped.into()))
}

/// Other repositories of the same remote to which the image was sent, from where its blobs can be mounted.
async fn relatives(conn: &mut Conn, order: &Order) -> Result<Vec<RemoteName>, Error> {
    let sent = deliveries::of_digest(conn, order.source, &order.shipment.digest).await?;
    Ok(sent
        .into_iter()
        .filter_map(|delivery| match delivery.target {
            DeliveryTarget::Remote { remote, repository, .. }
                if remote == order.destination.remote && repository != order.destination.repository =>
            {
                Some(repository)
            }
            _ => None,
        })
        .collect())
}

/// The referrers and digest tags that were sent or refused.
#[derive(Debug, Clone, Default)]
struct Sent {
    referrers: Vec<Digest>,
    digest_tags: Vec<TagRecord>,
    /// Referrers that the registry refuses permanently, so that a job of their own would not help.
    refused: HashSet<Digest>,
    warnings: u64,
}

struct Run<'a> {
    engine: &'a Engine,
    order: &'a Order,
    source: &'a Repository,
    push: Push,
    journal: &'a Journal,
}

impl Run<'_> {
    /// Sends whatever the other registry lacks. Returns the referrers that were sent, and whether the tag itself moved.
    async fn carry_out(&self) -> Result<(Sent, bool), Trouble> {
        let (shipment, reference) = (&self.order.shipment, self.order.reference());
        if let Some(name) = shipment.target_tag.as_ref().filter(|name| name.is_digest_tag()) {
            self.push.digest_tag(name, &shipment.digest).await?;
            return Ok((Sent::default(), true));
        }
        let there = self.push.head(&reference).await?;
        let unchanged = there.as_ref() == Some(&shipment.digest);
        if let Some(there) = there.filter(|_| !unchanged) {
            self.check_overwrite(&there).await?;
        }
        if unchanged {
            self.push.complete(&shipment.digest).await?;
            self.journal.info(PushMessage::Unchanged { place: self.order.place(), warnings: 0 });
            return Ok((self.send_family().await?, false));
        }
        let ready = self.push.prepare(&shipment.digest).await?;
        let mut conn = self.engine.db().read().await?;
        check_withdrawn(&mut conn, self.order).await?;
        check_superseded(&mut conn, self.order).await?;
        drop(conn);
        self.push.put(&ready, &reference).await?;
        let digest = shipment.digest.clone();
        self.journal.info(PushMessage::Set { place: self.order.place(), digest });
        // Last, since a refused signature must not keep the image from being pushed (semantics 37).
        Ok((self.send_family().await?, true))
    }

    /// Fails if the target tag exists and may not be overwritten (semantics 4).
    async fn check_overwrite(&self, there: &Digest) -> Result<(), Trouble> {
        let Some(name) = &self.order.shipment.target_tag else { return Ok(()) };
        let mut conn = self.engine.db().read().await?;
        let ours = deliveries::latest_at(&mut conn, &self.order.target(), name).await?;
        if ours.is_some_and(|ours| ours.digest == *there) {
            return Ok(());
        }
        let (place, digest) = (self.order.place(), there.clone());
        if !self.order.shipment.overwrite {
            return Err(Trouble::Final(PushMessage::Foreign { place, digest }.into()));
        }
        self.journal.warn(PushMessage::Overwritten { place, digest });
        Ok(())
    }

    /// Sends referrers and digest tags that were not sent before (semantics 7). Failures are warnings.
    async fn send_family(&self) -> Result<Sent, Trouble> {
        let mut sent = Sent::default();
        if !self.order.shipment.referrers {
            return Ok(sent);
        }
        let mut conn = self.engine.db().read().await?;
        let missing = missing(&mut conn, self.order, self.source.id).await?;
        drop(conn);
        for referrer in missing.referrers {
            let outcome = self.push.tree(&referrer).await;
            match self.forgive(&mut sent, referrer.short(), &referrer, outcome)? {
                ControlFlow::Continue(true) => sent.referrers.push(referrer),
                ControlFlow::Continue(false) => {}
                ControlFlow::Break(()) => return Ok(sent),
            }
        }
        for tag in missing.digest_tags {
            let outcome = self.push.digest_tag(&tag.name, &tag.digest).await;
            match self.forgive(&mut sent, tag.name.as_str(), &tag.digest, outcome)? {
                ControlFlow::Continue(true) => sent.digest_tags.push(tag),
                ControlFlow::Continue(false) => {}
                ControlFlow::Break(()) => return Ok(sent),
            }
        }
        let count = sent.referrers.len() + sent.digest_tags.len();
        if count > 0 {
            self.journal.info(PushMessage::Along { count: count as u64 });
        }
        Ok(sent)
    }

    /// Records the result of one referrer. Returns whether it was sent; fails if no more of them can be sent now.
    fn forgive(
        &self,
        sent: &mut Sent,
        name: &str,
        digest: &Digest,
        outcome: Result<(), Trouble>,
    ) -> Result<ControlFlow<(), bool>, Trouble> {
        let Err(trouble) = outcome else { return Ok(ControlFlow::Continue(true)) };
        let fate = trouble.fate();
        if fate == Fate::Lost {
            return Err(trouble);
        }
        sent.warnings += 1;
        let why = Box::new(self.journal.told(&trouble));
        self.journal.warn(TroubleMessage::Optional { what: name.to_string(), why });
        if trouble.is_of_the_whole(self.push.registry()) {
            return Ok(ControlFlow::Break(()));
        }
        if fate == Fate::Errored {
            sent.refused.insert(digest.clone());
        }
        Ok(ControlFlow::Continue(false))
    }
}

/// The referrers and digest tags of the image that have not been sent to the target yet.
async fn missing(conn: &mut Conn, order: &Order, source: RepositoryId) -> Result<family::Family, Error> {
    let mut family = family::of(conn, source, &order.shipment.digest).await?;
    let target = order.target();
    let mut referrers = Vec::new();
    for referrer in family.referrers {
        if !was_sent(conn, source, &referrer, &target).await? {
            referrers.push(referrer);
        }
    }
    let mut digest_tags = Vec::new();
    for tag in family.digest_tags {
        if !was_sent(conn, source, &tag.digest, &target).await? {
            digest_tags.push(tag);
        }
    }
    family.referrers = referrers;
    family.digest_tags = digest_tags;
    Ok(family)
}

async fn was_sent(
    conn: &mut Conn,
    source: RepositoryId,
    digest: &Digest,
    target: &DeliveryTarget,
) -> Result<bool, Error> {
    Ok(deliveries::of_digest(conn, source, digest).await?.iter().any(|delivery| delivery.target == *target))
}
