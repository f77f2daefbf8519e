//! Verifies stored content: each blob and each manifest is read and hashed again. Damage is reported and repaired if
//! there are intact bytes elsewhere, and bytes in the store that belong to nothing are removed. `engine` decides when,
//! and fetches the intact bytes.

use crate::Content;
use crate::blobs::Stored;
use crate::error::Error;
use crate::hash::{Hasher, digest_of};
use crate::intake::take_in;
use crate::store::{ByteStream, StoreError, off_thread};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use longshore_metadata::blobs::{self, BlobRow};
use longshore_metadata::counters::{self, Miscount, Scope};
use longshore_metadata::{garbage, manifests};
use longshore_model::UploadId;
use longshore_oci::{Digest, RepositoryName, Span};
use std::collections::HashSet;
use std::io;

/// The number of rows in one read.
const AT_ONCE: i64 = 200;
/// Bytes that have been in the store for less than this may belong to a running push.
const SETTLED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A stored blob that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// `None` if it is intact.
    pub damage: Option<Damage>,
}

/// What is wrong with a stored blob or manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It cannot be read now, which may be temporary.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It does not exist, or is incomplete.
    #[error("it is missing or incomplete: {0}")]
    Missing(String),
    /// Its bytes have changed.
    #[error("its bytes have changed: their digest is now {0}")]
    OtherBytes(Digest),
}

impl Damage {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Missing(error.to_string()),
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

impl Content {
    /// The number of stored blobs, and the sum of their bytes.
    ///
    /// # Errors
    /// The database.
    pub async fn stored(&self) -> Result<(u64, u64), Error> {
        Ok(blobs::totals(&mut self.0.db.read().await?).await?)
    }

    /// Checks the first stored blob after `after`, ordered by digest; `None` after the last one.
    ///
    /// # Errors
    /// The database.
    pub async fn check_next_blob(&self, after: Option<&Digest>) -> Result<Option<Checked>, Error> {
        let next = blobs::next(&mut self.0.db.read().await?, after).await?;
        let Some((digest, blob)) = next else { return Ok(None) };
        let read = self.0.store.read(&blob.location, Span { start: 0, length: blob.size }).await;
        let damage = match read {
            Ok(stream) if blob.size > 0 => self.compare(&digest, stream).await?,
            Ok(_) => None,
            Err(error) if error.is_missing() => Some(Damage::Missing(error.to_string())),
            Err(error) => Some(Damage::Unreadable(error.to_string())),
        };
        // It may have been removed as garbage while it was read.
        let damage = match damage {
            Some(_) if blobs::find(&mut self.0.db.read().await?, &digest).await?.as_ref() != Some(&blob) => {
                None
            }
            damage => damage,
        };
        Ok(Some(Checked { digest, size: blob.size, damage }))
    }

    /// Whether a blob is stored completely, as far as that can be determined without reading all of it.
    pub(crate) async fn has_whole(&self, digest: &Digest) -> Result<bool, Error> {
        let found = blobs::find_sound(&mut self.0.db.read().await?, digest).await?;
        let Some(BlobRow { size, location }) = found else { return Ok(false) };
        let Some(start) = size.checked_sub(1) else { return Ok(true) };
        let read = match self.0.store.read(&location, Span { start, length: 1 }).await {
            Ok(mut stream) => stream.try_next().await.map_err(|source| StoreError::Unreadable { source }),
            Err(error) => Err(error),
        };
        match read {
            Ok(last) => Ok(last.is_some()),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The blobs that are recorded as damaged.
    ///
    /// # Errors
    /// The database.
    pub async fn known_damage(&self) -> Result<HashSet<Digest>, Error> {
        Ok(blobs::damaged(&mut self.0.db.read().await?).await?.into_iter().collect())
    }

    /// Records whether a blob is damaged. To pushes and pulls, a damaged blob does not exist until it is pushed or
    /// fetched again, or found to be intact.
    ///
    /// # Errors
    /// The database.
    pub async fn note_damage(&self, blob: &Digest, is_damaged: bool) -> Result<(), Error> {
        let (blob, since) = (blob.clone(), is_damaged.then(|| self.now()));
        self.write(move |tx| {
            async move { Ok::<_, Error>(blobs::note_damage(tx, &blob, since).await?) }.boxed()
        })
        .await
    }

    async fn compare(&self, digest: &Digest, mut stream: ByteStream) -> Result<Option<Damage>, StoreError> {
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Some(Damage::of(&error))),
            };
            hasher = off_thread(move || {
                hasher.update(&chunk);
                hasher
            })
            .await?;
        }
        let actual = hasher.finish();
        Ok((actual != *digest).then_some(Damage::OtherBytes(actual)))
    }

    /// The manifests whose stored bytes no longer match their digests.
    ///
    /// # Errors
    /// The database.
    pub async fn damaged_manifests(&self) -> Result<Vec<(Digest, Damage)>, Error> {
        let (mut damaged, mut after) = (Vec::new(), None);
        loop {
            let some = manifests::page(&mut self.0.db.read().await?, after.as_ref(), AT_ONCE).await?;
            let Some((last, _)) = some.last() else { return Ok(damaged) };
            after = Some(last.clone());
            for (digest, bytes) in some {
                let mut hasher = Hasher::new(digest.algorithm());
                hasher.update(&bytes);
                let actual = hasher.finish();
                if actual != digest {
                    damaged.push((digest, Damage::OtherBytes(actual)));
                }
            }
        }
    }

    /// The repositories that have a blob.
    ///
    /// # Errors
    /// The database.
    pub async fn repositories_with(&self, blob: &Digest) -> Result<Vec<RepositoryName>, Error> {
        Ok(blobs::repositories_with(&mut self.0.db.read().await?, blob).await?)
    }

    /// The repositories that have a manifest.
    ///
    /// # Errors
    /// The database.
    pub async fn repositories_with_manifest(&self, manifest: &Digest) -> Result<Vec<RepositoryName>, Error> {
        Ok(manifests::repositories_with(&mut self.0.db.read().await?, manifest).await?)
    }

    /// Replaces the bytes of a damaged manifest.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; the database.
    pub async fn mend_manifest(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let actual = digest_of(digest.algorithm(), &bytes);
        if actual != *digest {
            return Err(Error::DigestMismatch { expected: digest.clone(), actual });
        }
        let digest = digest.clone();
        self.write(move |tx| {
            async move { Ok::<_, Error>(manifests::mend(tx, &digest, &bytes).await?) }.boxed()
        })
        .await
    }

    /// Replaces the bytes of a damaged blob.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; [`Error::BrokenOff`]; the store and the database.
    pub async fn mend_blob(&self, digest: &Digest, body: ByteStream) -> Result<(), Error> {
        let stored = self.store_verified(digest, body).await?;
        let (of, at) = (digest.clone(), stored.location().to_owned());
        self.write(move |tx| async move { Ok::<_, Error>(blobs::relocate(tx, &of, &at).await?) }.boxed())
            .await
    }

    /// Stores a body if it has this digest; otherwise keeps nothing.
    pub(crate) async fn store_verified(
        &self,
        digest: &Digest,
        body: ByteStream,
    ) -> Result<Stored<'_>, Error> {
        let upload = UploadId::new();
        let stored = async {
            let mut writer = self.0.store.begin(upload).await?;
            let intake = take_in(body, writer.as_mut(), Hasher::new(digest.algorithm())).await?;
            if let Some(error) = intake.broken {
                return Err(Error::BrokenOff(error));
            }
            let actual = intake.hasher.finish();
            if actual != *digest {
                return Err(Error::DigestMismatch { expected: digest.clone(), actual });
            }
            writer.seal().await?;
            self.store(upload, digest).await
        };
        match stored.await {
            Ok(stored) => Ok(stored),
            Err(error) => {
                self.0.store.abort(upload, None).await?;
                Err(error)
            }
        }
    }

    /// Compares the counters of the first scope after `after` with the rows, and recounts them if they differ. Returns
    /// the scope and the differences; `None` after the last scope.
    ///
    /// # Errors
    /// The database.
    pub async fn check_next_count(
        &self,
        after: Option<&Scope>,
    ) -> Result<Option<(Scope, Vec<Miscount>)>, Error> {
        let mut conn = self.0.db.read().await?;
        let Some(scope) = counters::next(&mut conn, after).await? else { return Ok(None) };
        if counters::miscounts(&mut conn, &scope).await?.is_empty() {
            return Ok(Some((scope, Vec::new())));
        }
        drop(conn);
        let of = scope.clone();
        let write = self.write(move |tx| {
            async move {
                // Rows may have been added or removed between the two counts.
                let miscounts = counters::miscounts(tx, &of).await?;
                if !miscounts.is_empty() {
                    counters::recount(tx, &of).await?;
                }
                Ok::<_, Error>(miscounts)
            }
            .boxed()
        });
        Ok(Some((scope, write.await?)))
    }

    /// Removes bytes that have been in the store for a week and that no row names. A server that dies between storing a
    /// blob and recording it leaves such bytes, and so does a restore from a backup. Returns the number of blobs and
    /// bytes.
    ///
    /// # Errors
    /// The store and the database.
    pub async fn drop_stray_blobs(&self) -> Result<(u64, u64), Error> {
        let before = self.now() - SETTLED;
        let (mut dropped, mut bytes) = (0, 0);
        let mut kept = self.0.store.blobs();
        while let Some(kept) = kept.next().await {
            let kept = kept?;
            if kept.modified >= before {
                continue;
            }
            // No blob may be stored in the meantime: it could be stored at this location.
            let _alone = self.0.storing.write().await;
            if !garbage::is_known(&mut self.0.db.read().await?, &kept.location).await? {
                self.0.store.remove(&kept.location).await?;
                dropped += 1;
                bytes += kept.size;
            }
        }
        Ok((dropped, bytes))
    }
}
