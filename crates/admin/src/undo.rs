//! Bringing back what was overwritten or deleted (semantics 22, 23), and removing it for good before its
//! time.

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

/// How many images of a deleted repository are looked for elsewhere, here and at other registries.
const ELSEWHERE: i64 = 1000;

fn not_restorable(repository: &RepositoryName, tag: &Tag, revision: Revision) -> Problem {
    let (repository, tag) = (repository.clone(), tag.clone());
    content_problem(longshore_content::Error::NotRestorable { repository, tag, revision })
}

fn no_such_deleted(name: &RepositoryName) -> Problem {
    let message =
        format!("there is no deleted repository {name}; it may have been restored, or its time is over");
    Problem::new(Code::NoSuchDeletedRepository, message)
}

impl Admin {
    /// What can be brought back at this moment.
    pub(crate) fn undo_window(&self) -> Window {
        Window { length: self.0.engine.settings().garbage.retention.undo, now: self.now() }
    }

    /// Whether what is deleted can be brought back for a while.
    #[must_use]
    pub fn keeps_deleted(&self) -> bool {
        !self.undo_window().length.is_zero()
    }

    /// The changes of a tag before `before`, or its newest ones, newest first, also of one that is deleted: at most
    /// [`TagChange::AT_ONCE`] of them. For those who may read the repository.
    ///
    /// # Errors
    /// No such repository; there never was such a tag.
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

    /// The tags that were deleted and can be brought back, last deleted first. For those who may push to
    /// the repository.
    ///
    /// # Errors
    /// No such repository; no right.
    pub async fn deleted_tags(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        page: &PageRequest,
    ) -> Result<Page<DeletedTag>, Problem> {
        let repository = self.repository_for(actor, Permission::Write, repository).await?;
        Ok(undo::deleted_tags(&mut self.read().await?, repository.id, &self.undo_window(), page).await?)
    }

    /// What bringing a tag back would mean: which policies would act, and whether it would be pinned. For
    /// those who may push to the repository.
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

    /// Lets a tag point to what it pointed to before, whether it was overwritten or deleted. That is an
    /// ordinary change, which policies act on unless `quietly`; what a pull mirror had made is pinned
    /// (semantics 22). For those who may push to the repository.
    ///
    /// # Errors
    /// No such repository; no right; the repository's state forbids it (semantics 18); the tag is immutable
    /// and points elsewhere; what it pointed to cannot be brought back any more.
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

    /// Leaves a pinned tag to its pull mirror again. For those who may push to the repository.
    ///
    /// # Errors
    /// No such repository or tag; no right; the tag is not pinned.
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
                    format!("{}:{tag} is not pinned; nothing keeps a mirror from it", repository.name);
                Err(Problem::new(Code::NotPinned, message))
            }
        }
    }

    /// The deleted repositories of the namespaces in which the actor may act, last deleted first.
    ///
    /// # Errors
    /// Nobody is signed in.
    pub async fn deleted_repositories(
        &self,
        actor: &Actor,
        page: &PageRequest,
    ) -> Result<Page<DeletedRepository>, Problem> {
        crate::guard::user(actor)?;
        let (visible, length) = (self.0.access.administered(actor), self.undo_window().length);
        Ok(undo::deleted_repositories(&mut self.read().await?, &visible, length, page).await?)
    }

    /// One deleted repository, what its purge would free, and where its images are as well. For those who
    /// may act in its namespace; places that they may not see are not named (semantics 17).
    ///
    /// # Errors
    /// There is none of that name; no right.
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

    /// Brings a deleted repository back as it was; its policies go on. For those who may act in its
    /// namespace.
    ///
    /// # Errors
    /// There is none of that name; no right.
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

    /// Removes a deleted repository for good, before its time, and answers where its images are as well.
    /// What no other repository has goes with the garbage that is collected next, which is at once, except
    /// what came less than a day ago. For those who may act in its namespace.
    ///
    /// # Errors
    /// There is none of that name; no right.
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

/// Adds an image to its place. Places that are not named are one.
fn add(elsewhere: &mut Vec<Elsewhere>, place: String, remote: bool, digest: Digest) {
    match elsewhere.iter_mut().find(|known| known.place == place && known.remote == remote) {
        Some(known) if known.digests.contains(&digest) => {}
        Some(known) => known.digests.push(digest),
        None => elsewhere.push(Elsewhere { place, remote, digests: vec![digest] }),
    }
}
