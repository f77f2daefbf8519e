//! The worker of its own that evaluations have. It wakes at once when a tag has changed; one transaction takes
//! what waits, and does what follows from each change.

use crate::{
    Engine,
    evaluate::{Change, Occasion, evaluate},
    follow::{Arrival, follow},
    journal::Journal,
    running::Stop,
    trouble::Trouble,
    worker::heard,
};
use longshore_metadata::{
    Error, Priority, Tx,
    jobs::{self, Claim},
    tags,
};
use longshore_model::job::{Action, Parameters};
use tokio::{select, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What it works off.
const ACTIONS: &[Action] = &[Action::Evaluate];
/// Evaluations of one transaction: enough to share its commit, few enough not to hold up pushes.
const AT_ONCE: i64 = 8;

/// What one transaction did with what waited.
#[derive(Default)]
struct Round {
    /// How many it took.
    taken: usize,
    /// Those that take their time, to be run as jobs of their own.
    long: Vec<Claim>,
    /// Those that failed and were undone.
    failed: Vec<(Claim, Error)>,
}

impl Engine {
    /// Works off what has changed, until `shutdown`.
    pub(crate) async fn evaluate_changes(&self, shutdown: CancellationToken) {
        let mut changes = self.db().changes();
        let mut long = JoinSet::new();
        while !shutdown.is_cancelled() {
            heard(&mut changes);
            let round = self.evaluate_what_waits().await.unwrap_or_else(|error| {
                tracing::error!(%error, "nothing could be evaluated");
                Round::default()
            });
            for claim in round.long {
                let (engine, slot) = (self.clone(), self.running().enter(claim.job.id, claim.epoch));
                long.spawn(async move { engine.run_claim(claim, slot).await });
            }
            for (claim, error) in round.failed {
                self.end_failed(&claim, error).await;
            }
            if i64::try_from(round.taken).is_ok_and(|taken| taken < AT_ONCE) {
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

    async fn evaluate_what_waits(&self) -> Result<Round, Error> {
        let engine = self.clone();
        self.db()
            .write(Priority::Evaluation, move |tx| Box::pin(async move { engine.evaluate_in(tx).await }))
            .await
    }

    async fn evaluate_in(&self, tx: &mut Tx) -> Result<Round, Error> {
        // It may stop policies, whose jobs end elsewhere.
        jobs::lock_endings(tx).await?;
        tags::lock_changes(tx).await?;
        let mut round = Round::default();
        for claim in self.claim(tx, ACTIONS, AT_ONCE).await? {
            round.taken += 1;
            if is_long(&claim) {
                round.long.push(claim);
                continue;
            }
            let (of_part, at) = (claim.clone(), self.occasion(claim.job.id));
            let part = tx.attempt(|tx| Box::pin(async move { evaluate_claim(tx, &of_part, &at).await }));
            if let Err(error) = part.await? {
                round.failed.push((claim, error));
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

async fn evaluate_claim(tx: &mut Tx, claim: &Claim, at: &Occasion) -> Result<(), Error> {
    match &claim.job.parameters {
        Parameters::FollowSubject { repository, referrer, subject, tag } => {
            let arrival = Arrival {
                repository: *repository,
                referrer: referrer.clone(),
                subject: subject.clone(),
                tag: tag.clone(),
            };
            follow(tx, claim, &arrival, at).await
        }
        Parameters::EvaluateTag { repository, tag, revision, .. } => {
            let change = Change { repository: *repository, tag: tag.clone(), revision: *revision };
            evaluate(tx, claim, &change, at).await
        }
        // Runs as a job of its own, or is no evaluation.
        Parameters::ApplyPolicy { .. }
        | Parameters::PushTag { .. }
        | Parameters::Poll { .. }
        | Parameters::PollAll
        | Parameters::CollectGarbage { .. }
        | Parameters::Scrub => Ok(()),
    }
}

fn is_long(claim: &Claim) -> bool {
    !matches!(claim.job.parameters, Parameters::EvaluateTag { .. } | Parameters::FollowSubject { .. })
}
