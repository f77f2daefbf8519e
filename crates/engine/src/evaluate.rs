//! Evaluates the policies of a repository after a tag has changed, a few policies in each transaction. Promotions
//! happen in that transaction (see `promote`); a push to another registry becomes a job.

use crate::{
    answer::{Answer, Answers},
    outgoing::{self, Outgoing, Reached},
    promote::{Promotion, quota},
    stopping::stop,
};
use longshore_metadata::{
    Error, Turn, Tx, facts,
    jobs::{self, Claim},
    policies::{self, UnreadablePolicy},
    promotions, repositories,
    tags::{self, SetOutcome},
    verdicts::{self, VerdictRow},
};
use longshore_model::{
    Author, JobId, Message, PolicyKind, Repository, RepositoryId, Revision, TagRecord, Timestamp,
    job::{
        Cause, Level, Status,
        orders::{self, Destination, Shipment},
    },
    message::{
        JobMessage, Objection, PolicyMessage, PromotionMessage, PushMessage, RepositoryRef, TagRef,
        TroubleMessage,
    },
    policy::RunCode,
    stored::{LastRun, PromotionPolicy, PushMirror},
    tag::AnswerResult,
};
use longshore_oci::Tag;
use longshore_policy::{Facts, Moment, Outcome, Verdict, decide};

/// The job that evaluates policies, and the time at which it does.
#[derive(Debug, Clone)]
pub(crate) struct JobContext {
    pub job: JobId,
    pub now: Timestamp,
    /// `now` in the server's zone, for templates.
    pub moment: Moment,
}

/// The revision of a tag that is evaluated.
#[derive(Debug, Clone)]
pub(crate) struct TagRevision {
    pub repository: RepositoryId,
    pub tag: Tag,
    pub revision: Revision,
}

/// The work that one transaction may still do: a maximum number of policies, and no longer than its turn.
#[derive(Debug, Clone)]
pub(crate) struct Portion {
    left: i64,
    turn: Turn,
}

impl Portion {
    /// Evaluating a policy that matches takes about a millisecond, and a push should not wait longer than a few of
    /// them.
    const POLICIES: i64 = 8;

    /// Starts counting for a transaction that begins now.
    pub(crate) fn begin(tx: &Tx) -> Self {
        Self { left: Self::POLICIES, turn: tx.begin_turn() }
    }

    /// Counts one evaluation, or work that takes about as long.
    pub(crate) fn take(&mut self) {
        self.left -= 1;
    }

    /// Whether the transaction should end now.
    pub(crate) fn is_over(&self) -> bool {
        self.left <= 0 || self.turn.is_over()
    }
}

/// An evaluation in progress. A repository may have a thousand policies, so each transaction evaluates only a few of
/// them. If the server dies in between, the stored verdicts keep a policy from acting twice (semantics 2).
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    pub claim: Claim,
    change: TagRevision,
    reached: Reached,
    tally: Answers,
    has_begun: bool,
}

impl Evaluation {
    pub(crate) fn of(claim: Claim, change: TagRevision) -> Self {
        Self { claim, change, reached: Reached::nothing(), tally: Answers::default(), has_begun: false }
    }

    /// Evaluates the next policies in their present state, and ends the job after the last one. Returns whether the job
    /// has ended. Each transaction checks that this worker still holds the job.
    pub(crate) async fn go_on(
        &mut self,
        tx: &mut Tx,
        portion: &mut Portion,
        at: &JobContext,
    ) -> Result<bool, Error> {
        let (job, epoch) = (self.claim.job.id, self.claim.epoch);
        if self.has_begun {
            jobs::fence(tx, job, epoch).await?;
            if jobs::cancel_requested(tx, job).await? {
                let canceled = JobMessage::Canceled.into();
                jobs::finish(tx, job, epoch, Status::Canceled, None, Some(&canceled), at.now).await?;
                return Ok(true);
            }
        }
        self.has_begun = true;
        let (status, outcome) = match current(tx, &self.change).await? {
            Ok((source, tag)) => {
                if !self.ask(tx, &source, &tag, portion, at).await? {
                    return Ok(false);
                }
                (Status::Done, JobMessage::Evaluated { counts: self.tally.counts() })
            }
            Err(gone) => (Status::Superseded, gone),
        };
        jobs::finish(tx, job, epoch, status, Some(&outcome.into()), None, at.now).await?;
        Ok(true)
    }

    /// Evaluates the next policies; returns whether all have been evaluated.
    async fn ask(
        &mut self,
        tx: &mut Tx,
        source: &Repository,
        tag: &TagRecord,
        portion: &mut Portion,
        at: &JobContext,
    ) -> Result<bool, Error> {
        // Read once for all policies of this transaction; the next one must see changes made since.
        let mut facts = None;
        loop {
            let asked = portion.left.max(1);
            let policies = Outgoing::behind(tx, source.id, &self.reached, asked).await?;
            let all = i64::try_from(policies.len()).is_ok_and(|found| found < asked);
            for (number, (reached, policy)) in policies.into_iter().enumerate() {
                if number > 0 && portion.is_over() {
                    return Ok(false);
                }
                self.reached = reached;
                match policy {
                    Ok(policy) if policy.is_active() => {
                        portion.take();
                        let facts = match &mut facts {
                            Some(facts) => &*facts,
                            unread @ None => unread.insert(facts::of_tag(tx, tag, at.now).await?),
                        };
                        self.tally.add(consider(tx, &policy, source, tag, facts, at).await?);
                    }
                    Ok(_) => {}
                    Err(unreadable) => {
                        let UnreadablePolicy { id, error } = unreadable;
                        let line = PolicyMessage::Unreadable { policy: self.reached.kind, id, error }.into();
                        jobs::log(tx, at.job, &[(Level::Error, line)], at.now).await?;
                        self.tally.add(Answer::Failed);
                    }
                }
            }
            if all {
                return Ok(true);
            }
            if portion.is_over() {
                return Ok(false);
            }
        }
    }
}

/// The tag at the revision to evaluate, or the reason why there is nothing to evaluate. If the tag has changed since,
/// the earlier revision is evaluated nevertheless, as long as it is stored (semantics 36). Which of several tags wins a
/// shared target name is decided at the target (semantics 1).
async fn current(
    tx: &mut Tx,
    change: &TagRevision,
) -> Result<Result<(Repository, TagRecord), JobMessage>, Error> {
    let TagRevision { repository, tag: name, revision } = change;
    let Some(source) = repositories::get(tx, *repository).await? else {
        return Ok(Err(JobMessage::RepositoryGone));
    };
    let Some(tag) = tags::find(tx, *repository, name).await? else {
        return Ok(Err(JobMessage::TagGone { tag: TagRef::new(&source, name.clone()) }));
    };
    if tag.revision == *revision {
        return Ok(Ok((source, tag)));
    }
    Ok(match tags::at_change(tx, *repository, name, *revision).await? {
        Some(past) => Ok((source, past)),
        // The earlier revision is no longer stored.
        None => {
            let revision = tag.revision;
            Err(JobMessage::TagChanged { tag: TagRef::new(&source, tag.name), revision })
        }
    })
}

/// Evaluates one policy for one tag, acts on the verdict, and records both. `facts` are those of the tag.
pub(crate) async fn consider(
    tx: &mut Tx,
    policy: &Outgoing,
    source: &Repository,
    tag: &TagRecord,
    facts: &Facts,
    at: &JobContext,
) -> Result<Answer, Error> {
    let common = policy.common();
    let earlier =
        verdicts::find(tx, common.id, common.rules_version, source.id, &tag.name, tag.revision).await?;
    if let Some(row) = &earlier
        && !acts_again(tx, row, policy).await?
    {
        return Ok(Answer::ActedBefore);
    }
    let Some(rules) = policy.rules().readable() else {
        let why = PolicyMessage::UnreadableRules { rules: policy.rules().describe() };
        stop(tx, policy.policy(), &why.into(), at.job, at.now).await?;
        return Ok(Answer::Stopped);
    };
    let mut verdict = decide(rules, facts);
    let mut stopped = false;
    let objection = match verdict.is_match() {
        true => policy.objection(tx, tag, at.now).await?,
        false => None,
    };
    if let Some(objection) = &objection {
        if let Some(why) = outgoing::stops(objection) {
            stop(tx, policy.policy(), &why, at.job, at.now).await?;
            stopped = true;
        }
        verdict.outcome = Outcome::NoMatch;
    }
    let followed = match verdict.outcome {
        Outcome::NoMatch if stopped => Followed::nothing(Answer::Stopped, why_not(&verdict, objection)),
        Outcome::NoMatch => Followed::nothing(Answer::NotMatched, why_not(&verdict, objection)),
        Outcome::Waiting(awaited) => {
            Followed::nothing(Answer::Waiting, PolicyMessage::Waiting { awaited }.into())
        }
        Outcome::Match => {
            let kept = earlier.and_then(|row| row.target_tag);
            act(tx, policy, source, tag, kept, at).await?
        }
    };
    record(tx, policy, source, tag, verdict, &followed, at).await?;
    Ok(followed.answer)
}

/// Whether a policy may act on a revision that it has already evaluated: only if it did not act before, if that failed,
/// or if the tag it promoted no longer exists (semantics 2).
async fn acts_again(tx: &mut Tx, row: &VerdictRow, policy: &Outgoing) -> Result<bool, Error> {
    match (row.result, policy, &row.target_tag) {
        (AnswerResult::Done, Outgoing::Promotion(promotion), Some(made)) => {
            Ok(tags::find(tx, promotion.target, made).await?.is_none())
        }
        (AnswerResult::Done | AnswerResult::Running | AnswerResult::Superseded, _, _) => Ok(false),
        (AnswerResult::Failed | AnswerResult::NotMatched, _, _) => Ok(true),
        (AnswerResult::Waiting | AnswerResult::NotEvaluated, _, _) => Ok(true),
    }
}

/// The consequence of a verdict.
struct Followed {
    answer: Answer,
    consequence: Message,
    target_tag: Option<Tag>,
    job: Option<JobId>,
}

impl Followed {
    fn nothing(answer: Answer, consequence: Message) -> Self {
        Self { answer, consequence, target_tag: None, job: None }
    }
}

/// Promotes the tag or queues its push. `kept` is the target tag of an earlier verdict, which is used again.
async fn act(
    tx: &mut Tx,
    policy: &Outgoing,
    source: &Repository,
    tag: &TagRecord,
    kept: Option<Tag>,
    at: &JobContext,
) -> Result<Followed, Error> {
    let name = match kept.map_or_else(|| policy.render(&tag.name, &at.moment), Ok) {
        Ok(name) => name,
        Err(error) => {
            let why = PromotionMessage::Template { error: error.to_string() };
            return Ok(Followed::nothing(Answer::Failed, why.into()));
        }
    };
    let (answer, consequence, job) = match policy {
        Outgoing::Promotion(promotion) => promote(tx, promotion, source, tag, &name, at).await?,
        Outgoing::Push(mirror) => send(tx, mirror, source, tag, &name, at).await?,
    };
    Ok(Followed { answer, consequence, target_tag: Some(name), job })
}

async fn promote(
    tx: &mut Tx,
    policy: &PromotionPolicy,
    source: &Repository,
    tag: &TagRecord,
    name: &Tag,
    at: &JobContext,
) -> Result<(Answer, Message, Option<JobId>), Error> {
    let Some(target) = repositories::get(tx, policy.target).await? else {
        let repository = RepositoryRef::new(policy.target, policy.target_name.clone());
        return Ok((Answer::Failed, TroubleMessage::Deleted { repository }.into(), None));
    };
    let id = policy.common.id;
    let promotion = Promotion {
        policy: Some(id),
        source,
        tag,
        target: &target,
        name,
        author: &Author::Policy { id, policy: PolicyKind::Promotion },
        lineage: &tag.lineage.with(id),
        referrers: policy.common.referrers,
        job: Some(at.job),
    };
    let made = TagRef::new(&target, name.clone());
    let carried = match promotion.carry_out(tx, at.now).await? {
        Ok(carried) => carried,
        Err(exceeded) => {
            let quota = quota(&target, exceeded);
            return Ok((Answer::Failed, PromotionMessage::NoRoom { quota }.into(), None));
        }
    };
    let without = carried.left_behind.map(|exceeded| quota(&target, exceeded));
    let (answer, became) = match carried.outcome {
        SetOutcome::Set(_) => {
            promotions::mark_promoted(tx, id, at.now).await?;
            (Answer::Promoted, PromotionMessage::Promoted { target: made, without })
        }
        SetOutcome::Unchanged(_) => (Answer::Promoted, PromotionMessage::Unchanged { target: made, without }),
        SetOutcome::Superseded { by } => {
            (Answer::Superseded, PromotionMessage::Superseded { target: made, by: by.revision })
        }
        SetOutcome::Immutable { .. } => (Answer::Failed, PromotionMessage::Immutable { target: made }),
        SetOutcome::Unstored => (Answer::Failed, PromotionMessage::Deleted { target: made }),
    };
    Ok((answer, became.into(), None))
}

async fn send(
    tx: &mut Tx,
    mirror: &PushMirror,
    source: &Repository,
    tag: &TagRecord,
    name: &Tag,
    at: &JobContext,
) -> Result<(Answer, Message, Option<JobId>), Error> {
    let cause = Cause::Policy { id: mirror.common.id, policy: PolicyKind::PushMirror };
    let shipment = Shipment::of(mirror, tag, name.clone());
    let order = orders::push(source, shipment, &Destination::of(mirror), cause, at.now);
    let job = jobs::enqueue(tx, order, at.now).await?;
    let queued = PushMessage::Queued { place: outgoing::place(mirror).tagged(name.clone()) };
    Ok((Answer::Queued, queued.into(), Some(job)))
}

async fn record(
    tx: &mut Tx,
    policy: &Outgoing,
    source: &Repository,
    tag: &TagRecord,
    verdict: Verdict,
    followed: &Followed,
    at: &JobContext,
) -> Result<(), Error> {
    let common = policy.common();
    let row = VerdictRow {
        policy: common.id,
        kind: policy.kind(),
        version: common.rules_version,
        repository: source.id,
        tag: tag.name.clone(),
        revision: tag.revision,
        digest: tag.digest.clone(),
        verdict,
        target_tag: followed.target_tag.clone(),
        result: followed.answer.result(),
        consequence: followed.consequence.clone(),
        job: Some(followed.job.unwrap_or(at.job)),
        at: at.now,
    };
    verdicts::record(tx, &row).await?;
    let (code, level) = match followed.answer {
        Answer::Promoted | Answer::Superseded => (Some(RunCode::Success), Level::Info),
        // The push job records its own result.
        Answer::Queued => (None, Level::Info),
        Answer::Failed => (Some(RunCode::Failed), Level::Error),
        Answer::ActedBefore | Answer::NotMatched | Answer::Waiting | Answer::Stopped => return Ok(()),
    };
    let what = Box::new(followed.consequence.clone());
    let line = Message::from(JobMessage::Tag { tag: TagRef::new(source, tag.name.clone()), what });
    jobs::log(tx, at.job, &[(level, line.clone())], at.now).await?;
    let Some(code) = code else { return Ok(()) };
    let run = LastRun { code, detail: line, at: Some(at.now), job: row.job };
    policies::record_run(tx, policy.kind(), common.id, &run).await
}

/// Why a policy did not act: the rules that did not hold, or the objection.
fn why_not(verdict: &Verdict, objection: Option<Objection>) -> Message {
    let failed = verdict.reasons.iter().filter(|reason| reason.holds != Some(true));
    let found = failed.map(|reason| reason.found.clone()).collect();
    PolicyMessage::NotMatched { found, objection }.into()
}
