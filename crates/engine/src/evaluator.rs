//! The worker of its own that evaluations have: it wakes at once when a tag has changed, claims in batches,
//! and hands each change to one transaction.

use crate::{
    Engine,
    evaluate::{Change, evaluate},
    follow::{Arrival, follow},
    journal::Journal,
    running::Stop,
    trouble::Trouble,
    worker::heard,
};
use futures::{StreamExt, stream};
use longshore_metadata::{Error, Priority, jobs::Claim};
use longshore_model::job::{Action, Parameters};
use tokio::{select, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Evaluations that are claimed at once.
const BATCH: i64 = 64;
/// Evaluations that wait for the database's writer at once, so that it commits them together.
const TOGETHER: usize = 16;

impl Engine {
    /// Works off what has changed, until `shutdown`.
    pub(crate) async fn evaluate_changes(&self, shutdown: CancellationToken) {
        let mut changes = self.db().changes();
        let mut long = JoinSet::new();
        while !shutdown.is_cancelled() {
            heard(&mut changes);
            let claims = self.claim(&[Action::Evaluate], BATCH).await.unwrap_or_else(|error| {
                tracing::error!(%error, "no evaluations could be claimed");
                Vec::new()
            });
            if claims.is_empty() {
                select! {
                    () = self.idle(&mut changes) => {}
                    // Another one may have waited for this one.
                    Some(_) = long.join_next() => {}
                    () = shutdown.cancelled() => {}
                }
                continue;
            }
            let (slow, quick): (Vec<_>, Vec<_>) = claims.into_iter().partition(is_long);
            for claim in slow {
                let engine = self.clone();
                long.spawn(async move { engine.run_claim(claim, None).await });
            }
            stream::iter(quick).for_each_concurrent(TOGETHER, |claim| self.evaluate_claim(claim)).await;
            while long.try_join_next().is_some() {}
        }
        self.running().stop_all(Stop::Parked);
        while long.join_next().await.is_some() {}
    }

    async fn evaluate_claim(&self, claim: Claim) {
        let Err(error) = self.evaluate_in_one(&claim).await else { return };
        let journal = Journal::new(claim.job.id, claim.epoch);
        let trouble = Trouble::Metadata(error);
        match self.end_in_trouble(&claim, &journal, &trouble).await {
            Ok(()) | Err(Error::LeaseLost { .. }) => {}
            Err(error) => {
                tracing::error!(job = %claim.job.id, %error, "the end of a job could not be written")
            }
        }
    }

    async fn evaluate_in_one(&self, claim: &Claim) -> Result<(), Error> {
        let (claim, at) = (claim.clone(), self.occasion(claim.job.id));
        self.db()
            .write(Priority::Evaluation, move |tx| {
                Box::pin(async move {
                    match &claim.job.parameters {
                        Parameters::FollowSubject { repository, referrer, subject, tag } => {
                            let arrival = Arrival {
                                repository: *repository,
                                referrer: referrer.clone(),
                                subject: subject.clone(),
                                tag: tag.clone(),
                            };
                            follow(tx, &claim, &arrival, &at).await
                        }
                        Parameters::EvaluateTag { repository, tag, revision, .. } => {
                            let change =
                                Change { repository: *repository, tag: tag.clone(), revision: *revision };
                            evaluate(tx, &claim, &change, &at).await
                        }
                        // Runs as a job of its own, or is no evaluation.
                        Parameters::ApplyPolicy { .. }
                        | Parameters::PushTag { .. }
                        | Parameters::Poll { .. }
                        | Parameters::PollAll => Ok(()),
                    }
                })
            })
            .await
    }
}

fn is_long(claim: &Claim) -> bool {
    !matches!(claim.job.parameters, Parameters::EvaluateTag { .. } | Parameters::FollowSubject { .. })
}
