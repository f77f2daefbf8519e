//! Policies that stop themselves (semantics 5, 10, 15). A person enables them again.

use longshore_metadata::{
    Error, Tx,
    activity::{self, NewActivity},
    jobs, policies,
};
use longshore_model::{
    Author, JobId, Message, PolicyId, PolicyKind, RepositoryId, Timestamp,
    activity::ActivityKind,
    job::{Level, Parameters},
    message::PolicyMessage,
};

/// A policy that stops itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoppedPolicy {
    pub id: PolicyId,
    pub kind: PolicyKind,
    pub repository: RepositoryId,
}

impl StoppedPolicy {
    /// The mirror that a transfer job belongs to.
    pub(crate) fn behind(parameters: &Parameters, repository: Option<RepositoryId>) -> Option<Self> {
        let (id, kind) = parameters.mirror()?;
        Some(Self { id, kind, repository: repository? })
    }
}

/// Stops a policy, and records that at the policy, in the activity log and in the job's log.
pub(crate) async fn stop(
    tx: &mut Tx,
    policy: StoppedPolicy,
    why: &Message,
    job: JobId,
    now: Timestamp,
) -> Result<(), Error> {
    let StoppedPolicy { id, kind, repository } = policy;
    policies::stop(tx, kind, id, why, job, now).await?;
    let stopped = Message::from(PolicyMessage::Stopped { policy: kind, why: Box::new(why.clone()) });
    let entry = NewActivity {
        repository: Some(repository),
        policy: Some(id),
        job: Some(job),
        detail: stopped.clone(),
        ..NewActivity::new(now, Author::Policy { id, policy: kind }, ActivityKind::PolicyStopped)
    };
    activity::add(tx, &entry).await?;
    jobs::log(tx, job, &[(Level::Warn, stopped)], now).await
}
