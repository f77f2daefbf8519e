//! Removing what nothing needs any more (semantics 23), beside running pushes. What may go is found by reading, a
//! page at a time; then small transactions remove it, each of which looks again and lets others in when its turn is
//! over. A dry run only reads. A blob's bytes go last, after its row. What counts as needed is written down in
//! `metadata`; when to collect, `engine` decides.

use crate::Content;
use crate::error::Error;
use futures::FutureExt;
use jiff::SignedDuration;
use longshore_metadata::garbage::{self, Cutoffs, Kind, Standing};
use longshore_metadata::{Tx, repositories, tags, uploads};
use longshore_model::{Author, RepositoryId, Timestamp, UploadId};
use longshore_oci::Digest;
use std::collections::HashMap;

/// How many rows are looked at in one read.
const PAGE: i64 = 500;
/// How many rows one transaction removes at most. It stops earlier when its turn is over.
const AT_ONCE: usize = 100;
/// So many are looked at again by one statement.
const PIECE: usize = 10;
/// How many condemned blobs are read at once.
const CONDEMNED_AT_ONCE: i64 = 200;

/// How long things stay that nothing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// A manifest after it has lost its last tag, or came without one; none: for ever.
    pub untagged: Option<SignedDuration>,
    /// What was deleted or overwritten, so that it can be brought back.
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

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// Deleted repositories whose names are free again.
    pub repositories: u64,
    /// Manifests taken from repositories.
    pub manifests: u64,
    /// Blobs that are stored no more.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uploads that nobody went on with.
    pub uploads: u64,
}

impl Content {
    /// Removes what nothing needs. May be stopped at any point, and goes on the next time.
    ///
    /// # Errors
    /// The store and the database.
    pub async fn collect_garbage(&self, retention: &Retention) -> Result<Freed, Error> {
        let now = self.now();
        let cutoffs = retention.cutoffs(now);
        let mut freed = Freed::default();
        // What an earlier collection had condemned when it was stopped.
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

    /// What [`Content::collect_garbage`] would remove now. Only reads.
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

    /// Counts what a repository would lose, and answers the blobs among that.
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
        // However young the blobs of a repository are that goes as a whole.
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

    /// Takes from one repository what no root of it leads to.
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

    /// Forgets the manifests or blobs that no repository has.
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

    /// Drops an upload unless somebody has gone on with it since an instant.
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

    /// Removes the bytes of blobs whose rows are gone.
    pub(crate) async fn remove_condemned(&self, freed: &mut Freed) -> Result<(), Error> {
        loop {
            let condemned = garbage::condemned(&mut self.0.db.read().await?, CONDEMNED_AT_ONCE).await?;
            if condemned.is_empty() {
                return Ok(());
            }
            for blob in condemned {
                // Nobody stores a blob meanwhile: it might come to the very place that is emptied here.
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

/// How far a transaction came.
struct Step {
    /// So many of those that it was given are settled.
    done: usize,
    /// So many rows were removed.
    removed: u64,
}

/// What one transaction is given of what is left to do.
fn first(left: &[Digest]) -> Vec<Digest> {
    left[..left.len().min(AT_ONCE)].to_vec()
}

/// Begins to remove a repository that was deleted before an instant, unless somebody has brought it back.
async fn begin_purge(tx: &mut Tx, repository: RepositoryId, undo: Timestamp) -> Result<bool, Error> {
    tags::lock_changes(tx).await?;
    match garbage::standing(tx, repository).await? {
        Standing::Deleted(at) if at < undo => Ok(garbage::begin_purge(tx, repository).await?),
        Standing::Deleted(_) | Standing::Present | Standing::Purged | Standing::Gone => Ok(false),
    }
}

/// Takes from a repository those manifests that still have no root, until the turn is over.
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
            // Signatures that hang on them by their names go with them (semantics 6).
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

/// Takes from a repository those blobs that still no manifest names, until the turn is over.
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

/// Forgets manifests or blobs that still no repository has, until the turn is over.
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
