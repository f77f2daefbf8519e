//! Moves the blobs of a registry to another store and database: each is read once, verified on the way, and recorded
//! there when it is durable. `metadata` moves all other rows.

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

/// A blob that was processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub fate: Fate,
}

/// The outcome for a blob that was to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Copied,
    /// It already existed, from an earlier attempt.
    There,
    /// It is damaged at the source, for this reason, and was recorded as damaged at the target.
    Damaged(String),
    /// It was collected as garbage at the source in the meantime.
    Gone,
}

/// Describes why a blob could not be copied, if the blob is damaged.
///
/// # Errors
/// The error itself, if its cause is something else.
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
    /// Copies the first blob after `after` that `named_in` has, ordered by digest, to another registry's content;
    /// `None` after the last one. `named_in` reads this registry's database, now or in a snapshot.
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
                    // Otherwise it may have been pushed again, to another location.
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

    /// Records a blob whose bytes are lost.
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

    /// Removes the rows of the blobs that `named_in` does not have; returns the number of them. Their bytes stay until
    /// [`Content::drop_condemned_blobs`] is called.
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

    /// Removes the bytes of blobs whose rows were removed, now or in an earlier attempt. To be called when nothing else
    /// refers to them any more.
    ///
    /// # Errors
    /// The store and the database.
    pub async fn drop_condemned_blobs(&self) -> Result<(), Error> {
        self.remove_condemned(&mut Freed::default()).await
    }
}
