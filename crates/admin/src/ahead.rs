//! Predicts what policies will do (semantics 22, 29), without names that the reader may not see. The restore and resume
//! dialogs show it.

use crate::Admin;
use crate::hide::Redaction;
use longshore_access::Permission;
use longshore_engine::{Ahead, ForeseeError};
use longshore_metadata::{jobs, pauses, pull_mirrors, repositories, tags};
use longshore_model::job::{Concerns, RemoteOf, Transfer};
use longshore_model::pause::{PausePlan, PlannedStep, PolicyPlan, PollPlan};
use longshore_model::policy::Mirror;
use longshore_model::tag::PolicyAhead;
use longshore_model::view::ANOTHER_REGISTRY;
use longshore_model::{
    Actor, Code, PageRequest, PauseScope, PolicyId, PolicyKind, Problem, RemoteId, stored,
};
use longshore_oci::{RemoteName, RepositoryName};

/// The maximum number of held jobs that a plan examines.
const LOOKED_AT: u32 = PageRequest::MAX;

impl Admin {
    /// What each policy and mirror that a pause holds would do if all held jobs ran now; `None` if nothing is paused.
    /// For pull mirrors see [`Admin::plan_poll`], which contacts their registries.
    ///
    /// # Errors
    /// As [`Admin::pause`].
    pub async fn pause_plan(&self, actor: &Actor, scope: &PauseScope) -> Result<Option<PausePlan>, Problem> {
        self.pausable(actor, scope).await?;
        let mut redaction = self.redaction(actor).await?;
        if pauses::get(redaction.conn(), scope).await?.is_none() {
            return Ok(None);
        }
        let number = jobs::number_held(redaction.conn(), scope).await?;
        let held = jobs::held(redaction.conn(), scope, &PageRequest::first(LOOKED_AT)).await?;
        let untold = number.saturating_sub(held.items.len() as u64);
        let mut plan = PausePlan { untold, ..PausePlan::default() };
        for job in held.items {
            match self.sees_job(redaction.conn(), actor, &job).await? {
                true => self.foretell(&mut redaction, &job, &mut plan).await?,
                false => plan.untold += 1,
            }
        }
        Ok(Some(plan))
    }

    /// What the next poll of a pull mirror would do, given the current state of its registry. Changes nothing. For
    /// users who administer the repository and may use the remote.
    ///
    /// # Errors
    /// The mirror does not exist; the actor lacks the permission; the registry cannot be polled.
    pub async fn plan_poll(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<PollPlan, Problem> {
        let (mirror, _) = self.find_mirror(actor, Permission::Administer, repository, id).await?;
        let Mirror::Pull { mirror } = mirror else {
            let message = "a push mirror is not polled; its plan is its queue";
            return Err(Problem::new(Code::NoSuchPollMirroringPolicy, message));
        };
        self.remote_for(&mut self.read().await?, actor, mirror.remote).await?;
        match self.0.engine.foresee_poll(&mirror).await {
            Ok(plan) => Ok(self.redaction(actor).await?.one(plan).await?),
            Err(ForeseeError::Metadata(error)) => Err(error.into()),
            Err(ForeseeError::WouldFail(why)) => {
                let why = self.redaction(actor).await?.sentence(&why).await?;
                Err(Problem::new(Code::RemoteRegistryInvalidPermissions, why))
            }
        }
    }

    async fn foretell(
        &self,
        redaction: &mut Redaction<'_>,
        job: &stored::Job,
        plan: &mut PausePlan,
    ) -> Result<(), Problem> {
        let Concerns { tag, change, transfer, .. } = job.parameters.concerns();
        match (change.zip(tag), job.parameters.mirror().zip(transfer)) {
            (Some(((repository, revision), tag)), _) => {
                let conn = redaction.conn();
                // A tag that was deleted, or whose revision is no longer kept, is not evaluated.
                let Some(present) = tags::find(conn, repository, tag).await? else { return Ok(()) };
                let record = match present.revision == revision {
                    true => Some(present),
                    false => tags::at_change(conn, repository, tag, revision).await?,
                };
                let Some(record) = record else { return Ok(()) };
                let Some(source) = repositories::get(conn, repository).await? else { return Ok(()) };
                for ahead in self.0.engine.foresee(conn, &source, &record).await? {
                    let seen = redaction.ahead(ahead).await?;
                    let step = PlannedStep { tag: tag.clone(), target: seen.target_tag };
                    plan_of(plan, seen.policy, seen.kind, &source.name, seen.destination).add(step);
                }
            }
            // The destination was fixed when the copy was scheduled; the mirror may have another one by now.
            (
                None,
                Some((
                    (policy, kind),
                    Transfer { remote: RemoteOf::Job(remote), here, host, repository, tag: target },
                )),
            ) => {
                let (sees, place) = redaction.place_at(remote, host, repository).await?;
                let of = plan_of(plan, policy, kind, here, place);
                match tag {
                    Some(tag) => {
                        let target = target.cloned().filter(|_| sees);
                        of.add(PlannedStep { tag: tag.clone(), target });
                    }
                    // A referrer, such as a signature, has no tag here.
                    None => of.total += 1,
                }
            }
            (None, Some(((policy, kind), Transfer { remote: RemoteOf::Mirror { id, .. }, here, .. }))) => {
                let mirror = pull_mirrors::get(redaction.conn(), id).await?;
                // A disabled mirror does not poll.
                let Some(mirror) = mirror.filter(|mirror| mirror.common.enabled) else { return Ok(()) };
                let (_, place) =
                    redaction.place_at(mirror.remote, &mirror.remote_host, &mirror.remote_repository).await?;
                plan_of(plan, policy, kind, here, place);
            }
            // Jobs that a user started by hand, and jobs that only wait for their parts.
            (None, None) => plan.untold += 1,
        }
        Ok(())
    }
}

impl Redaction<'_> {
    /// A policy that would act, as the reader may see it.
    pub(crate) async fn ahead(&mut self, ahead: Ahead) -> Result<PolicyAhead, Problem> {
        let (policy, kind, sees, destination, target_tag) = match ahead {
            Ahead::Promotion { policy, target_tag } => {
                let sees = self.sees(policy.target).await?;
                let place =
                    if sees { policy.target_name.to_string() } else { "another repository".to_owned() };
                (policy.common.id, PolicyKind::Promotion, sees, place, target_tag)
            }
            Ahead::Push { mirror, target_tag } => {
                let (sees, place) =
                    self.place_at(mirror.remote, &mirror.remote_host, &mirror.remote_repository).await?;
                (mirror.common.id, PolicyKind::PushMirror, sees, place, target_tag)
            }
        };
        Ok(PolicyAhead { policy, kind, destination, target_tag: sees.then_some(target_tag) })
    }

    /// A repository at a remote as the reader may see it, and whether its name is shown.
    async fn place_at(
        &mut self,
        remote: RemoteId,
        host: &str,
        repository: &RemoteName,
    ) -> Result<(bool, String), Problem> {
        let sees = self.sees_remote(remote).await?;
        Ok((sees, if sees { format!("{host}/{repository}") } else { ANOTHER_REGISTRY.to_owned() }))
    }
}

/// The plan of one policy for one place; added if missing.
fn plan_of<'p>(
    plan: &'p mut PausePlan,
    policy: PolicyId,
    kind: PolicyKind,
    repository: &RepositoryName,
    place: String,
) -> &'p mut PolicyPlan {
    let known = plan.policies.iter().position(|known| known.policy == policy && known.place == place);
    let at = known.unwrap_or_else(|| {
        let repository = repository.clone();
        plan.policies.push(PolicyPlan { policy, kind, repository, place, steps: Vec::new(), total: 0 });
        plan.policies.len() - 1
    });
    &mut plan.policies[at]
}
