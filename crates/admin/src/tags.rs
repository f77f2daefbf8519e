//! Listing and deleting tags, and promoting or pushing one by hand. What policies decided about a tag is in `answers`.

use crate::Admin;
use crate::connection::keep;
use crate::guard::{author, content_problem, user};
use crate::policies::still_there;
use crate::validate::{self, Fields};
use longshore_access::Permission;
use longshore_engine::{PromoteError, PromoteNow};
use longshore_metadata::{jobs, tags, work};
use longshore_model::connect::Direction;
use longshore_model::job::orders::{self, Destination, Shipment};
use longshore_model::job::{Cause, Job};
use longshore_model::policy::RemoteChoice;
use longshore_model::tag::TagSummary;
use longshore_model::{Actor, Code, Page, PageRequest, Problem, Repository, TagRecord};
use longshore_oci::{Digest, RepositoryName, Tag};

pub(crate) fn no_such_tag(repository: &RepositoryName, tag: &Tag) -> Problem {
    Problem::new(Code::NoSuchTag, format!("{repository} has no tag {tag}; it may have been deleted"))
}

impl Admin {
    /// The tags of a repository, newest first, without digest tags. For users who may read it.
    ///
    /// # Errors
    /// The repository does not exist.
    pub async fn tags(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        search: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<TagSummary>, Problem> {
        let repository = self.repository_for(actor, Permission::Read, repository).await?;
        let mut redaction = self.redaction(actor).await?;
        let found = tags::summaries(redaction.conn(), repository.id, search, page).await?;
        let (items, page) = found.split();
        Ok(page.with(redaction.summaries(items).await?))
    }

    /// The most recently set tag that points to a digest. For users who may read the repository.
    ///
    /// # Errors
    /// The repository does not exist; no tag points to the digest.
    pub async fn tag_at(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Tag, Problem> {
        let repository = self.repository_for(actor, Permission::Read, repository).await?;
        let found = tags::newest_at(&mut self.read().await?, repository.id, digest).await?;
        found.ok_or_else(|| {
            Problem::new(Code::NoSuchTag, format!("no tag of {} points to {digest}", repository.name))
        })
    }

    /// Deletes tags, all or none. They can be restored for a while (semantics 22). For users who may delete from the
    /// repository.
    ///
    /// # Errors
    /// A tag does not exist or is immutable; the repository's state forbids it (semantics 18); the actor lacks the
    /// permission.
    pub async fn delete_tags(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        names: &[Tag],
    ) -> Result<(), Problem> {
        let repository = self.repository_for(actor, Permission::Delete, repository).await?;
        let deleted = self.0.content.delete_tags(&repository, names, &author(actor)).await;
        deleted.map_err(content_problem)
    }

    /// Promotes one tag now, regardless of policies; an older image may replace a newer one (semantics 1). For users
    /// who may read the source and push to the target.
    ///
    /// # Errors
    /// The tag or repository does not exist; the target tag is invalid or immutable; the target accepts no promotions
    /// in its state.
    pub async fn promote_tag(
        &self,
        actor: &Actor,
        source: &RepositoryName,
        tag: &Tag,
        target: &str,
        target_tag: &str,
    ) -> Result<TagRecord, Problem> {
        user(actor)?;
        let source = self.repository_for(actor, Permission::Read, source).await?;
        let mut fields = Fields::default();
        let target = match fields.take("targetRepository", target.trim().parse::<RepositoryName>()) {
            Some(name) => {
                let found =
                    self.repository_in_field(actor, Permission::Write, &name, "targetRepository").await;
                fields.take_problem(found)?
            }
            None => None,
        };
        let name = validate::tag(&mut fields, "targetTag", target_tag);
        if name.as_ref().is_some_and(Tag::is_digest_tag) {
            fields.refuse(
                "targetTag",
                "this has the form of a digest tag, which is reserved for referrers; choose another",
            );
        }
        if let Some(objection) = target.as_ref().and_then(crate::promotions::closed) {
            fields.refuse_as(Code::RepositoryNotWritable, "targetRepository", objection);
        }
        let (target, target_tag) = fields.finish_with(Code::InvalidTagName, target.zip(name))?;
        let order = PromoteNow {
            source,
            tag: tag.clone(),
            target: target.clone(),
            target_tag,
            author: author(actor),
        };
        let promoted = self.0.engine.promote_now(order).await;
        promoted.map_err(|error| self.not_promoted(error, &target))
    }

    fn not_promoted(&self, error: PromoteError, target: &Repository) -> Problem {
        let message = error.to_string();
        match error {
            PromoteError::NoSuchTag { repository, tag } => no_such_tag(&repository, &tag),
            PromoteError::NoSuchTarget { .. } => {
                Problem::field(Code::NoSuchRepository, "targetRepository", message)
            }
            PromoteError::QuotaExceeded(_) => {
                Problem::field(Code::QuotaExceeded, "targetRepository", message)
            }
            PromoteError::NotWritable { .. } => {
                Problem::field(Code::RepositoryNotWritable, "targetRepository", message)
            }
            // DTR's message, which scripts look for.
            PromoteError::Immutable { tag, .. } => Problem::field(
                Code::TagImmutable,
                "targetTag",
                format!(
                    "tag={tag} cannot be overwritten because {}/{} is an immutable repository",
                    self.0.settings.host, target.name
                ),
            ),
            PromoteError::Metadata(error) => error.into(),
        }
    }

    /// Pushes one tag to another registry now, and returns the job. For users who may read the repository and use the
    /// remote.
    ///
    /// # Errors
    /// As for creating a push mirror; the tag does not exist.
    pub async fn push_tag(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        tag: &Tag,
        remote: RemoteChoice,
        remote_repository: &str,
        remote_tag: &str,
    ) -> Result<Job, Problem> {
        let by = user(actor)?;
        let source = self.repository_for(actor, Permission::Read, repository).await?;
        // A user who may only read the repository must use a connection of their own.
        let namespace = source.name.to_namespace();
        let owner = if self.0.access.may_in_namespace(actor, &namespace) { &namespace } else { &by.name };
        let mut fields = Fields::default();
        let connection = self.choose(actor, owner, &remote, None).await;
        let connection = fields.take_problem(connection)?;
        let name = validate::remote_repository(&mut fields, remote_repository);
        let remote_tag = fields.take_as(Code::InvalidTagName, "remoteTag", remote_tag.trim().parse::<Tag>());
        let all = connection.zip(name).zip(remote_tag);
        let ((connection, name), remote_tag) = fields.finish_with(Code::InvalidPushMirroringPolicy, all)?;
        // Checked before the other registry is contacted.
        let found = tags::find(&mut self.read().await?, source.id, tag).await?;
        found.ok_or_else(|| no_such_tag(&source.name, tag))?;
        let tag = tag.clone();
        let report = self.prove(&connection, &name, Direction::Push).await?;
        let (author, now) = (author(actor), self.now());
        let job = self.write(work!(|tx| {
            let source = still_there(tx, &source).await?;
            let record = tags::find(tx, source.id, &tag).await?;
            let record = record.ok_or_else(|| no_such_tag(&source.name, &tag))?;
            let remote = keep(tx, connection, Some(report), author.clone(), now).await?;
            let shipment = Shipment::by_hand(&record, remote_tag);
            let destination = Destination::at(&remote, name);
            let order = orders::push(&source, shipment, &destination, Cause::Asked { author }, now);
            Ok(jobs::enqueue_and_read(tx, order, now).await?)
        }));
        self.redaction(actor).await?.job(job.await?).await
    }
}
