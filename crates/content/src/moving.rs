//! Moving the blobs of a registry to another store and database: each is read once, verified on the
//! way, and recorded over there when it is durable. The rows of everything else are `metadata`'s.

use crate::Content;
use crate::error::Error;
use crate::garbage::Freed;
use crate::scrub::Damage;
use crate::store::{ByteStream, location_of};
use futures::FutureExt;
use longshore_metadata::blobs::{self, BlobRow};
use longshore_metadata::{Conn, garbage};
use longshore_oci::{Digest, Span};
use std::io;

/// A blob that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a blob that was to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was copied.
    Copied,
    /// It was there from an earlier attempt.
    There,
    /// It is damaged where it comes from, for this reason. The other registry knows it as damaged.
    Damaged(String),
    /// It was collected as garbage meanwhile, where it came from.
    Gone,
}

/// What is wrong with a blob that could not be copied.
///
/// # Errors
/// The error itself, where it is not the blob's fault.
fn damage(error: Error) -> Result<String, Error> {
    match &error {
        Error::DigestMismatch { actual, .. } => Ok(Damage::OtherBytes(actual.clone()).to_string()),
        Error::BrokenOff(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            Ok(Damage::Missing(source.to_string()).to_string())
        }
        Error::Storage(source) if source.is_missing() => Ok(Damage::Missing(source.to_string()).to_string()),
        _ => Err(error),
    }
}

impl Content {
    /// Copies the first blob that `named_in` names behind `after`, in the order of digests, to another
    /// registry's content; nothing behind the last. `named_in` reads this registry's database, now or as it
    /// was at some instant.
    ///
    /// # Errors
    /// The stores and the databases.
    pub async fn copy_next_blob(
        &self,
        named_in: &mut Conn,
        to: &Self,
        after: Option<&Digest>,
    ) -> Result<Option<Moved>, Error> {
        let Some((digest, blob)) = blobs::next(named_in, after).await? else { return Ok(None) };
        let fate = match to.has_whole(&digest).await? {
            true => Fate::There,
            false => match self.copy_blob(to, &digest, &blob).await {
                Ok(()) => Fate::Copied,
                Err(error) => match blobs::find(&mut self.0.db.read().await?, &digest).await? {
                    // It may have been pushed again, to another place.
                    Some(now) if now == blob => {
                        let why = damage(error)?;
                        to.note_lost(&digest, blob.size).await?;
                        Fate::Damaged(why)
                    }
                    Some(_) | None => Fate::Gone,
                },
            },
        };
        Ok(Some(Moved { digest, size: blob.size, fate }))
    }

    /// Records a blob of which the bytes were lost.
    async fn note_lost(&self, digest: &Digest, size: u64) -> Result<(), Error> {
        let (digest, now) = (digest.clone(), self.now());
        self.write(move |tx| {
            async move {
                blobs::record(tx, &digest, size, &location_of(&digest), now).await?;
                Ok::<_, Error>(blobs::note_damage(tx, &digest, Some(now)).await?)
            }
            .boxed()
        })
        .await
    }

    async fn copy_blob(&self, to: &Self, digest: &Digest, blob: &BlobRow) -> Result<(), Error> {
        let span = Span { start: 0, length: blob.size };
        let body = match blob.size {
            0 => Box::pin(futures::stream::empty()),
            _ => self.0.store.read(&blob.location, span).await?,
        };
        to.adopt_blob(digest, blob.size, body).await
    }

    /// Stores and records a blob that no repository has yet.
    async fn adopt_blob(&self, digest: &Digest, size: u64, body: ByteStream) -> Result<(), Error> {
        let stored = self.store_verified(digest, body).await?;
        let (of, at, now) = (digest.clone(), stored.location().to_owned(), self.now());
        self.write(move |tx| {
            async move { Ok::<_, Error>(blobs::record(tx, &of, size, &at, now).await.map(drop)?) }.boxed()
        })
        .await
    }

    /// Strikes the blobs that `named_in` does not name from the database; answers how many. Their bytes stay
    /// until [`Content::drop_condemned_blobs`].
    ///
    /// # Errors
    /// The databases.
    pub async fn condemn_blobs_unnamed_in(&self, named_in: &mut Conn) -> Result<u64, Error> {
        let (mut after, mut condemned) = (None, 0);
        loop {
            let next = blobs::next(&mut self.0.db.read().await?, after.as_ref()).await?;
            let Some((digest, blob)) = next else { return Ok(condemned) };
            if blobs::find(named_in, &digest).await?.is_none() {
                let unnamed = digest.clone();
                self.write(move |tx| {
                    async move {
                        blobs::forget(tx, &unnamed).await?;
                        Ok::<_, Error>(garbage::condemn(tx, &blob.location, blob.size).await?)
                    }
                    .boxed()
                })
                .await?;
                condemned += 1;
            }
            after = Some(digest);
        }
    }

    /// Removes the bytes of blobs that were struck from the database, now or in an earlier attempt. To be
    /// called when nothing else names them any more.
    ///
    /// # Errors
    /// The store and the database.
    pub async fn drop_condemned_blobs(&self) -> Result<(), Error> {
        self.remove_condemned(&mut Freed::default()).await
    }
}
