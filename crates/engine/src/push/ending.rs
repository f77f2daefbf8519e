//! Ends a *push_mirror_tag* job: one transaction records the delivery, updates the verdict and the mirror's last run,
//! and ends the job.

use super::{Order, Sent, missing};
use crate::{Engine, trouble::Trouble};
use longshore_metadata::{
    Error, Priority, Tx, activity,
    deliveries::{self, Delivery},
    jobs::{self, Claim},
    policies, push_mirrors, verdicts, work,
};
use longshore_model::{
    Author, JobId, Message, PolicyKind, Repository, Timestamp,
    activity::ActivityKind,
    job::{
        Status,
        orders::{self, Shipment},
    },
    message::PushMessage,
    policy::RunCode,
    stored::{Job, LastRun},
    tag::AnswerResult,
};
use longshore_oci::{Digest, Tag};

/// Ends a job that succeeded.
pub(super) async fn done(
    engine: &Engine,
    claim: &Claim,
    order: &Order,
    source: Repository,
    sent: Sent,
    moved: bool,
) -> Result<(), Trouble> {
    let (order, job, epoch, now) = (order.clone(), claim.job.clone(), claim.epoch, engine.now());
    let ending = Ending { order, job, source, sent, moved, now };
    let write = engine.db().write(
        Priority::Normal,
        work!(|tx| {
            jobs::fence(tx, ending.job.id, epoch).await?;
            ending.record(tx).await?;
            let outcome = ending.became();
            jobs::finish(tx, ending.job.id, epoch, Status::Done, Some(&outcome), None, now).await
        }),
    );
    Ok(write.await?)
}

struct Ending {
    order: Order,
    job: Job,
    source: Repository,
    sent: Sent,
    moved: bool,
    now: Timestamp,
}

impl Ending {
    /// The outcome of the job.
    fn became(&self) -> Message {
        let (place, warnings) = (self.order.place(), self.sent.warnings);
        match self.moved {
            true => PushMessage::Sent { place, warnings },
            false => PushMessage::Unchanged { place, warnings },
        }
        .into()
    }

    async fn record(&self, tx: &mut Tx) -> Result<(), Error> {
        let shipment = &self.order.shipment;
        self.deliver(tx, shipment.tag.as_ref(), shipment.target_tag.as_ref(), &shipment.digest).await?;
        for referrer in &self.sent.referrers {
            self.deliver(tx, None, None, referrer).await?;
        }
        for tag in &self.sent.digest_tags {
            self.deliver(tx, Some(&tag.name), Some(&tag.name), &tag.digest).await?;
        }
        if shipment.referrers {
            self.follow_up(tx).await?;
        }
        settle(tx, &self.order, AnswerResult::Done, &self.became(), self.job.id).await?;
        if let Some(policy) = shipment.policy {
            let code = RunCode::Success;
            let run = LastRun { code, detail: self.became(), at: Some(self.now), job: Some(self.job.id) };
            policies::record_run(tx, PolicyKind::PushMirror, policy, &run).await?;
            push_mirrors::mark_mirrored(tx, policy, self.now).await?;
        }
        if self.moved { self.tell(tx).await } else { Ok(()) }
    }

    async fn deliver(
        &self,
        tx: &mut Tx,
        tag: Option<&Tag>,
        target_tag: Option<&Tag>,
        digest: &Digest,
    ) -> Result<(), Error> {
        let delivery = Delivery {
            policy: self.order.shipment.policy,
            kind: PolicyKind::PushMirror,
            source_repository: self.order.source,
            source_tag: tag.cloned(),
            source_revision: self.order.shipment.revision,
            digest: digest.clone(),
            target: self.order.target(),
            target_tag: target_tag.cloned(),
            at: self.now,
            job: Some(self.job.id),
        };
        deliveries::record(tx, &delivery).await
    }

    /// Enqueues a job for each referrer that arrived while the image was being sent, when there was no delivery to
    /// follow yet, or that could not be sent just now.
    async fn follow_up(&self, tx: &mut Tx) -> Result<(), Error> {
        let late = missing(tx, &self.order, self.source.id).await?;
        let shipment = &self.order.shipment;
        let digests = late.referrers.into_iter().map(|digest| (None, digest));
        let tags = late.digest_tags.into_iter().map(|tag| (Some(tag.name), tag.digest));
        let late = digests.chain(tags).filter(|(_, digest)| !self.sent.refused.contains(digest));
        for (tag, digest) in late {
            let referrer =
                Shipment { tag: tag.clone(), target_tag: tag, digest, referrers: false, ..shipment.clone() };
            let cause = self.job.cause.clone();
            let order = orders::push(&self.source, referrer, &self.order.destination, cause, self.now);
            jobs::enqueue(tx, order, self.now).await?;
        }
        Ok(())
    }

    async fn tell(&self, tx: &mut Tx) -> Result<(), Error> {
        let shipment = &self.order.shipment;
        let author = match shipment.policy {
            Some(id) => Author::Policy { id, policy: PolicyKind::PushMirror },
            None => asked_by(&self.job),
        };
        let entry = activity::NewActivity {
            repository: Some(self.source.id),
            tag: shipment.tag.clone(),
            digest: Some(shipment.digest.clone()),
            policy: shipment.policy,
            job: Some(self.job.id),
            detail: self.became(),
            ..activity::NewActivity::new(self.now, author, ActivityKind::TagSent)
        };
        activity::add(tx, &entry).await
    }
}

fn asked_by(job: &Job) -> Author {
    use longshore_model::job::Cause;
    match &job.cause {
        Cause::Asked { author } | Cause::TagChanged { author } => author.clone(),
        Cause::Policy { id, policy } => Author::Policy { id: *id, policy: *policy },
        Cause::Schedule => Author::System,
    }
}

/// Records a failed attempt at the verdict and the mirror, in the transaction that ends or reschedules the job. The
/// mirror's last run does not change if the job was stopped or sent no request to the other registry.
pub(crate) async fn failed(
    tx: &mut Tx,
    order: &Order,
    job: JobId,
    result: AnswerResult,
    why: Message,
    asked: bool,
    now: Timestamp,
) -> Result<(), Error> {
    settle(tx, order, result, &why, job).await?;
    let Some(policy) = order.shipment.policy.filter(|_| asked && order.is_asked_for()) else { return Ok(()) };
    let code = match result {
        AnswerResult::Superseded => RunCode::Success,
        _ => RunCode::Failed,
    };
    let detail = PushMessage::Failed { place: order.place(), why: Box::new(why) }.into();
    let run = LastRun { code, detail, at: Some(now), job: Some(job) };
    policies::record_run(tx, PolicyKind::PushMirror, policy, &run).await
}

/// Updates the verdict that led to this job. The policy may have a newer version by now, so this is the latest verdict
/// about the revision, which is the one that is shown.
async fn settle(
    tx: &mut Tx,
    order: &Order,
    result: AnswerResult,
    consequence: &Message,
    job: JobId,
) -> Result<(), Error> {
    let (Some(policy), Some(tag)) = (order.shipment.policy, &order.shipment.tag) else { return Ok(()) };
    let revision = order.shipment.revision;
    let rows = verdicts::for_tag(tx, order.source, tag, revision).await?;
    let row = rows.into_iter().filter(|row| row.policy == policy).max_by_key(|row| row.version);
    let Some(row) = row else { return Ok(()) };
    verdicts::update_result(
        tx,
        policy,
        row.version,
        order.source,
        tag,
        revision,
        result,
        consequence,
        Some(job),
    )
    .await
}
