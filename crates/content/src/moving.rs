//! Moving the blobs of a registry to another store and database: each is read once, verified on the
//! way, and recorded over there when it is durable. The rows of everything else are `metadata`'s.

use crate::Content;
use crate::error::Error;
use crate::store::ByteStream;
use futures::FutureExt;
use longshore_metadata::Conn;
use longshore_metadata::blobs::{self, BlobRow};
use longshore_oci::{Digest, Span};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was copied.
    Copied,
    /// It was there from an earlier attempt.
    There,
    /// It was collected as garbage meanwhile, where it came from.
    Gone,
}

impl Content {
    /// Copies the first blob that `named_in` names behind `after`, in the order of digests, to another
    /// registry's content; nothing behind the last. `named_in` reads this registry's database, now or as it
    /// was at some instant.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] and [`Error::BrokenOff`] for a blob that is damaged; the stores and the
    /// databases.
    pub async fn copy_next_blob(
        &self,
        named_in: &mut Conn,
        to: &Self,
        after: Option<&Digest>,
    ) -> Result<Option<Moved>, Error> {
        let Some((digest, blob)) = blobs::next(named_in, after).await? else { return Ok(None) };
        let fate = match blobs::find(&mut to.0.db.read().await?, &digest).await? {
            Some(_) => Fate::There,
            None => match self.copy_blob(to, &digest, &blob).await {
                Ok(()) => Fate::Copied,
                Err(error) => match blobs::find(&mut self.0.db.read().await?, &digest).await? {
                    // It may have been pushed again, to another place.
                    Some(now) if now == blob => return Err(error),
                    Some(_) | None => Fate::Gone,
                },
            },
        };
        Ok(Some(Moved { digest, size: blob.size, fate }))
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

    /// Removes the blobs that `named_in` does not name; answers how many. To be called where nobody else
    /// writes, when the rows of `named_in` have taken the place of those that named them.
    ///
    /// # Errors
    /// The store and the databases.
    pub async fn drop_blobs_unnamed_in(&self, named_in: &mut Conn) -> Result<u64, Error> {
        let (mut after, mut dropped) = (None, 0);
        loop {
            let next = blobs::next(&mut self.0.db.read().await?, after.as_ref()).await?;
            let Some((digest, blob)) = next else { return Ok(dropped) };
            if blobs::find(named_in, &digest).await?.is_none() {
                let unnamed = digest.clone();
                self.write(move |tx| {
                    async move { Ok::<_, Error>(blobs::forget(tx, &unnamed).await?) }.boxed()
                })
                .await?;
                self.0.store.remove(&blob.location).await?;
                dropped += 1;
            }
            after = Some(digest);
        }
    }
}
