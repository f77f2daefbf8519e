//! Pausing and resuming the system, a namespace or a remote (semantics 29). The permission to pause includes resuming
//! and seeing the queue. Anyone who may read a repository can see that its policies and mirrors are paused, and why.

use crate::Admin;
use crate::accounts::no_such_account;
use crate::guard::{administrator, author};
use crate::hide::Redaction;
use longshore_access::Permission;
use longshore_metadata::{Conn, accounts, jobs, pauses, pull_mirrors, push_mirrors, remotes, work};
use longshore_model::pause::{HeldJob, PauseQueue, PauseView, RepositoryPauses, Resumed};
use longshore_model::{Actor, Code, PageRequest, Pause, PauseReason, PauseScope, Problem, Queued, RemoteId};
use longshore_oci::RepositoryName;
use std::collections::BTreeSet;

fn not_paused(scope: &PauseScope) -> Problem {
    let what = match scope {
        PauseScope::System => "the system is not paused".to_owned(),
        PauseScope::Namespace(namespace) => format!("the namespace {namespace} is not itself paused"),
        PauseScope::Remote(_) => "the remote is not itself paused".to_owned(),
    };
    Problem::new(Code::NoSuchPause, format!("{what}, so there is nothing to resume"))
}

impl Admin {
    /// Whether the system is paused. For everyone, because it explains why nothing happens.
    ///
    /// # Errors
    /// The database failed.
    pub async fn system_pause(&self, _actor: &Actor) -> Result<Option<PauseView>, Problem> {
        let found = pauses::get(&mut self.read().await?, &PauseScope::System).await?;
        Ok(found.map(|pause| PauseView { pause, remote_name: None, held: None }))
    }

    /// The pauses that the actor may see: that of the system, and those of namespaces and remotes that the actor
    /// administers. Includes the number of held jobs for pauses that the actor may end.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pauses(&self, actor: &Actor) -> Result<Vec<PauseView>, Problem> {
        let mut redaction = self.redaction(actor).await?;
        let mut shown = Vec::new();
        for pause in pauses::all(redaction.conn()).await? {
            let may = self.may_resume(&mut redaction, actor, &pause.scope).await?;
            if may || pause.scope == PauseScope::System {
                shown.push(view(&mut redaction, pause, may).await?);
            }
        }
        // The widest first, because it explains most.
        shown.reverse();
        Ok(shown)
    }

    /// Stops all policies and mirrors in the scope immediately, even in the middle of a blob; their work is held.
    /// Returns the pause, and whether it is new: an existing pause is kept.
    ///
    /// # Errors
    /// The actor does not administer the scope; the namespace or remote does not exist.
    pub async fn pause(&self, actor: &Actor, scope: &PauseScope) -> Result<(PauseView, bool), Problem> {
        self.pausable(actor, scope).await?;
        let (author, now, of) = (author(actor), self.now(), scope.clone());
        let (pause, begun) = self
            .write(work!(|tx| Ok(pauses::begin(tx, &of, PauseReason::Asked, &author, now).await?)))
            .await?;
        // Jobs on this server stop before the response is sent; other servers are notified.
        self.0.engine.heed_pauses().await;
        let view = view(&mut self.redaction(actor).await?, pause, true).await?;
        Ok((view, begun))
    }

    /// Resumes policies and mirrors in the scope; `queued` decides what happens to held jobs.
    ///
    /// # Errors
    /// As [`Admin::pause`]; the scope is not paused.
    pub async fn resume(
        &self,
        actor: &Actor,
        scope: &PauseScope,
        queued: Queued,
    ) -> Result<Resumed, Problem> {
        self.pausable(actor, scope).await?;
        let (author, now, scope) = (author(actor), self.now(), scope.clone());
        self.write(work!(|tx| {
            let resumed = pauses::end(tx, &scope, queued, &author, now).await?;
            resumed.ok_or_else(|| not_paused(&scope))
        }))
        .await
    }

    /// The jobs that a pause holds, oldest first; `None` if the scope is not paused. A job that the actor may not see
    /// is listed without its names.
    ///
    /// # Errors
    /// As [`Admin::pause`].
    pub async fn pause_queue(
        &self,
        actor: &Actor,
        scope: &PauseScope,
        page: &PageRequest,
    ) -> Result<Option<PauseQueue>, Problem> {
        self.pausable(actor, scope).await?;
        let mut redaction = self.redaction(actor).await?;
        let Some(pause) = pauses::get(redaction.conn(), scope).await? else { return Ok(None) };
        let held = jobs::count_held(redaction.conn(), scope).await?;
        let found = jobs::held(redaction.conn(), scope, page).await?;
        let (found, page) = found.split();
        let mut items = Vec::with_capacity(found.len());
        let mut seen = Vec::new();
        for job in found {
            items.push(HeldJob { job: None, action: job.action, since: job.created_at });
            if self.sees_job(redaction.conn(), actor, &job).await? {
                seen.push((items.len() - 1, job));
            }
        }
        let (places, seen): (Vec<usize>, Vec<_>) = seen.into_iter().unzip();
        for (place, job) in places.into_iter().zip(redaction.jobs(seen).await?) {
            items[place].job = Some(job);
        }
        let jobs = page.with(items);
        let pause = view(&mut redaction, pause, true).await?;
        Ok(Some(PauseQueue { pause, held, jobs }))
    }

    /// The pauses that keep the policies and mirrors of a repository from running, for anyone who may read it. Pauses
    /// of remotes are shown only to users who administer it, so that others do not learn which remotes it uses.
    ///
    /// # Errors
    /// The repository does not exist, or the actor may not see it.
    pub async fn repository_pauses(
        &self,
        actor: &Actor,
        name: &RepositoryName,
    ) -> Result<RepositoryPauses, Problem> {
        let repository = self.repository_for(actor, Permission::Read, name).await?;
        let mut redaction = self.redaction(actor).await?;
        let all = pauses::all(redaction.conn()).await?;
        let mut shown = RepositoryPauses::default();
        if all.is_empty() {
            return Ok(shown);
        }
        let used = match self.0.access.may(actor, Permission::Administer, &repository) {
            true => remotes_of(redaction.conn(), &repository).await?,
            false => BTreeSet::new(),
        };
        for pause in of_repository(&all, name).rev() {
            shown.all.push(view(&mut redaction, pause.clone(), false).await?);
        }
        for pause in all {
            if matches!(&pause.scope, PauseScope::Remote(remote) if used.contains(remote)) {
                shown.remotes.push(view(&mut redaction, pause, false).await?);
            }
        }
        Ok(shown)
    }

    /// Checks that the actor may pause and resume the scope.
    pub(crate) async fn pausable(&self, actor: &Actor, scope: &PauseScope) -> Result<(), Problem> {
        match scope {
            PauseScope::System => administrator(actor).map(drop),
            PauseScope::Namespace(namespace) => {
                self.namespace_for(actor, namespace)?;
                let found = accounts::find(&mut self.read().await?, namespace).await?;
                found.map(drop).ok_or_else(|| no_such_account(namespace))
            }
            PauseScope::Remote(remote) => {
                self.remote_for(&mut self.read().await?, actor, *remote).await.map(drop)
            }
        }
    }

    async fn may_resume(
        &self,
        redaction: &mut Redaction<'_>,
        actor: &Actor,
        scope: &PauseScope,
    ) -> Result<bool, Problem> {
        match scope {
            PauseScope::System => Ok(actor.is_admin()),
            PauseScope::Namespace(namespace) => Ok(self.0.access.may_in_namespace(actor, namespace)),
            PauseScope::Remote(remote) => redaction.sees_remote(*remote).await,
        }
    }
}

/// The pauses that hold all policies and mirrors of a repository, in the given order, which is narrowest first.
pub(crate) fn of_repository<'p>(
    pauses: &'p [Pause],
    name: &RepositoryName,
) -> impl DoubleEndedIterator<Item = &'p Pause> + use<'p> {
    let namespace = name.to_namespace();
    pauses.iter().filter(move |pause| match &pause.scope {
        PauseScope::System => true,
        PauseScope::Namespace(paused) => *paused == namespace,
        PauseScope::Remote(_) => false,
    })
}

/// A pause as the reader may see it; with the number of held jobs if `counted`.
async fn view(redaction: &mut Redaction<'_>, pause: Pause, counted: bool) -> Result<PauseView, Problem> {
    let remote_name = match pause.scope {
        PauseScope::Remote(remote) if redaction.sees_remote(remote).await? => {
            remotes::get(redaction.conn(), remote).await?.map(|remote| remote.name)
        }
        _ => None,
    };
    let held = match counted {
        true => Some(jobs::number_held(redaction.conn(), &pause.scope).await?),
        false => None,
    };
    Ok(PauseView { pause, remote_name, held })
}

async fn remotes_of(
    conn: &mut Conn,
    repository: &longshore_model::Repository,
) -> Result<BTreeSet<RemoteId>, Problem> {
    let pushes = push_mirrors::for_repository(conn, repository.id).await?;
    let pulls = pull_mirrors::for_repository(conn, repository.id).await?;
    Ok(pushes.iter().map(|mirror| mirror.remote).chain(pulls.iter().map(|mirror| mirror.remote)).collect())
}
