//! The worker for evaluations. It wakes as soon as a tag has changed; one transaction claims and evaluates several
//! changes. Work that does not fit into one transaction continues in the next, after other waiting transactions.

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

/// The jobs that this worker claims.
const ACTIONS: &[JobAction] = &[JobAction::Evaluate];
/// The maximum number of jobs claimed at once: enough to share a commit, few enough not to delay pushes.
const AT_ONCE: i64 = 8;

/// The result of one transaction.
#[derive(Default)]
struct Round {
    /// The number of jobs it claimed.
    taken: usize,
    /// Jobs that are unfinished or not yet started, in order.
    under_way: VecDeque<Work>,
    /// Long jobs, which run as tasks of their own.
    long: Vec<Claim>,
    /// Jobs that failed and were rolled back.
    failed: Vec<(Claim, Error)>,
}

/// The work that one job requires.
#[derive(Debug, Clone)]
enum Work {
    /// Evaluate all policies of the repository.
    Evaluate(Box<Evaluation>),
    /// Send a referrer or digest tag to wherever its image was promoted or mirrored.
    Follow(Box<Claim>, Arrival),
}

impl Work {
    /// `None` for a long job, which `sorts` runs as a task of its own.
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

    /// Continues the work; returns the rest of it, if any, and the rest of the portion.
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
    /// Evaluates changes until `shutdown`, and then finishes those in progress.
    pub(crate) async fn evaluate_changes(&self, shutdown: CancellationToken) {
        let mut changes = self.db().changes();
        let (mut long, mut under_way) = (JoinSet::new(), VecDeque::new());
        while !shutdown.is_cancelled() || !under_way.is_empty() {
            heard(&mut changes);
            let round = match self.evaluate_what_waits(under_way.clone()).await {
                Ok(round) => round,
                Err(error) => {
                    tracing::error!(%error, "changes could not be evaluated");
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
                    // Changes announced since the claim wake it at once.
                    () = self.idle(ACTIONS, &mut changes) => {}
                    // Another job may have been waiting for this one to end.
                    Some(_) = long.join_next() => {}
                    () = shutdown.cancelled() => {}
                }
            }
            while long.try_join_next().is_some() {}
        }
        self.running().stop_all(Stop::Parked);
        while long.join_next().await.is_some() {}
    }

    /// Runs one transaction. The first one for new changes has priority over everything that waits, so that pushes
    /// cannot outrun evaluations; its continuations wait in line like any other transaction.
    async fn evaluate_what_waits(&self, under_way: VecDeque<Work>) -> Result<Round, Error> {
        let engine = self.clone();
        let priority = if under_way.is_empty() { Priority::Evaluation } else { Priority::Normal };
        self.db().write(priority, work!(|tx| engine.evaluate_in(tx, under_way).await)).await
    }

    async fn evaluate_in(&self, tx: &mut Tx, under_way: VecDeque<Work>) -> Result<Round, Error> {
        // Needed because an evaluation may stop a policy, and with that end other jobs.
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
                tracing::error!(job = %claim.job.id, %error, "the end of a job could not be stored")
            }
        }
    }
}
