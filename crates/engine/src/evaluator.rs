//! The worker of its own that evaluations have. It wakes at once when a tag has changed; one transaction takes
//! what waits, and does what follows from each change. What is too much for one transaction goes on in the next,
//! behind those who have waited meanwhile.

use crate::{
    Engine,
    evaluate::{Evaluation, JobContext, Portion, TagRevision},
    follow::{Arrival, follow},
    journal::Journal,
    listening::heard,
    running::Stop,
    trouble::Trouble,
};
use longshore_metadata::{
    Error, Priority, Tx,
    jobs::{self, Claim},
    tags, work,
};
use longshore_model::job::{JobAction, Parameters};
use std::collections::VecDeque;
use tokio::{select, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What it works off.
const ACTIONS: &[JobAction] = &[JobAction::Evaluate];
/// Evaluations of one transaction: enough to share its commit, few enough not to hold up pushes.
const AT_ONCE: i64 = 8;

/// What one transaction did with what waited.
#[derive(Default)]
struct Round {
    /// How many it took.
    taken: usize,
    /// Those that it did not get to, or not to the end of; the first is to go on.
    under_way: VecDeque<Work>,
    /// Those that take their time, to be run as jobs of their own.
    long: Vec<Claim>,
    /// Those that failed and were undone.
    failed: Vec<(Claim, Error)>,
}

/// What is done about one change.
#[derive(Debug, Clone)]
enum Work {
    /// All policies are asked.
    Evaluate(Box<Evaluation>),
    /// What hangs on an image is sent after it.
    Follow(Box<Claim>, Arrival),
}

impl Work {
    /// None: it takes its time, and is run as a job of its own by `sorts`.
    fn of(claim: &Claim) -> Option<Self> {
        match &claim.job.parameters {
            Parameters::FollowSubject { repository, referrer, subject, tag } => {
                let arrival = Arrival {
                    repository: *repository,
                    referrer: referrer.clone(),
                    subject: subject.clone(),
                    tag: tag.clone(),
                };
                Some(Self::Follow(Box::new(claim.clone()), arrival))
            }
            Parameters::EvaluateTag { repository, tag, revision, .. } => {
                let change = TagRevision { repository: *repository, tag: tag.clone(), revision: *revision };
                Some(Self::Evaluate(Box::new(Evaluation::of(claim.clone(), change))))
            }
            _ => None,
        }
    }

    fn claim(&self) -> &Claim {
        match self {
            Self::Evaluate(evaluation) => &evaluation.claim,
            Self::Follow(claim, _) => claim,
        }
    }

    /// Answers what is left of it, and of the portion.
    async fn go_on(
        mut self,
        tx: &mut Tx,
        mut portion: Portion,
        at: &JobContext,
    ) -> Result<(Option<Self>, Portion), Error> {
        let ended = match &mut self {
            Self::Evaluate(evaluation) => evaluation.go_on(tx, &mut portion, at).await?,
            Self::Follow(claim, arrival) => {
                portion.take();
                follow(tx, claim, arrival, at).await?;
                true
            }
        };
        Ok(((!ended).then_some(self), portion))
    }
}

impl Engine {
    /// Works off what has changed, until `shutdown`. What it has begun it brings to an end.
    pub(crate) async fn evaluate_changes(&self, shutdown: CancellationToken) {
        let mut changes = self.db().changes();
        let (mut long, mut under_way) = (JoinSet::new(), VecDeque::new());
        while !shutdown.is_cancelled() || !under_way.is_empty() {
            heard(&mut changes);
            let round = match self.evaluate_what_waits(under_way.clone()).await {
                Ok(round) => round,
                Err(error) => {
                    tracing::error!(%error, "nothing could be evaluated");
                    if shutdown.is_cancelled() {
                        break;
                    }
                    Round { under_way, ..Round::default() }
                }
            };
            let had_much = i64::try_from(round.taken).is_ok_and(|taken| taken >= AT_ONCE);
            under_way = round.under_way;
            for claim in round.long {
                let (engine, slot) = (self.clone(), self.running().enter(claim.job.id, claim.epoch));
                long.spawn(async move { engine.run_claim(claim, slot).await });
            }
            for (claim, error) in round.failed {
                self.end_failed(&claim, error).await;
            }
            if under_way.is_empty() && !had_much {
                select! {
                    // What was announced since the claim wakes it at once.
                    () = self.idle(ACTIONS, &mut changes) => {}
                    // Another one may have waited for this one.
                    Some(_) = long.join_next() => {}
                    () = shutdown.cancelled() => {}
                }
            }
            while long.try_join_next().is_some() {}
        }
        self.running().stop_all(Stop::Parked);
        while long.join_next().await.is_some() {}
    }

    /// One transaction. The first about a change goes ahead of whatever waits, so that new changes are taken in no
    /// faster than they are worked off; what goes on waits in line like any other, so that all others get on.
    async fn evaluate_what_waits(&self, under_way: VecDeque<Work>) -> Result<Round, Error> {
        let engine = self.clone();
        let priority = if under_way.is_empty() { Priority::Evaluation } else { Priority::Normal };
        self.db().write(priority, work!(|tx| engine.evaluate_in(tx, under_way).await)).await
    }

    async fn evaluate_in(&self, tx: &mut Tx, under_way: VecDeque<Work>) -> Result<Round, Error> {
        // It may stop policies, whose jobs end elsewhere.
        jobs::lock_endings(tx).await?;
        tags::lock_changes(tx).await?;
        let mut round = Round { under_way, ..Round::default() };
        if round.under_way.is_empty() {
            for claim in self.claim(tx, ACTIONS, AT_ONCE).await? {
                round.taken += 1;
                match Work::of(&claim) {
                    Some(work) => round.under_way.push_back(work),
                    None => round.long.push(claim),
                }
            }
        }
        let mut portion = Portion::begin(tx);
        while !portion.is_over()
            && let Some(work) = round.under_way.pop_front()
        {
            let part = portion.clone();
            let (claim, at) = (work.claim().clone(), self.context(work.claim().job.id));
            match tx.attempt(work!(|tx| work.go_on(tx, part, &at).await)).await? {
                Ok((left, rest)) => {
                    portion = rest;
                    left.into_iter().for_each(|left| round.under_way.push_front(left));
                }
                Err(error) => {
                    portion.take();
                    round.failed.push((claim, error));
                }
            }
        }
        Ok(round)
    }

    async fn end_failed(&self, claim: &Claim, error: Error) {
        let journal = Journal::of(claim);
        match self.end_in_trouble(claim, &journal, &Trouble::Metadata(error)).await {
            Ok(_) | Err(Error::LeaseLost { .. }) => {}
            Err(error) => {
                tracing::error!(job = %claim.job.id, %error, "the end of a job could not be written")
            }
        }
    }
}
