//! A stored blob as the source of an upload, which can be read again if the upload has to be repeated.

use crate::{journal::Journal, trouble::Trouble};
use futures::{StreamExt, TryStreamExt, future::BoxFuture};
use longshore_content::Content;
use longshore_model::Repository;
use longshore_oci::{Digest, Span};
use longshore_remote::{Source, SourceError, SourceStream};
use metrics::counter;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A blob of a local repository. The progress of its upload is counted in the journal.
pub(super) struct Stored {
    content: Content,
    repository: Repository,
    digest: Digest,
    size: u64,
    journal: Journal,
    /// The number of bytes counted as sent.
    sent: Arc<AtomicU64>,
}

impl Stored {
    pub(super) async fn find(
        content: &Content,
        repository: &Repository,
        digest: &Digest,
        journal: &Journal,
    ) -> Result<Self, Trouble> {
        let (info, _) = content.read_blob(repository, digest, None).await?;
        Ok(Self {
            content: content.clone(),
            repository: repository.clone(),
            digest: digest.clone(),
            size: info.size,
            journal: journal.clone(),
            sent: Arc::default(),
        })
    }

    /// Subtracts the counted bytes, because they were sent in vain.
    pub(super) fn lost(&self) {
        self.journal.bytes_lost(self.sent.swap(0, Ordering::Relaxed));
    }
}

impl Source for Stored {
    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self, part: Span) -> BoxFuture<'_, Result<SourceStream, SourceError>> {
        Box::pin(async move {
            // Anything sent from this offset on is sent again.
            let before = self.sent.swap(part.start, Ordering::Relaxed);
            self.journal.bytes_lost(before.saturating_sub(part.start));
            let (_, bytes) = self.content.read_blob(&self.repository, &self.digest, Some(part)).await?;
            let (journal, sent) = (self.journal.clone(), self.sent.clone());
            let counted = bytes.inspect_ok(move |bytes| {
                let count = bytes.len() as u64;
                sent.fetch_add(count, Ordering::Relaxed);
                journal.bytes(count);
                counter!("longshore_transfer_bytes_total", "direction" => "out").increment(count);
            });
            Ok(counted.map_err(SourceError::from).boxed())
        })
    }
}
