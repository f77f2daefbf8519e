//! Restoring what was overwritten or deleted (semantics 22, 23), and purging deleted repositories early.

use crate::Admin;
use crate::guard::{author, content_problem};
use crate::tags::no_such_tag;
use longshore_access::Permission;
use longshore_content::{Restore, immutable, may_restore_tags};
use longshore_metadata::undo::{self, Window};
use longshore_metadata::{jobs, storage, tags, work};
use longshore_model::job::Cause;
use longshore_model::job::orders;
use longshore_model::repository::{DeletedRepository, Elsewhere, PurgePlan};
use longshore_model::tag::{DeletedTag, RestorePlan, TagChange};
use longshore_model::{Actor, Code, Page, PageRequest, Problem, Provenance, Repository, Revision, TagRecord};
use longshore_oci::{Digest, RepositoryName, Tag};

/// The number of images of a deleted repository that are looked for in other repositories and registries.
const ELSEWHERE: i64 = 1000;

fn not_restorable(repository: &RepositoryName, tag: &Tag, revision: Revision) -> Problem {
    let (repository, tag) = (repository.clone(), tag.clone());
    content_problem(longshore_content::Error::NotRestorable { repository, tag, revision })
}

fn no_such_deleted(name: &RepositoryName) -> Problem {
    let message = format!("there is no deleted repository {name}; it may have been restored or purged");
    Problem::new(Code::NoSuchDeletedRepository, message)
}

impl Admin {
    /// The period from which changes can be restored now.
    pub(crate) fn undo_window(&self) -> Window {
        Window { length: self.0.engine.settings().garbage.retention.undo, now: self.now() }
    }

    /// Whether deleted things can be restored for a while.
    #[must_use]
    pub fn keeps_deleted(&self) -> bool {
        !self.undo_window().length.is_zero()
    }

    /// The changes of a tag before `before`, or the newest ones if it is `None`, newest first; at most
    /// [`TagChange::AT_ONCE`]. Includes deleted tags. For users who may read the repository.
    ///
    /// # Errors
    /// The repository does not exist; the tag has never existed.
    pub async fn tag_history(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        tag: &Tag,
        before: Option<Revision>,
    ) -> Result<Vec<TagChange>, Problem> {
        let repository = self.repository_for(actor, Permission::Read, repository).await?;
        let mut redaction = self.redaction(actor).await?;
        let window = self.undo_window();
        let changes =
            undo::history(redaction.conn(), repository.id, tag, before, TagChange::AT_ONCE as i64, &window)
                .await?;
        if changes.is_empty() && before.is_none() {
            return Err(no_such_tag(&repository.name, tag));
        }
        redaction.history(changes).await
    }

    /// The deleted tags that can be restored, last deleted first. For users who may push to the repository.
    ///
    /// # Errors
    /// The repository does not exist; the actor lacks the permission.
    pub async fn deleted_tags(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        page: &PageRequest,
    ) -> Result<Page<DeletedTag>, Problem> {
        let repository = self.repository_for(actor, Permission::Write, repository).await?;
        Ok(undo::deleted_tags(&mut self.read().await?, repository.id, &self.undo_window(), page).await?)
    }

    /// What restoring a tag would do: which policies would act, and whether the tag would be pinned. For users who may
    /// push to the repository.
    ///
    /// # Errors
    /// As [`Admin::restore_tag`].
    pub async fn plan_restore(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        tag: &Tag,
        revision: Revision,
    ) -> Result<RestorePlan, Problem> {
        let repository = self.repository_for(actor, Permission::Write, repository).await?;
        let mut redaction = self.redaction(actor).await?;
        let conn = redaction.conn();
        let found = undo::find_change(conn, repository.id, tag, revision, &self.undo_window()).await?;
        let (lost, lineage) = found
            .filter(|(lost, _)| lost.until.is_some())
            .ok_or_else(|| not_restorable(&repository.name, tag, revision))?;
        let digest = lost.digest.clone().ok_or_else(|| not_restorable(&repository.name, tag, revision))?;
        may_restore_tags(&repository, lost.provenance.as_ref()).map_err(content_problem)?;
        let present = tags::find(conn, repository.id, tag).await?;
        if let Some(existing) = present.as_ref().filter(|existing| existing.digest != digest)
            && repository.immutable_tags.covers(tag)
        {
            return Err(content_problem(immutable(&repository, existing.clone())));
        }
        let pin = undo::pin(conn, present.as_ref(), &lost).await?;
        let now = self.now();
        let record = TagRecord {
            repository: repository.id,
            name: tag.clone(),
            digest: digest.clone(),
            revision,
            source_revision: revision,
            created_at: now,
            updated_at: now,
            author: author(actor),
            provenance: Provenance::Restored { revision, quietly: false, pin },
            lineage,
        };
        let ahead = self.0.engine.foresee(conn, &repository, &record).await?;
        let mut policies = Vec::with_capacity(ahead.len());
        for policy in ahead {
            policies.push(redaction.ahead(policy).await?);
        }
        Ok(RestorePlan {
            name: tag.clone(),
            revision,
            digest,
            at: lost.at,
            author: lost.author,
            present: present.map(|present| present.digest),
            policies,
            pins: pin.is_some(),
        })
    }

    /// Points a tag to an earlier manifest again, whether the tag was overwritten or deleted. This is an ordinary
    /// change, which policies act on unless `quietly`; a tag that came from a pull mirror is pinned (semantics 22). For
    /// users who may push to the repository.
    ///
    /// # Errors
    /// The repository does not exist; the actor lacks the permission; the repository's state forbids it (semantics 18);
    /// the tag is immutable and points elsewhere; the earlier manifest can no longer be restored.
    pub async fn restore_tag(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        tag: &Tag,
        revision: Revision,
        quietly: bool,
    ) -> Result<TagRecord, Problem> {
        let repository = self.repository_for(actor, Permission::Write, repository).await?;
        let restore = Restore {
            repository,
            tag: tag.clone(),
            revision,
            quietly,
            author: author(actor),
            window: self.undo_window().length,
        };
        self.0.content.restore_tag(restore).await.map_err(content_problem)
    }

    /// Unpins a tag, so that its pull mirror may change it again. For users who may push to the repository.
    ///
    /// # Errors
    /// The repository or tag does not exist; the actor lacks the permission; the tag is not pinned.
    pub async fn release_tag(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<(), Problem> {
        let repository = self.repository_for(actor, Permission::Write, repository).await?;
        if tags::find(&mut self.read().await?, repository.id, tag).await?.is_none() {
            return Err(no_such_tag(&repository.name, tag));
        }
        let released = self.0.content.release_tag(&repository, tag, &author(actor)).await;
        match released.map_err(content_problem)? {
            Some(_) => Ok(()),
            None => {
                let message =
                    format!("{}:{tag} is not pinned, so mirrors may already change it", repository.name);
                Err(Problem::new(Code::NotPinned, message))
            }
        }
    }

    /// The deleted repositories in the namespaces in which the actor may act, last deleted first.
    ///
    /// # Errors
    /// The actor is not signed in.
    pub async fn deleted_repositories(
        &self,
        actor: &Actor,
        page: &PageRequest,
    ) -> Result<Page<DeletedRepository>, Problem> {
        crate::guard::user(actor)?;
        let (visible, length) = (self.0.access.administered(actor), self.undo_window().length);
        Ok(undo::deleted_repositories(&mut self.read().await?, &visible, length, page).await?)
    }

    /// One deleted repository, how much space its purge would free, and where else its images are stored. For users who
    /// may act in its namespace; places that they may not see are not named (semantics 17).
    ///
    /// # Errors
    /// The repository does not exist or is not deleted; the actor lacks the permission.
    pub async fn deleted_repository(
        &self,
        actor: &Actor,
        name: &RepositoryName,
    ) -> Result<PurgePlan, Problem> {
        let deleted = self.find_deleted(actor, name).await?;
        let mut redaction = self.redaction(actor).await?;
        let id = deleted.repository.id;
        let frees = storage::of_repository(redaction.conn(), id).await?.unique;
        let (found, more) = undo::elsewhere(redaction.conn(), id, ELSEWHERE).await?;
        let mut elsewhere: Vec<Elsewhere> = Vec::new();
        for (place, digest) in found {
            let (place, remote) = redaction.place(place).await?;
            add(&mut elsewhere, place, remote, digest);
        }
        Ok(PurgePlan { deleted, frees, elsewhere, more })
    }

    /// Restores a deleted repository, with its policies. For users who may act in its namespace.
    ///
    /// # Errors
    /// The repository does not exist or is not deleted; the actor lacks the permission.
    pub async fn restore_repository(
        &self,
        actor: &Actor,
        name: &RepositoryName,
    ) -> Result<Repository, Problem> {
        let deleted = self.find_deleted(actor, name).await?.repository;
        let restored = self.0.content.restore_repository(&deleted, &author(actor)).await;
        match restored.map_err(content_problem)? {
            true => Ok(deleted),
            false => Err(no_such_deleted(name)),
        }
    }

    /// Removes a deleted repository permanently before its restore period ends, and returns where else its images are
    /// stored. Content that no other repository has is removed by garbage collection, which starts at once, except what
    /// is less than a day old. For users who may act in its namespace.
    ///
    /// # Errors
    /// The repository does not exist or is not deleted; the actor lacks the permission.
    pub async fn purge_repository(&self, actor: &Actor, name: &RepositoryName) -> Result<PurgePlan, Problem> {
        let plan = self.deleted_repository(actor, name).await?;
        let purged = self.0.content.purge_repository(&plan.deleted.repository, &author(actor)).await;
        if !purged.map_err(content_problem)? {
            return Err(no_such_deleted(name));
        }
        let (now, cause) = (self.now(), Cause::Asked { author: author(actor) });
        self.write(work!(|tx| Ok(jobs::enqueue(tx, orders::collect_garbage(false, cause, now), now)
            .await
            .map(drop)?)))
            .await?;
        Ok(plan)
    }

    async fn find_deleted(&self, actor: &Actor, name: &RepositoryName) -> Result<DeletedRepository, Problem> {
        self.namespace_for(actor, &name.to_namespace())?;
        let length = self.undo_window().length;
        let found = undo::deleted_repository(&mut self.read().await?, name, length).await?;
        found.ok_or_else(|| no_such_deleted(name))
    }
}

/// Adds an image to its place. All places without a name count as one.
fn add(elsewhere: &mut Vec<Elsewhere>, place: String, remote: bool, digest: Digest) {
    match elsewhere.iter_mut().find(|known| known.place == place && known.remote == remote) {
        Some(known) if known.digests.contains(&digest) => {}
        Some(known) => known.digests.push(digest),
        None => elsewhere.push(Elsewhere { place, remote, digests: vec![digest] }),
    }
}
