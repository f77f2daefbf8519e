//! Removing what nothing needs any more (semantics 23), beside running pushes: every step is a small
//! transaction that looks again before it removes, and a blob's bytes go last, after its row. What
//! counts as needed is written down in `metadata`; when to collect, `engine` decides.

use crate::Content;
use crate::error::Error;
use futures::FutureExt;
use jiff::SignedDuration;
use longshore_metadata::garbage::{self, Cutoffs, Standing};
use longshore_metadata::{Tx, repositories, tags, uploads};
use longshore_model::{Author, RepositoryId, Timestamp, UploadId};
use longshore_oci::Digest;
use std::collections::HashMap;
use std::convert::Infallible;

/// How many rows one transaction removes; others wait for it.
const AT_ONCE: i64 = 200;

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

/// What one repository loses.
#[derive(Default)]
struct Loss {
    repositories: u64,
    manifests: u64,
    blobs: Vec<Digest>,
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
            let loss = self.write(move |tx| clean(tx, repository, cutoffs, now).boxed()).await?;
            freed.repositories += loss.repositories;
            freed.manifests += loss.manifests;
        }
        let forget = || self.write(move |tx| forget(tx, cutoffs).boxed());
        while forget().await? {}
        self.remove_condemned(&mut freed).await?;
        Ok(freed)
    }

    /// What [`Content::collect_garbage`] would remove now: the same steps, each undone again.
    ///
    /// # Errors
    /// The database.
    pub async fn find_garbage(&self, retention: &Retention) -> Result<Freed, Error> {
        let cutoffs = retention.cutoffs(self.now());
        let mut found = Freed::default();
        let mut lost: HashMap<Digest, u64> = HashMap::new();
        let mut after = None;
        while let Some(repository) = self.next_repository(&mut after).await? {
            let loss = self.rehearse(repository, cutoffs).await?;
            found.repositories += loss.repositories;
            found.manifests += loss.manifests;
            for blob in loss.blobs {
                *lost.entry(blob).or_default() += 1;
            }
        }
        let mut conn = self.0.db.read().await?;
        found.uploads = garbage::stale_uploads(&mut conn, &cutoffs).await?.len() as u64;
        (found.blobs, found.bytes) = garbage::loose_blobs(&mut conn, &cutoffs).await?;
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

    /// What [`clean`] does, undone again.
    async fn rehearse(&self, repository: RepositoryId, cutoffs: Cutoffs) -> Result<Loss, Error> {
        let now = self.now();
        let outcome = self.write::<Infallible, Undone>(move |tx| {
            async move {
                let cleaned = clean(tx, repository, cutoffs, now).await;
                Err(cleaned.map_or_else(Undone::Failed, Undone::Rehearsed))
            }
            .boxed()
        });
        match outcome.await {
            Err(Undone::Rehearsed(loss)) => Ok(loss),
            Err(Undone::Failed(error)) => Err(error),
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
            let condemned = garbage::condemned(&mut self.0.db.read().await?, AT_ONCE).await?;
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

/// Takes from one repository what no root of it leads to.
async fn clean(
    tx: &mut Tx,
    repository: RepositoryId,
    cutoffs: Cutoffs,
    now: Timestamp,
) -> Result<Loss, Error> {
    tags::lock_changes(tx).await?;
    match garbage::standing(tx, repository).await? {
        Standing::Present => {}
        Standing::Deleted(at) if at < cutoffs.undo => {
            let (manifests, blobs) = garbage::purge(tx, repository).await?;
            return Ok(Loss { repositories: 1, manifests, blobs });
        }
        Standing::Deleted(_) | Standing::Gone => return Ok(Loss::default()),
    }
    let rootless = garbage::rootless_manifests(tx, repository, &cutoffs).await?;
    if let Some(found) = repositories::get(tx, repository).await? {
        for digest in &rootless {
            // Signatures that hang on it by their names go with it (semantics 6).
            for tag in tags::digest_tags_of(tx, repository, digest).await? {
                tags::remove(tx, &found, &tag.name, &Author::System, now).await?;
            }
            garbage::unlink_manifest(tx, repository, digest).await?;
        }
    }
    let blobs = garbage::unlink_loose_blobs(tx, repository, &cutoffs).await?;
    Ok(Loss { repositories: 0, manifests: rootless.len() as u64, blobs })
}

/// The end of a transaction that is undone in any case.
enum Undone {
    Rehearsed(Loss),
    Failed(Error),
}

impl From<longshore_metadata::Error> for Undone {
    fn from(error: longshore_metadata::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Forgets some manifests and blobs that no repository has; whether there may be more.
async fn forget(tx: &mut Tx, cutoffs: Cutoffs) -> Result<bool, Error> {
    tags::lock_changes(tx).await?;
    let manifests = garbage::forget_manifests(tx, &cutoffs, AT_ONCE).await?;
    let blobs = garbage::condemn_blobs(tx, &cutoffs, AT_ONCE).await?;
    Ok(manifests + blobs > 0)
}
