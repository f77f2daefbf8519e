//! Looking whether what is stored is still what it was: each blob is read and hashed again, each
//! manifest's bytes too. Damage is told and, where somebody has sound bytes, mended. What lies in the
//! store and belongs to nothing is removed. When this is done, and who has sound bytes, is `engine`'s
//! business.

use crate::Content;
use crate::blobs::Stored;
use crate::error::Error;
use crate::hash::Hasher;
use crate::intake::take_in;
use crate::store::{ByteStream, StoreError, off_thread};
use futures::{FutureExt, StreamExt};
use jiff::SignedDuration;
use longshore_metadata::{blobs, garbage, manifests};
use longshore_model::UploadId;
use longshore_oci::{Digest, RepositoryName, Span};

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
    /// It cannot be read to its end.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Its bytes are others.
    #[error("its bytes are others: their digest is {0}")]
    OtherBytes(Digest),
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

    async fn compare(&self, digest: &Digest, mut stream: ByteStream) -> Result<Option<Damage>, StoreError> {
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Some(Damage::Unreadable(error.to_string()))),
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
