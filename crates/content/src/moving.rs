//! Moving the blobs of a registry to another store and database: each is read once, verified on the
//! way, and recorded over there when it is durable. The rows of everything else are `metadata`'s.

use crate::Content;
use crate::error::Error;
use crate::store::ByteStream;
use futures::FutureExt;
use longshore_metadata::blobs;
use longshore_oci::{Digest, Span};

/// A blob that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it had to be copied, and was not there from an earlier attempt.
    pub copied: bool,
}

impl Content {
    /// Copies the first stored blob behind `after`, in the order of digests, to another registry's
    /// content; nothing behind the last.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] and [`Error::BrokenOff`] for a blob that is damaged; the stores and the
    /// databases.
    pub async fn copy_next_blob(&self, to: &Self, after: Option<&Digest>) -> Result<Option<Moved>, Error> {
        let next = blobs::next(&mut self.0.db.read().await?, after).await?;
        let Some((digest, blob)) = next else { return Ok(None) };
        let copied = blobs::find(&mut to.0.db.read().await?, &digest).await?.is_none();
        if copied {
            let span = Span { start: 0, length: blob.size };
            let body = match blob.size {
                0 => Box::pin(futures::stream::empty()),
                _ => self.0.store.read(&blob.location, span).await?,
            };
            to.adopt_blob(&digest, blob.size, body).await?;
        }
        Ok(Some(Moved { digest, size: blob.size, copied }))
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
}
