//! What push and pull mirrors have in common: listing, enabling, deleting and syncing them. Creating and changing them
//! is in `push_mirrors` and `pull_mirrors`.

use crate::Admin;
use crate::guard::author;
use crate::policies::{difference, note};
use crate::versions::Versioned;
use longshore_access::Permission;
use longshore_metadata::{Tx, jobs, pull_mirrors, push_mirrors, work};
use longshore_model::activity::ActivityKind;
use longshore_model::job::orders;
use longshore_model::job::{Cause, Job, JobAction};
use longshore_model::message::{Changed, PlaceRef, PolicyMessage, RemoteRef};
use longshore_model::policy::Mirror;
use longshore_model::stored::{PullMirror, PushMirror};
use longshore_model::{
    Actor, Code, PolicyId, PolicyKind, Problem, RemoteId, Repository, RepositoryId, Version, stored,
};
use longshore_oci::RepositoryName;

pub(crate) fn no_such_mirror(code: Code, repository: &RepositoryName) -> Problem {
    Problem::new(code, format!("{repository} has no such mirror; it may have been deleted"))
}

/// The activity message for a change of a mirror.
fn describe(mirror: &stored::Mirror, changed: Changed) -> PolicyMessage {
    let (policy, remote, host, repository) = match mirror {
        Mirror::Push { mirror } => {
            (PolicyKind::PushMirror, mirror.remote, &mirror.remote_host, &mirror.remote_repository)
        }
        Mirror::Pull { mirror } => {
            (PolicyKind::PullMirror, mirror.remote, &mirror.remote_host, &mirror.remote_repository)
        }
    };
    let place = PlaceRef::new(RemoteRef::new(remote, host.clone()), repository.clone());
    PolicyMessage::MirrorChanged { policy, place, changed }
}

fn remote_of(mirror: &stored::Mirror) -> RemoteId {
    match mirror {
        Mirror::Push { mirror } => mirror.remote,
        Mirror::Pull { mirror } => mirror.remote,
    }
}

fn kind_of(mirror: &stored::Mirror) -> PolicyKind {
    match mirror {
        Mirror::Push { .. } => PolicyKind::PushMirror,
        Mirror::Pull { .. } => PolicyKind::PullMirror,
    }
}

/// The mirror as it is in the transaction that changes or uses it.
async fn present(
    tx: &mut Tx,
    repository: RepositoryId,
    name: &RepositoryName,
    id: PolicyId,
) -> Result<stored::Mirror, Problem> {
    let push = push_mirrors::get_for_change(tx, id).await?;
    if let Some(mirror) = push.filter(|mirror| mirror.repository == repository) {
        return Ok(Mirror::Push { mirror });
    }
    let pull = pull_mirrors::get_for_change(tx, id).await?.filter(|mirror| mirror.repository == repository);
    pull.map(|mirror| Mirror::Pull { mirror })
        .ok_or_else(|| no_such_mirror(Code::NoSuchPushMirroringPolicy, name))
}

impl Admin {
    /// The mirrors of a repository, pull mirrors first. For users who may read the repository; the other registry is
    /// named only to users who may use the remote.
    ///
    /// # Errors
    /// The repository does not exist.
    pub async fn mirrors(&self, actor: &Actor, repository: &RepositoryName) -> Result<Vec<Mirror>, Problem> {
        let repository = self.repository_for(actor, Permission::Read, repository).await?;
        let mut redaction = self.redaction(actor).await?;
        let pull = pull_mirrors::for_repository(redaction.conn(), repository.id).await?;
        let push = push_mirrors::for_repository(redaction.conn(), repository.id).await?;
        let mut shown = Vec::with_capacity(pull.len() + push.len());
        for mirror in pull {
            shown.push(Mirror::Pull { mirror: redaction.pull_mirror(mirror).await? });
        }
        for mirror in push {
            shown.push(Mirror::Push { mirror: redaction.push_mirror(mirror).await? });
        }
        Ok(shown)
    }

    /// One mirror.
    ///
    /// # Errors
    /// The repository or mirror does not exist.
    pub async fn mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<Mirror, Problem> {
        let (mirror, _) = self.find_mirror(actor, Permission::Read, repository, id).await?;
        self.redaction(actor).await?.mirror(mirror).await
    }

    /// The stored mirror, if the actor has the permission on its repository.
    pub(crate) async fn find_mirror(
        &self,
        actor: &Actor,
        action: Permission,
        name: &RepositoryName,
        id: PolicyId,
    ) -> Result<(stored::Mirror, Repository), Problem> {
        let repository = self.repository_for(actor, action, name).await?;
        let mut conn = self.read().await?;
        let push = push_mirrors::get(&mut conn, id).await?;
        if let Some(mirror) = push.filter(|mirror| mirror.repository == repository.id) {
            return Ok((Mirror::Push { mirror }, repository));
        }
        let pull = pull_mirrors::get(&mut conn, id).await?;
        match pull.filter(|mirror| mirror.repository == repository.id) {
            Some(mirror) => Ok((Mirror::Pull { mirror }, repository)),
            None => Err(no_such_mirror(Code::NoSuchPushMirroringPolicy, name)),
        }
    }

    /// Enables or disables a mirror, and changes nothing else. Enabling requires permission to use its remote, as
    /// creating the mirror did. `based_on` is the version that the caller saw; `None` means any version.
    ///
    /// # Errors
    /// The mirror does not exist; the actor lacks the permission; `POLICY_CHANGED`.
    pub async fn enable_mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
        based_on: Option<Version>,
        enabled: bool,
    ) -> Result<Mirror, Problem> {
        let (seen, here) = self.find_mirror(actor, Permission::Administer, repository, id).await?;
        let remote = remote_of(&seen);
        if enabled {
            self.remote_for(&mut self.read().await?, actor, remote).await?;
        }
        let (author, now, name) = (author(actor), self.now(), repository.clone());
        let changed = self.write(work!(|tx| {
            let before = present(tx, here.id, &name, id).await?;
            // The permission was checked for the remote that was read before the transaction.
            let based_on =
                based_on.or((enabled && remote_of(&before) != remote).then(|| seen.common().version));
            let before = before.over(based_on)?;
            let mut common = before.common().clone();
            common.enabled = enabled;
            common.updated_at = now;
            if enabled {
                common.stopped = None;
            }
            let change = difference(author.clone(), before.common(), &common, &[]);
            let changed = match before {
                Mirror::Push { mirror: before } => {
                    let after = PushMirror { common, ..before.clone() };
                    Mirror::Push { mirror: push_mirrors::update(tx, &before, after, change).await? }
                }
                Mirror::Pull { mirror: before } => {
                    // Fetches at once what it missed while it was disabled.
                    let next_run_at = if enabled { now } else { before.next_run_at };
                    let after = PullMirror { common, next_run_at, ..before.clone() };
                    Mirror::Pull { mirror: pull_mirrors::update(tx, &before, after, change).await? }
                }
            };
            let what = if enabled { Changed::Enabled } else { Changed::Disabled };
            let detail = describe(&changed, what);
            note(tx, author, ActivityKind::PolicyChanged, here.id, id, detail, now).await?;
            Ok(changed)
        }));
        let changed = changed.await?;
        self.redaction(actor).await?.mirror(changed).await
    }

    /// Deletes a mirror and withdraws its unfinished work; copied images are kept. For users who administer the
    /// repository.
    ///
    /// # Errors
    /// The mirror does not exist; the actor lacks the permission.
    pub async fn delete_mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<(), Problem> {
        let (_, here) = self.find_mirror(actor, Permission::Administer, repository, id).await?;
        let (author, now, name) = (author(actor), self.now(), repository.clone());
        self.write(work!(|tx| {
            let mirror = present(tx, here.id, &name, id).await?;
            match &mirror {
                Mirror::Push { .. } => push_mirrors::delete(tx, id, now).await?,
                Mirror::Pull { .. } => pull_mirrors::delete(tx, id, now).await?,
            };
            let detail = describe(&mirror, Changed::Deleted);
            note(tx, author, ActivityKind::PolicyDeleted, here.id, id, detail, now).await
        }))
        .await
    }

    /// Polls a pull mirror now, or evaluates a push mirror for every present tag, and returns the job. If such a job is
    /// already queued or running, that one is returned. For users who administer the repository.
    ///
    /// # Errors
    /// The mirror does not exist or is disabled; the actor lacks the permission.
    pub async fn sync_now(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<Job, Problem> {
        let (seen, here) = self.find_mirror(actor, Permission::Administer, repository, id).await?;
        // Phrased for this reader; whether it applies is decided in the transaction below.
        let why = match &seen.common().stopped {
            Some(why) => self.redaction(actor).await?.sentence(why).await?,
            None => "it is disabled".to_owned(),
        };
        let (author, now, name) = (author(actor), self.now(), repository.clone());
        let job = self.write(work!(|tx| {
            let mirror = present(tx, here.id, &name, id).await?;
            let common = mirror.common();
            if !common.enabled || common.stopped.is_some() {
                let kind = kind_of(&mirror).noun();
                let message = format!("the {kind} does not run: {why}; enable it first");
                return Err(Problem::new(Code::InvalidJob, message));
            }
            let action = match &mirror {
                Mirror::Push { .. } => JobAction::Evaluate,
                Mirror::Pull { .. } => JobAction::PollMirror,
            };
            if let Some(active) = jobs::active_for_policy(tx, id, action).await? {
                return Ok(jobs::hasten(tx, active.id, now).await?);
            }
            let order = match &mirror {
                Mirror::Push { mirror } => {
                    orders::apply(id, PolicyKind::PushMirror, mirror.repository, author, now)
                }
                Mirror::Pull { mirror } => orders::poll(mirror, Cause::Asked { author }, None, now),
            };
            let job = jobs::enqueue(tx, order, now).await?;
            Ok(jobs::hasten(tx, job, now).await?)
        }));
        let job = job.await?;
        self.redaction(actor).await?.job(job).await
    }
}
