//! Restores overwritten and deleted tags and repositories (semantics 22, 23), and purges repositories. `metadata`
//! defines what can be restored; the caller decides for how long.

use crate::Content;
use crate::error::Error;
use crate::garbage::Freed;
use crate::manifests::{current, immutable};
use crate::repositories::may_restore_tags;
use futures::FutureExt;
use jiff::SignedDuration;
use longshore_metadata::activity::{self, NewActivity};
use longshore_metadata::undo::{self, RestoreOutcome, RestoreTag, Window};
use longshore_metadata::{Tx, garbage, repositories, tags};
use longshore_model::activity::ActivityKind;
use longshore_model::message::ActivityMessage;
use longshore_model::{Author, Repository, RepositoryId, Revision, TagRecord};
use longshore_oci::Tag;

/// A tag to restore to an earlier revision.
#[derive(Debug, Clone)]
pub struct Restore {
    pub repository: Repository,
    pub tag: Tag,
    /// The revision to restore.
    pub revision: Revision,
    /// Whether no policy should react to it.
    pub quietly: bool,
    pub author: Author,
    /// How long lost content can be restored.
    pub window: SignedDuration,
}

impl Content {
    /// Lets a tag point to its digest of an earlier revision, whether it was overwritten or deleted since. This is a
    /// change like any other; a tag that a pull mirror wrote is pinned (semantics 22).
    ///
    /// # Errors
    /// [`Error::NotRestorable`], [`Error::NotWritable`], [`Error::TagImmutable`],
    /// [`Error::RepositoryGone`]; the database.
    pub async fn restore_tag(&self, restore: Restore) -> Result<TagRecord, Error> {
        let window = Window { length: restore.window, now: self.now() };
        self.write(move |tx| async move { carry_out(tx, restore, window).await }.boxed()).await
    }

    /// Releases a pinned tag to its pull mirror; `None` if it is not pinned.
    ///
    /// # Errors
    /// [`Error::RepositoryGone`]; the database.
    pub async fn release_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        author: &Author,
    ) -> Result<Option<TagRecord>, Error> {
        let (repository, tag, author) = (repository.clone(), tag.clone(), author.clone());
        let now = self.now();
        self.write(move |tx| {
            async move {
                let repository = current(tx, repository).await?;
                Ok(undo::release_tag(tx, repository.id, &tag, &author, now).await?)
            }
            .boxed()
        })
        .await
    }

    /// Deletes a repository: it is hidden, its policies are suspended and its name stays reserved, until it is restored
    /// or purged (semantics 23).
    ///
    /// # Errors
    /// [`Error::RepositoryGone`]; the database.
    pub async fn delete_repository(&self, repository: &Repository, author: &Author) -> Result<(), Error> {
        let (repository, author, now) = (repository.clone(), author.clone(), self.now());
        self.write(move |tx| {
            async move {
                let repository = current(tx, repository).await?;
                repositories::delete(tx, repository.id, &author, now).await?;
                let detail = ActivityMessage::RepositoryDeleted { repository: (&repository).into() };
                let kind = ActivityKind::RepositoryDeleted;
                Ok(note(tx, kind, Some(repository.id), author, detail, now).await?)
            }
            .boxed()
        })
        .await
    }

    /// Restores a deleted repository; its policies resume. Returns whether it was deleted.
    ///
    /// # Errors
    /// The database.
    pub async fn restore_repository(&self, repository: &Repository, author: &Author) -> Result<bool, Error> {
        let (repository, author, now) = (repository.clone(), author.clone(), self.now());
        self.write(move |tx| {
            async move {
                // Otherwise a collection might find it expired and empty it while it is being restored.
                tags::lock_changes(tx).await?;
                if !undo::restore_repository(tx, repository.id, now).await? {
                    return Ok(false);
                }
                let detail = ActivityMessage::RepositoryRestored { repository: (&repository).into() };
                let kind = ActivityKind::RepositoryRestored;
                note(tx, kind, Some(repository.id), author, detail, now).await?;
                Ok::<_, Error>(true)
            }
            .boxed()
        })
        .await
    }

    /// Purges a deleted repository, including everything that could still be restored. Its name is available at once,
    /// and its rows are removed in small transactions. The next garbage collection removes what no other repository
    /// has. Returns whether it was deleted.
    ///
    /// # Errors
    /// The database.
    pub async fn purge_repository(&self, repository: &Repository, author: &Author) -> Result<bool, Error> {
        let (repository, author, now) = (repository.clone(), author.clone(), self.now());
        let id = repository.id;
        let begun = self.write(move |tx| {
            async move {
                tags::lock_changes(tx).await?;
                // Checked in the transaction: someone may just have restored it.
                if !garbage::begin_purge(tx, repository.id).await? {
                    return Ok(false);
                }
                let detail = ActivityMessage::RepositoryPurged { repository: (&repository).into() };
                note(tx, ActivityKind::RepositoryPurged, None, author, detail, now).await?;
                Ok::<_, Error>(true)
            }
            .boxed()
        });
        let begun = begun.await?;
        if begun {
            // If the caller's future is dropped, the next collection removes the rest.
            self.purge(id, &mut Freed::default()).await?;
        }
        Ok(begun)
    }
}

async fn carry_out(tx: &mut Tx, restore: Restore, window: Window) -> Result<TagRecord, Error> {
    let Restore { repository, tag, revision, quietly, author, .. } = restore;
    tags::lock_changes(tx).await?;
    let repository = current(tx, repository).await?;
    let lost = undo::find_change(tx, repository.id, &tag, revision, &window).await?;
    let lost = lost.and_then(|(change, _)| change.provenance);
    may_restore_tags(&repository, lost.as_ref())?;
    let to = RestoreTag { repository: &repository, name: &tag, revision, quietly, author: &author, window };
    match undo::restore_tag(tx, to).await? {
        RestoreOutcome::Restored(record) | RestoreOutcome::Unchanged(record) => Ok(record),
        RestoreOutcome::Immutable { existing } => Err(immutable(&repository, existing)),
        RestoreOutcome::TooLate => Err(Error::NotRestorable { repository: repository.name, tag, revision }),
    }
}

async fn note(
    tx: &mut Tx,
    kind: ActivityKind,
    repository: Option<RepositoryId>,
    author: Author,
    detail: ActivityMessage,
    now: longshore_model::Timestamp,
) -> Result<(), longshore_metadata::Error> {
    let entry = NewActivity { repository, detail: detail.into(), ..NewActivity::new(now, author, kind) };
    activity::add(tx, &entry).await
}
