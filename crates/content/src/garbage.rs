//! Garbage collection (semantics 23) while pushes run. Candidates are found by reading, a page at a time; then small
//! transactions remove them. Each checks again and ends when its turn is over, so that others get in between. A dry run
//! only reads. A blob's bytes are removed last, after its row. `metadata` defines what is needed, and `engine` decides
//! when to collect.

use crate::Content;
use crate::error::Error;
use futures::FutureExt;
use jiff::SignedDuration;
use longshore_metadata::garbage::{self, Cutoffs, Kind, Standing};
use longshore_metadata::{Tx, repositories, tags, uploads};
use longshore_model::{Author, RepositoryId, Timestamp, UploadId};
use longshore_oci::Digest;
use std::collections::HashMap;

/// The number of rows in one read.
const PAGE: i64 = 500;
/// The maximum number of rows that one transaction removes. It stops earlier when its turn is over.
const AT_ONCE: usize = 100;
/// The number of candidates that one statement checks again.
const PIECE: usize = 10;
/// The number of condemned blobs in one read.
const CONDEMNED_AT_ONCE: i64 = 200;

/// How long unneeded content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// A manifest after it lost its last tag or was pushed without one; `None` means forever.
    pub untagged: Option<SignedDuration>,
    /// Deleted or overwritten content, so that it can be restored.
    pub undo: SignedDuration,
    /// A blob that no manifest has named yet: a push may take this long.
    pub parts: SignedDuration,
    /// An upload that does not grow.
    pub uploads: SignedDuration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Self { untagged: Some(days(30)), undo: days(7), parts: days(1), uploads: days(7) }
    }
}

impl Retention {
    fn cutoffs(&self, now: Timestamp) -> Cutoffs {
        Cutoffs {
            untagged: self.untagged.map(|untagged| now - untagged),
            undo: now - self.undo,
            parts: now - self.parts,
            uploads: now - self.uploads,
        }
    }
}

/// What was removed, or what a dry run would remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// Deleted repositories whose names are available again.
    pub repositories: u64,
    /// Manifests unlinked from repositories.
    pub manifests: u64,
    /// Blobs removed from the store.
    pub blobs: u64,
    /// Of those blobs.
    pub bytes: u64,
    /// Abandoned uploads.
    pub uploads: u64,
}

impl Content {
    /// Removes everything that is not needed. If it is interrupted at any point, the next run continues.
    ///
    /// # Errors
    /// The store and the database.
    pub async fn collect_garbage(&self, retention: &Retention) -> Result<Freed, Error> {
        let now = self.now();
        let cutoffs = retention.cutoffs(now);
        let mut freed = Freed::default();
        // Left condemned by a collection that was interrupted.
        self.remove_condemned(&mut freed).await?;
        freed.uploads = self.drop_stale_uploads(&cutoffs).await?;
        let mut after = None;
        while let Some(repository) = self.next_repository(&mut after).await? {
            match garbage::standing(&mut self.0.db.read().await?, repository).await? {
                Standing::Present => self.clean(repository, cutoffs, now, &mut freed).await?,
                Standing::Deleted(at) if at >= cutoffs.undo => {}
                Standing::Deleted(_) => {
                    if self.write(move |tx| begin_purge(tx, repository, cutoffs.undo).boxed()).await? {
                        self.purge(repository, &mut freed).await?;
                    }
                }
                // It was interrupted.
                Standing::Purged => self.purge(repository, &mut freed).await?,
                Standing::Gone => {}
            }
        }
        for kind in [Kind::Manifest, Kind::Blob] {
            self.forget(kind, cutoffs).await?;
        }
        self.remove_condemned(&mut freed).await?;
        Ok(freed)
    }

    /// Counts what [`Content::collect_garbage`] would remove now. Only reads.
    ///
    /// # Errors
    /// The database.
    pub async fn find_garbage(&self, retention: &Retention) -> Result<Freed, Error> {
        let cutoffs = retention.cutoffs(self.now());
        let mut found = Freed::default();
        let mut lost: HashMap<Digest, u64> = HashMap::new();
        let mut after = None;
        while let Some(repository) = self.next_repository(&mut after).await? {
            for blob in self.losses_of(repository, &cutoffs, &mut found).await? {
                *lost.entry(blob).or_default() += 1;
            }
        }
        let mut conn = self.0.db.read().await?;
        found.uploads = garbage::stale_uploads(&mut conn, &cutoffs).await?.len() as u64;
        let mut after = None;
        loop {
            let behind =
                garbage::unheld_behind(&mut conn, Kind::Blob, &cutoffs, after.as_ref(), PAGE).await?;
            found.blobs += behind.unheld.len() as u64;
            found.bytes += behind.unheld.iter().map(|(_, size)| size).sum::<u64>();
            after = behind.last;
            if after.is_none() {
                break;
            }
        }
        for (blob, lost) in lost {
            if let Some((size, holders)) = garbage::holders(&mut conn, &blob, &cutoffs).await?
                && holders <= lost
            {
                found.blobs += 1;
                found.bytes += size;
            }
        }
        Ok(found)
    }

    /// Adds what a repository would lose to `found`, and returns the blobs among it.
    async fn losses_of(
        &self,
        repository: RepositoryId,
        cutoffs: &Cutoffs,
        found: &mut Freed,
    ) -> Result<Vec<Digest>, Error> {
        let conn = &mut self.0.db.read().await?;
        let is_purged = match garbage::standing(conn, repository).await? {
            Standing::Present => false,
            Standing::Deleted(at) if at < cutoffs.undo => true,
            Standing::Purged => true,
            Standing::Deleted(_) | Standing::Gone => return Ok(Vec::new()),
        };
        found.repositories += u64::from(is_purged);
        let (mut manifests, mut after) = (Vec::new(), None);
        loop {
            let page = garbage::manifests_behind(conn, repository, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            manifests.extend(match is_purged {
                true => page,
                false => garbage::rootless(conn, repository, cutoffs, &page).await?,
            });
        }
        found.manifests += manifests.len() as u64;
        // A purged repository loses its blobs whatever their age.
        let parts = if is_purged { Timestamp::MAX } else { cutoffs.parts };
        let cutoffs = Cutoffs { parts, ..*cutoffs };
        let (mut blobs, mut after) = (Vec::new(), None);
        loop {
            let behind =
                garbage::loose_blobs_behind(conn, repository, &cutoffs, &manifests, after.as_ref(), PAGE);
            let behind = behind.await?;
            blobs.extend(behind.loose);
            after = behind.last;
            if after.is_none() {
                return Ok(blobs);
            }
        }
    }

    /// Removes manifests that no root leads to from a repository, and blobs that no manifest names.
    async fn clean(
        &self,
        repository: RepositoryId,
        cutoffs: Cutoffs,
        now: Timestamp,
        freed: &mut Freed,
    ) -> Result<(), Error> {
        let mut after = None;
        loop {
            let mut conn = self.0.db.read().await?;
            let page = garbage::manifests_behind(&mut conn, repository, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let mut rootless = garbage::rootless(&mut conn, repository, &cutoffs, &page).await?;
            drop(conn);
            while !rootless.is_empty() {
                let some = first(&rootless);
                let write = self.write(move |tx| {
                    async move { unlink_manifests(tx, repository, cutoffs, &some, now).await }.boxed()
                });
                let Step { done, removed } = write.await?;
                rootless.drain(..done);
                freed.manifests += removed;
            }
        }
        let mut after = None;
        loop {
            let mut conn = self.0.db.read().await?;
            let behind =
                garbage::loose_blobs_behind(&mut conn, repository, &cutoffs, &[], after.as_ref(), PAGE)
                    .await?;
            drop(conn);
            let mut loose = behind.loose;
            while !loose.is_empty() {
                let some = first(&loose);
                let write = self.write(move |tx| {
                    async move { unlink_blobs(tx, repository, cutoffs, &some).await }.boxed()
                });
                loose.drain(..write.await?.done);
            }
            after = behind.last;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Empties a repository whose purge was begun, and removes it.
    pub(crate) async fn purge(&self, repository: RepositoryId, freed: &mut Freed) -> Result<(), Error> {
        loop {
            let write = self.write(move |tx| {
                async move {
                    tags::lock_changes(tx).await?;
                    Ok::<_, Error>(garbage::purge(tx, repository).await?)
                }
                .boxed()
            });
            let purged = write.await?;
            freed.manifests += purged.manifests;
            if purged.is_gone {
                freed.repositories += 1;
                return Ok(());
            }
        }
    }

    /// Removes the rows of manifests or blobs that no repository has.
    async fn forget(&self, kind: Kind, cutoffs: Cutoffs) -> Result<(), Error> {
        let mut after = None;
        loop {
            let mut conn = self.0.db.read().await?;
            let behind = garbage::unheld_behind(&mut conn, kind, &cutoffs, after.as_ref(), PAGE).await?;
            drop(conn);
            let mut unheld: Vec<Digest> = behind.unheld.into_iter().map(|(digest, _)| digest).collect();
            while !unheld.is_empty() {
                let some = first(&unheld);
                let write =
                    self.write(move |tx| async move { forget(tx, kind, cutoffs, &some).await }.boxed());
                unheld.drain(..write.await?.done);
            }
            after = behind.last;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn next_repository(&self, after: &mut Option<RepositoryId>) -> Result<Option<RepositoryId>, Error> {
        *after = garbage::next_repository(&mut self.0.db.read().await?, *after).await?;
        Ok(*after)
    }

    async fn drop_stale_uploads(&self, cutoffs: &Cutoffs) -> Result<u64, Error> {
        let stale = garbage::stale_uploads(&mut self.0.db.read().await?, cutoffs).await?;
        let mut dropped = 0;
        for upload in stale {
            dropped += u64::from(self.drop_stale(upload, cutoffs.uploads).await?);
        }
        dropped += self.drop_strays(Some(cutoffs.uploads)).await? as u64;
        Ok(dropped)
    }

    /// Drops an upload unless it was written to since `since`.
    pub(crate) async fn drop_stale(&self, upload: UploadId, since: Timestamp) -> Result<bool, Error> {
        let Some(claim) = self.claim_upload(upload).await? else { return Ok(false) };
        let present = uploads::get(&mut self.0.db.read().await?, upload).await?;
        let Some(present) = present.filter(|present| present.updated_at < since) else {
            return Ok(false);
        };
        self.drop_upload(&present).await?;
        claim.ended();
        Ok(true)
    }

    /// Removes the bytes of blobs whose rows were removed.
    pub(crate) async fn remove_condemned(&self, freed: &mut Freed) -> Result<(), Error> {
        loop {
            let condemned = garbage::condemned(&mut self.0.db.read().await?, CONDEMNED_AT_ONCE).await?;
            if condemned.is_empty() {
                return Ok(());
            }
            for blob in condemned {
                // No blob may be stored in the meantime: it could be stored at the location that is removed here.
                let _alone = self.0.storing.write().await;
                if !garbage::is_used(&mut self.0.db.read().await?, &blob.location).await? {
                    self.0.store.remove(&blob.location).await?;
                    freed.blobs += 1;
                    freed.bytes += blob.size;
                }
                self.write(move |tx| {
                    async move { Ok::<_, Error>(garbage::spare(tx, &blob.location).await?) }.boxed()
                })
                .await?;
            }
        }
    }
}

/// The progress of one transaction.
struct Step {
    /// The number of candidates that were dealt with.
    done: usize,
    /// The number of rows removed.
    removed: u64,
}

/// The candidates for one transaction.
fn first(left: &[Digest]) -> Vec<Digest> {
    left[..left.len().min(AT_ONCE)].to_vec()
}

/// Begins to purge a repository that was deleted before `undo`, unless it was restored in the meantime.
async fn begin_purge(tx: &mut Tx, repository: RepositoryId, undo: Timestamp) -> Result<bool, Error> {
    tags::lock_changes(tx).await?;
    match garbage::standing(tx, repository).await? {
        Standing::Deleted(at) if at < undo => Ok(garbage::begin_purge(tx, repository).await?),
        Standing::Deleted(_) | Standing::Present | Standing::Purged | Standing::Gone => Ok(false),
    }
}

/// Unlinks those manifests that still have no root from a repository, until the turn is over.
async fn unlink_manifests(
    tx: &mut Tx,
    repository: RepositoryId,
    cutoffs: Cutoffs,
    some: &[Digest],
    now: Timestamp,
) -> Result<Step, Error> {
    let turn = tx.begin_turn();
    tags::lock_changes(tx).await?;
    let mut step = Step { done: 0, removed: 0 };
    let Some(found) = repositories::get(tx, repository).await? else {
        return Ok(Step { done: some.len(), removed: 0 });
    };
    for piece in some.chunks(PIECE) {
        for digest in garbage::rootless(tx, repository, &cutoffs, piece).await? {
            let unlinked = garbage::unlink_manifest(tx, repository, &digest).await?;
            step.removed += unlinked.len() as u64;
            // Signatures that refer to them by tag name are removed with them (semantics 6).
            for digest in &unlinked {
                for tag in tags::digest_tags_of(tx, repository, digest).await? {
                    tags::remove(tx, &found, &tag.name, &Author::System, now).await?;
                }
            }
        }
        step.done += piece.len();
        if turn.is_over() {
            break;
        }
    }
    Ok(step)
}

/// Unlinks those blobs that still no manifest names from a repository, until the turn is over.
async fn unlink_blobs(
    tx: &mut Tx,
    repository: RepositoryId,
    cutoffs: Cutoffs,
    some: &[Digest],
) -> Result<Step, Error> {
    let turn = tx.begin_turn();
    tags::lock_changes(tx).await?;
    let mut step = Step { done: 0, removed: 0 };
    for piece in some.chunks(PIECE) {
        step.removed += garbage::unlink_loose_blobs(tx, repository, &cutoffs, piece).await?;
        step.done += piece.len();
        if turn.is_over() {
            break;
        }
    }
    Ok(step)
}

/// Removes the rows of manifests or blobs that still no repository has, until the turn is over.
async fn forget(tx: &mut Tx, kind: Kind, cutoffs: Cutoffs, some: &[Digest]) -> Result<Step, Error> {
    let turn = tx.begin_turn();
    tags::lock_changes(tx).await?;
    let mut done = 0;
    for digest in some {
        match kind {
            Kind::Manifest => garbage::forget_manifest(tx, digest, &cutoffs).await?,
            Kind::Blob => garbage::condemn_blob(tx, digest, &cutoffs).await?,
        }
        done += 1;
        if turn.is_over() {
            break;
        }
    }
    Ok(Step { done, removed: done as u64 })
}
