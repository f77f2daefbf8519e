//! What push and pull mirrors have in common for people: listing, enabling, deleting, syncing now.
//! Making and changing them is in `push_mirrors` and `pull_mirrors`.

use crate::Admin;
use crate::guard::author;
use crate::policies::note;
use longshore_access::Action;
use longshore_engine::orders;
use longshore_metadata::{jobs, pull_mirrors, push_mirrors};
use longshore_model::activity::ActivityKind;
use longshore_model::job::{Action as JobAction, Cause, Job};
use longshore_model::message::{Changed, PlaceRef, PolicyMessage, RemoteRef};
use longshore_model::policy::Mirror;
use longshore_model::{Actor, Code, PolicyId, PolicyKind, Problem, Repository, stored};
use longshore_oci::RepositoryName;

pub(crate) fn no_such_mirror(code: Code, repository: &RepositoryName) -> Problem {
    Problem::new(code, format!("{repository} has no such mirror; it may have been deleted"))
}

/// What the activity says of a change of a mirror.
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

impl Admin {
    /// The mirrors of a repository, pull mirrors first. For those who may read it; the other
    /// registry is named only to those who may use the remote.
    ///
    /// # Errors
    /// No such repository.
    pub async fn mirrors(&self, actor: &Actor, repository: &RepositoryName) -> Result<Vec<Mirror>, Problem> {
        let repository = self.repository_for(actor, Action::Read, repository).await?;
        let mut curtain = self.curtain(actor).await?;
        let pull = pull_mirrors::for_repository(curtain.conn(), repository.id).await?;
        let push = push_mirrors::for_repository(curtain.conn(), repository.id).await?;
        let mut shown = Vec::with_capacity(pull.len() + push.len());
        for mirror in pull {
            shown.push(Mirror::Pull { mirror: curtain.pull_mirror(mirror).await? });
        }
        for mirror in push {
            shown.push(Mirror::Push { mirror: curtain.push_mirror(mirror).await? });
        }
        Ok(shown)
    }

    /// One mirror.
    ///
    /// # Errors
    /// No such repository or mirror.
    pub async fn mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<Mirror, Problem> {
        let (mirror, _) = self.find_mirror(actor, Action::Read, repository, id).await?;
        self.curtain(actor).await?.mirror(mirror).await
    }

    /// The mirror as it is stored, for those who may do `action` with its repository.
    pub(crate) async fn find_mirror(
        &self,
        actor: &Actor,
        action: Action,
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

    /// Enables or suspends a mirror. Enabling takes the use of its remote, as making it did.
    ///
    /// # Errors
    /// No such mirror; no right.
    pub async fn enable_mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
        enabled: bool,
    ) -> Result<Mirror, Problem> {
        let (mut mirror, _) = self.find_mirror(actor, Action::Administer, repository, id).await?;
        let remote = match &mirror {
            Mirror::Push { mirror } => mirror.remote,
            Mirror::Pull { mirror } => mirror.remote,
        };
        if enabled {
            self.remote_for(&mut self.read().await?, actor, remote).await?;
        }
        let (author, now) = (author(actor), self.now());
        let common = match &mut mirror {
            Mirror::Push { mirror } => &mut mirror.common,
            Mirror::Pull { mirror } => &mut mirror.common,
        };
        common.enabled = enabled;
        common.updated_at = now;
        if enabled {
            common.paused = None;
        }
        let changed = self.write(move |tx| {
            Box::pin(async move {
                let repository = match &mut mirror {
                    Mirror::Push { mirror } => {
                        push_mirrors::update(tx, mirror).await?;
                        mirror.repository
                    }
                    Mirror::Pull { mirror } => {
                        if enabled {
                            // What it missed it fetches at once.
                            mirror.next_run_at = now;
                        }
                        pull_mirrors::update(tx, mirror).await?;
                        mirror.repository
                    }
                };
                let changed = if enabled { Changed::Enabled } else { Changed::Suspended };
                let detail = describe(&mirror, changed);
                note(tx, author, ActivityKind::PolicyChanged, repository, id, detail, now).await?;
                Ok(mirror)
            })
        });
        let changed = changed.await?;
        self.curtain(actor).await?.mirror(changed).await
    }

    /// Deletes a mirror; what it has copied stays. For those who administer the repository.
    ///
    /// # Errors
    /// No such mirror; no right.
    pub async fn delete_mirror(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<(), Problem> {
        let (mirror, repository) = self.find_mirror(actor, Action::Administer, repository, id).await?;
        let (author, now) = (author(actor), self.now());
        self.write(move |tx| {
            Box::pin(async move {
                match &mirror {
                    Mirror::Push { .. } => push_mirrors::delete(tx, id).await?,
                    Mirror::Pull { .. } => pull_mirrors::delete(tx, id).await?,
                };
                let detail = describe(&mirror, Changed::Deleted);
                note(tx, author, ActivityKind::PolicyDeleted, repository.id, id, detail, now).await
            })
        })
        .await
    }

    /// Polls a pull mirror now, or asks a push mirror about every present tag; answers the job. A
    /// poll that waits or runs already is joined. For those who administer the repository.
    ///
    /// # Errors
    /// No such mirror; it is suspended; no right.
    pub async fn sync_now(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<Job, Problem> {
        let (mirror, _) = self.find_mirror(actor, Action::Administer, repository, id).await?;
        let common = mirror.common();
        if !common.enabled || common.paused.is_some() {
            let why = match &common.paused {
                Some(why) => self.curtain(actor).await?.sentence(why).await?,
                None => "it is suspended".to_owned(),
            };
            let kind = match &mirror {
                Mirror::Push { .. } => PolicyKind::PushMirror,
                Mirror::Pull { .. } => PolicyKind::PullMirror,
            };
            let message = format!("the {} does not run: {why}; enable it first", kind.noun());
            return Err(Problem::new(Code::InvalidJob, message));
        }
        let (author, now) = (author(actor), self.now());
        let job = self.write(move |tx| {
            Box::pin(async move {
                let action = match &mirror {
                    Mirror::Push { .. } => JobAction::Evaluate,
                    Mirror::Pull { .. } => JobAction::PollMirror,
                };
                if let Some(active) = jobs::active_for_policy(tx, id, action).await? {
                    return Ok(active);
                }
                let order = match &mirror {
                    Mirror::Push { mirror } => {
                        orders::apply(id, PolicyKind::PushMirror, mirror.repository, author, now)
                    }
                    Mirror::Pull { mirror } => orders::poll(mirror, Cause::Asked { author }, None, now),
                };
                Ok(jobs::enqueue_and_read(tx, order, now).await?)
            })
        });
        let job = job.await?;
        self.curtain(actor).await?.job(job).await
    }
}
