//! A blob of another registry as one unbroken stream: if the connection breaks, the download is resumed with a Range
//! request. The bytes are verified when they are stored.

use super::halt::Halt;
use crate::{
    journal::Journal,
    trouble::{Trouble, by_digest},
};
use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use longshore_content::ByteStream;
use longshore_oci::{Digest, RemoteName};
use longshore_remote::{BlobStream, ContentEncoding, Error, Failure, Registry};
use metrics::counter;
use parking_lot::Mutex;
use std::{io, sync::Arc, time::Duration};

/// The number of reconnects without [`PROGRESS`] between them before the download fails.
const RECONNECTS: u32 = 4;
/// The number of bytes after which earlier breaks no longer count.
const PROGRESS: u64 = 1024 * 1024;
/// The delay between a break and the next attempt; a registry that restarts needs a moment.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of a stream besides its bytes. `content` only reports that it ended early; the cause is kept here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    bytes: u64,
    trouble: Option<Trouble>,
    encoding: Option<ContentEncoding>,
}

impl Report {
    /// The cause, if the stream failed. Returned only once.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.with(|told| told.trouble.take())
    }

    /// The number of bytes that the stream has returned.
    pub(crate) fn bytes(&self) -> u64 {
        self.with(|told| told.bytes)
    }

    /// The content encoding, if there was one.
    pub(crate) fn encoding(&self) -> Option<ContentEncoding> {
        self.with(|told| told.encoding.clone())
    }

    fn came_as(&self, encoding: ContentEncoding) {
        self.with(|told| told.encoding = Some(encoding));
    }

    fn gave(&self, bytes: u64) {
        self.with(|told| told.bytes += bytes);
    }

    fn failed(&self, trouble: Trouble) -> io::Error {
        let error = io::Error::other(trouble.to_string());
        self.with(|told| told.trouble = Some(trouble));
        error
    }

    fn with<T>(&self, act: impl FnOnce(&mut Told) -> T) -> T {
        act(&mut self.0.lock())
    }
}

/// The download of one blob, which survives broken connections.
pub(crate) struct Fetch {
    registry: Registry,
    repository: RemoteName,
    digest: Digest,
    size: u64,
    /// The number of bytes that the stream has returned.
    offset: u64,
    open: Option<Open>,
    breaks: u32,
    broke_at: u64,
    halt: Halt,
    reading: Reading,
    /// Whether the content is being decoded, so that the download cannot be resumed by Range.
    decodes: bool,
    report: Report,
}

/// How to read content that has an unexpected encoding: some proxies compress responses, and some stores declare that
/// compressed layers are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As is if the content has the expected length, and decoded otherwise.
    ByLength,
    /// The other way round, since `ByLength` returned other content.
    Otherwise,
}

struct Open {
    stream: BlobStream,
    /// The number of bytes still to be skipped if the registry does not support ranges.
    skip: u64,
}

impl Fetch {
    /// A download that sends no request before the stream is read.
    pub(crate) fn new(
        registry: Registry,
        repository: RemoteName,
        digest: Digest,
        size: u64,
        halt: Halt,
        reading: Reading,
    ) -> Self {
        let (offset, open, breaks, broke_at) = (0, None, 0, 0);
        let (decodes, report) = (false, Report::default());
        Self {
            registry,
            repository,
            digest,
            size,
            offset,
            open,
            breaks,
            broke_at,
            halt,
            reading,
            decodes,
            report,
        }
    }

    /// The blob's bytes. Progress is counted in `journal`; `report` receives the cause of a failure.
    pub(crate) fn stream(mut self, journal: Journal, report: Report) -> ByteStream {
        self.report = report.clone();
        futures::stream::unfold(Some(self), move |fetch| {
            let (journal, report) = (journal.clone(), report.clone());
            async move {
                let mut fetch = fetch?;
                match fetch.next().await {
                    Ok(Some(bytes)) => {
                        journal.bytes(bytes.len() as u64);
                        report.gave(bytes.len() as u64);
                        counter!("longshore_transfer_bytes_total", "direction" => "in")
                            .increment(bytes.len() as u64);
                        Some((Ok(bytes), Some(fetch)))
                    }
                    Ok(None) => None,
                    Err(trouble) => Some((Err(report.failed(trouble)), None)),
                }
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            let step = match &mut self.open {
                Some(open) => open.next().await,
                None if self.offset == self.size && self.offset > 0 => return Ok(None),
                None => match self.reopen().await {
                    Ok(open) => {
                        self.open = Some(open);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match step {
                Ok(Some(bytes)) => {
                    self.offset += bytes.len() as u64;
                    if self.offset > self.size {
                        return Err(self.too_long());
                    }
                    return Ok(Some(bytes));
                }
                // A stream that ends early is detected by the verification, which also knows the size.
                Ok(None) => return Ok(None),
                Err(error) => self.broken(error).await?,
            }
        }
    }

    async fn reopen(&mut self) -> Result<Open, Error> {
        let from = if self.decodes { 0 } else { self.offset };
        let mut stream = self.registry.get_blob(&self.repository, &self.digest, from).await?;
        if let Some(encoding) = stream.encoding.clone() {
            self.report.came_as(encoding.clone());
            let is_as_long = stream.size == Some(self.size);
            if encoding.is_known() && (self.decodes || is_as_long == (self.reading == Reading::Otherwise)) {
                if from > 0 {
                    stream = self.registry.get_blob(&self.repository, &self.digest, 0).await?;
                }
                self.decodes = true;
                let doing = format!("fetching blob {} of {}", self.digest.short(), self.repository);
                stream = stream.decoded(self.registry.host(), &doing);
            }
        }
        let skip = self.offset.saturating_sub(stream.offset);
        Ok(Open { stream, skip })
    }

    /// Handles an error: returns `Ok` if the download should be resumed.
    async fn broken(&mut self, error: Error) -> Result<(), Trouble> {
        self.open = None;
        // A registry that refuses a range may still send the whole blob.
        let refusals = [
            StatusCode::RANGE_NOT_SATISFIABLE,
            StatusCode::BAD_REQUEST,
            StatusCode::FORBIDDEN,
            StatusCode::NOT_IMPLEMENTED,
        ];
        let is_refused = !error.is_transient() && error.status().is_some_and(|it| refusals.contains(&it));
        let no_range = is_refused || matches!(error, Error::BadAnswer { .. });
        if (self.offset > 0 && no_range) || (self.decodes && matches!(error, Error::BadAnswer { .. })) {
            return Err(Trouble::WrongContent(error.to_string()));
        }
        if self.offset - self.broke_at >= PROGRESS {
            self.breaks = 0;
        }
        // Before the first byte there is nothing to resume, so the retry is left to the job.
        if !error.is_transient() || self.offset == 0 || self.breaks >= RECONNECTS {
            return Err(by_digest(error));
        }
        // If the run has stopped, so does this download.
        self.halt.check()?;
        let hung = matches!(
            error,
            Error::Network { failure: Failure::Timeout { .. } | Failure::TooSlow { .. }, .. }
        );
        // Each timeout costs a minute, so there is only one more attempt.
        self.breaks += if hung { RECONNECTS } else { 1 };
        self.broke_at = self.offset;
        tracing::debug!(digest = %self.digest, offset = self.offset, %error, "resuming a blob");
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    fn too_long(&self) -> Trouble {
        Trouble::WrongContent(format!(
            "{} sends more than the {} bytes that the blob {} has; it was not stored",
            self.registry.host(),
            self.size,
            self.digest.short()
        ))
    }
}

impl Open {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(bytes) = self.stream.next().await {
            let mut bytes = bytes?;
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            // A chunk is far smaller than `usize::MAX`.
            let bytes = bytes.split_off(usize::try_from(skipped).unwrap_or(bytes.len()));
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}
