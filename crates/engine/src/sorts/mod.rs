//! Dispatches each kind of job to the code that does its work, in [`run`]. Large kinds have modules of their own in the
//! crate; the small ones are here.

pub(crate) mod garbage;
mod scrub;

use crate::{
    Engine, apply,
    finished::{Failure, Finished},
    journal::Journal,
    poll, push,
    trouble::Trouble,
};
use longshore_metadata::{Error, Tx, jobs::Claim};
use longshore_model::{Timestamp, job::Parameters, message::JobMessage, policy::RunCode};

/// Does the work of a job.
pub(crate) async fn run(engine: &Engine, claim: &Claim, journal: &Journal) -> Result<Finished, Trouble> {
    match &claim.job.parameters {
        Parameters::PushTag { .. } => {
            let order = push::Order::of(&claim.job.parameters).ok_or_else(|| unknown(claim))?;
            push::run(engine, claim, &order, journal).await.map(|()| Finished::Recorded)
        }
        Parameters::Poll { policy, .. } => poll::run(engine, claim, *policy, journal).await,
        Parameters::PollAll => poll::wait_for_children(engine, claim.job.id).await,
        Parameters::ApplyPolicy { policy, kind, after } => {
            apply::run(engine, claim, *policy, *kind, *after).await.map(Finished::Outcome)
        }
        Parameters::CollectGarbage { dry_run } => {
            garbage::run(engine, &claim.job, *dry_run).await.map(Finished::Outcome)
        }
        Parameters::Scrub => scrub::run(engine, journal).await.map(Finished::Outcome),
        // `evaluator` claims these, several in one transaction.
        Parameters::EvaluateTag { .. } | Parameters::FollowSubject { .. } => Err(unknown(claim)),
    }
}

/// Records a failure at the policy and the verdict of a push or poll, in the transaction that ends or reschedules the
/// job. Other kinds of jobs have neither.
pub(crate) async fn failed(
    tx: &mut Tx,
    claim: &Claim,
    failure: Failure,
    now: Timestamp,
) -> Result<(), Error> {
    let (job, Failure { result, why, asked }) = (&claim.job, failure);
    if let Some(order) = push::Order::of(&job.parameters) {
        push::failed(tx, &order, job.id, result, why, asked, now).await?;
    } else if let (true, Parameters::Poll { policy, .. }) = (asked, &job.parameters) {
        poll::record(tx, *policy, RunCode::Failed, why, job.id, now).await?;
    }
    Ok(())
}

fn unknown(claim: &Claim) -> Trouble {
    Trouble::Final(JobMessage::Unknown { action: claim.job.action.as_str().to_owned() }.into())
}
