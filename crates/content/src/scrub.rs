//! Looking whether what is stored is still what it was: each blob is read and hashed again, each
//! manifest's bytes too. Damage is told and, where somebody has sound bytes, mended. What lies in the
//! store and belongs to nothing is removed. When this is done, and who has sound bytes, is `engine`'s
//! business.

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

/// How many rows are looked up at once.
const AT_ONCE: i64 = 200;
/// What is in the store for a shorter time may belong to a push that goes on.
const SETTLED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A stored blob, as the scrub goes through them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What is wrong with it; nothing, when it is sound.
    pub damage: Option<Damage>,
}

/// What is wrong with something stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It cannot be read now, which may pass.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is not there, or not all of it.
    #[error("it is not all there: {0}")]
    Missing(String),
    /// Its bytes are others.
    #[error("its bytes are others: their digest is {0}")]
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
    /// How many blobs are stored, and how many bytes they have together.
    ///
    /// # Errors
    /// The database.
    pub async fn stored(&self) -> Result<(u64, u64), Error> {
        Ok(blobs::totals(&mut self.0.db.read().await?).await?)
    }

    /// Checks the first stored blob behind `after`, in the order of digests; nothing behind the last.
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

    /// Whether a blob is here to its last byte, as far as that can be told without reading all of it.
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

    /// The blobs that are known to be damaged.
    ///
    /// # Errors
    /// The database.
    pub async fn known_damage(&self) -> Result<HashSet<Digest>, Error> {
        Ok(blobs::damaged(&mut self.0.db.read().await?).await?.into_iter().collect())
    }

    /// Notes whether a blob is damaged. One that is damaged is in no repository until it is pushed again,
    /// fetched again or found sound; pushes and pulls are told that it is not there.
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

    /// The manifests whose stored bytes are not those of their digests any more, in one pass.
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

    /// Puts sound bytes in the place of a damaged manifest's.
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

    /// Puts sound bytes in the place of a damaged blob's.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; [`Error::BrokenOff`]; the store and the database.
    pub async fn mend_blob(&self, digest: &Digest, body: ByteStream) -> Result<(), Error> {
        let stored = self.store_verified(digest, body).await?;
        let (of, at) = (digest.clone(), stored.location().to_owned());
        self.write(move |tx| async move { Ok::<_, Error>(blobs::relocate(tx, &of, &at).await?) }.boxed())
            .await
    }

    /// Stores bytes that have this digest, and nothing of others.
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

    /// Compares the counters of the scope behind `after` with what is there, and counts anew where they differ.
    /// Answers the scope and what was wrong; none behind the last.
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
                // Something may have come or gone between the two numbers.
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

    /// Removes what the store has had for a week and no row names: a server that dies between storing
    /// a blob and recording it leaves such bytes, and so does one that is restored from a backup.
    /// Answers how many blobs and bytes.
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
            // Nobody stores a blob meanwhile: it might come to this very place.
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
