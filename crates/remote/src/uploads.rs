//! Pushes blobs to another registry: mount, monolithic and chunked upload, cancel (distribution-spec end-4a, 4b, 5,
//! 6, 11, 13, 14).

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE,
};
use http::{Method, StatusCode};
use longshore_model::remote::Quirks;
use longshore_oci::{Digest, ErrorCode, RemoteName, Scope, ScopeAction, Span};
use reqwest::Response;
use url::Url;

use crate::answer::{address, header};
use crate::transport::{Call, Payload, same_origin};
use crate::{Error, Failure, Registry};

/// The minimum chunk size that a registry requires, in bytes.
const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The first chunk size to try when a whole blob was too large, in bytes.
const LARGEST_CHUNK: u64 = 64 * 1024 * 1024;
/// The smallest chunk size to try, in bytes: below the limit of any proxy that accepts manifests.
const SMALLEST_CHUNK: u64 = 256 * 1024;
/// How often one blob is sent again because its token or upload expired during the transfer.
const RESTARTS: u32 = 3;
/// How often a blob is sent again after 400 or 409, which rarely pass.
const DOUBTS: u32 = 2;

/// Why content to upload cannot be read.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;
/// A stream of content.
pub type SourceStream = BoxStream<'static, Result<Bytes, SourceError>>;

/// Content to upload. It can be read repeatedly, since an upload may have to start over.
pub trait Source: Send + Sync {
    /// The length in bytes.
    fn size(&self) -> u64;

    /// Opens a stream of a part of the content.
    fn open(&self, part: Span) -> BoxFuture<'_, Result<SourceStream, SourceError>>;
}

/// Content in memory.
impl Source for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn open(&self, part: Span) -> BoxFuture<'_, Result<SourceStream, SourceError>> {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let bytes = self.slice(at(part.start)..at(part.start + part.length));
        Box::pin(async move { Ok(futures::stream::iter([Ok(bytes)]).boxed()) })
    }
}

/// An upload in progress. It is finished or cancelled once.
#[derive(Debug)]
#[must_use = "an upload that is neither finished nor cancelled lies around at the registry"]
pub struct Upload {
    location: Url,
    /// The minimum size of a chunk, except the last one.
    smallest: u64,
}

/// The outcome of a mount.
#[derive(Debug)]
pub enum Mount {
    /// The blob was mounted.
    Mounted,
    /// The registry did not mount the blob, and began an upload instead.
    Upload(Upload),
    /// The registry did not mount the blob.
    Refused,
}

impl Registry {
    /// Begins an upload.
    pub async fn start_upload(&self, repository: &RemoteName) -> Result<Upload, Error> {
        let doing = format!("beginning an upload to {repository}");
        let url = self.repository_url(repository, "blobs/uploads/");
        let call = Call::new(Method::POST, url.clone(), self.push_scopes(repository), doing.clone());
        let begun = [StatusCode::ACCEPTED, StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT];
        let response = self.expect(call, &begun).await?;
        self.upload_of(&url, &response, &doing)
    }

    /// Cancels an upload. It is no error if the registry does not support that or does not know the upload any more. An
    /// upload at a host other than the registry is left to expire: nothing is deleted at a host that only the registry
    /// named.
    pub async fn cancel_upload(&self, repository: &RemoteName, upload: Upload) -> Result<(), Error> {
        if !same_origin(&upload.location, &self.url("")) {
            return Ok(());
        }
        let doing = format!("cancelling an upload to {repository}");
        let call = Call::new(Method::DELETE, upload.location, self.push_scopes(repository), doing);
        let settled = [
            StatusCode::NO_CONTENT,
            StatusCode::OK,
            StatusCode::ACCEPTED,
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        self.expect(call, &settled).await.map(drop)
    }

    /// Mounts a blob from another repository of the registry, which must be readable with the same credentials. A
    /// refusal is no error, whatever its status: the blob can be uploaded. Fails if the registry is unreachable or
    /// limits requests.
    pub async fn mount_blob(
        &self,
        repository: &RemoteName,
        digest: &Digest,
        from: &RemoteName,
    ) -> Result<Mount, Error> {
        let doing = format!("mounting blob {} of {from} into {repository}", digest.short());
        let mut url = self.repository_url(repository, "blobs/uploads/");
        let source = self.endpoint().repository(from);
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", source.as_str());
        let mut scopes = self.push_scopes(repository);
        if from != repository {
            scopes.push(self.scope(from, &[ScopeAction::Pull]));
        }
        let call = Call::new(Method::POST, url.clone(), scopes, doing.clone());
        let response = match self.send(call).await {
            Ok(response) => response,
            Err(Error::Unauthorized { .. } | Error::Refused(_) | Error::BadAnswer { .. }) => {
                return Ok(Mount::Refused);
            }
            Err(error) => return Err(error),
        };
        Ok(match response.status() {
            StatusCode::CREATED => Mount::Mounted,
            StatusCode::ACCEPTED => {
                self.upload_of(&url, &response, &doing).map_or(Mount::Refused, Mount::Upload)
            }
            StatusCode::TOO_MANY_REQUESTS => return Err(self.refused(response, &doing).await),
            _ => Mount::Refused,
        })
    }

    /// Uploads a blob without holding it in memory; `begun` is the upload that a mount began. The registry verifies the
    /// digest. The blob is sent in one request, or in chunks if the registry or a proxy in front of it does not accept
    /// requests of that size; the accepted size is remembered. If the registry does not accept content with the closing
    /// request, the content is sent before it, which is remembered, too. If a token or the upload itself expires during
    /// the transfer, the blob is sent again from its start, a few times (semantics 40).
    pub async fn push_blob(
        &self,
        repository: &RemoteName,
        digest: &Digest,
        source: &dyn Source,
        begun: Option<Upload>,
    ) -> Result<(), Error> {
        let limit = self.request_limit().get();
        let apart = self.learned().wants_content_apart();
        let mut sending =
            Sending { registry: self, repository, digest, source, limit, apart, taken: false, whole: false };
        let (mut begun, mut restarts, mut doubts, mut refused) = (begun, 0, 0, None);
        loop {
            let upload = match begun.take() {
                Some(upload) => upload,
                None => self.start_upload(repository).await?,
            };
            let error = match sending.send(upload).await {
                Ok(()) => {
                    self.request_limit().learn(sending.limit);
                    if sending.apart {
                        self.learned().note_wants_content_apart();
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            tracing::debug!(%digest, %error, "an upload failed, and may begin anew");
            let anew = match &error {
                Error::Unauthorized { .. } => {
                    self.auth().forget(&self.push_scopes(repository)).await;
                    true
                }
                // Chunks get smaller each time, so this terminates.
                _ if is_too_large(&error) && sending.smaller() => {
                    refused.get_or_insert(error);
                    continue;
                }
                // Some proxies close the connection in the middle of a body that is too large for them.
                Error::Network { failure: Failure::Broken(_), .. } if sending.smaller() => {
                    refused.get_or_insert(error);
                    continue;
                }
                _ if sending.whole && is_unsupported(&error) => {
                    sending.apart = true;
                    refused.get_or_insert(error);
                    continue;
                }
                // Two servers behind one address that are not in sync yet, a store that lost a byte, or a registry that
                // ignores the body of a PUT.
                _ if is_doubtful(&error) && doubts < DOUBTS => {
                    doubts += 1;
                    if doubts == DOUBTS && sending.whole && error.status() != Some(StatusCode::CONFLICT) {
                        sending.apart = true;
                    }
                    refused.get_or_insert(error);
                    continue;
                }
                // The upload has expired, or its offset differs from ours.
                error => {
                    matches!(error.status(), Some(StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE))
                }
            };
            restarts += 1;
            if !anew || restarts > RESTARTS {
                // Where pieces are not taken at all, what became of the whole tells more than that.
                let tells = error.is_transient() || is_too_large(&error);
                return Err(refused.filter(|_| !tells).unwrap_or(error));
            }
        }
    }

    fn push_scopes(&self, repository: &RemoteName) -> Vec<Scope> {
        vec![self.scope(repository, &[ScopeAction::Pull, ScopeAction::Push])]
    }

    /// The upload that a response names: relative or absolute, with its query.
    fn upload_of(&self, asked: &Url, response: &Response, doing: &str) -> Result<Upload, Error> {
        let location = self.upload_address(asked, response, doing)?;
        let location = location.ok_or_else(|| self.bad_answer(doing, "no address to upload to"))?;
        let smallest = header(response.headers(), &CHUNK_MIN_LENGTH).and_then(|text| text.parse().ok());
        Ok(Upload { location, smallest: smallest.unwrap_or(0) })
    }

    /// Where an upload goes on: the Location of an answer, if it has one. Another host may be named, though no
    /// credentials go there; but what a registry is told over https goes nowhere in the clear.
    fn upload_address(&self, asked: &Url, response: &Response, doing: &str) -> Result<Option<Url>, Error> {
        let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
        let url = self
            .further_address(asked, &address(location))
            .ok_or_else(|| self.bad_answer(doing, "an address to upload to that is none"))?;
        if asked.scheme() == "https" && url.scheme() == "http" {
            return Err(self.bad_answer(doing, "an address to upload to that is not https"));
        }
        Ok(Some(url))
    }
}

struct Sending<'a> {
    registry: &'a Registry,
    repository: &'a RemoteName,
    digest: &'a Digest,
    source: &'a dyn Source,
    /// The most bytes per request; `None` means unlimited.
    limit: Option<u64>,
    /// Whether the closing request must have no content.
    apart: bool,
    /// Whether a chunk of that size was accepted.
    taken: bool,
    /// Whether it was sent last in the request that ends the upload.
    whole: bool,
}

impl Sending<'_> {
    /// Whether smaller chunks may be tried: half the rejected size.
    fn smaller(&mut self) -> bool {
        let refused = self.limit.unwrap_or(self.source.size()).min(self.source.size());
        if self.taken || refused <= SMALLEST_CHUNK {
            return false;
        }
        self.limit = Some((refused / 2).clamp(SMALLEST_CHUNK, LARGEST_CHUNK));
        true
    }

    async fn send(&mut self, mut upload: Upload) -> Result<(), Error> {
        let size = self.source.size();
        let doing = format!("uploading blob {} to {}", self.digest.short(), self.repository);
        self.taken = false;
        let chunk = self.limit.unwrap_or(u64::MAX).max(upload.smallest);
        self.whole = size > 0 && size <= chunk && !self.apart;
        if self.whole || size == 0 {
            return self.put(upload, Span { start: 0, length: size }, doing).await;
        }
        let mut offset = 0;
        while offset < size {
            let part = Span { start: offset, length: chunk.min(size - offset) };
            offset = match self.patch(&mut upload, part, &doing).await {
                // Said of the first piece, it is about the size and not about the place.
                Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE) && offset > 0 => {
                    match self.reached(&mut upload, &doing).await {
                        Ok(Some(reached)) if reached > offset && reached <= size => reached,
                        _ => return Err(error),
                    }
                }
                reached => reached?,
            };
            self.taken = true;
        }
        self.put(upload, Span { start: size, length: 0 }, doing).await
    }

    /// Closes the upload with the rest of the content.
    async fn put(&self, upload: Upload, part: Span, doing: String) -> Result<(), Error> {
        let mut url = upload.location;
        url.query_pairs_mut().append_pair("digest", self.digest.as_str());
        let call = self.call(Method::PUT, url, part, doing).await?;
        let stored = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        self.registry.expect(call, &stored).await.map(drop)
    }

    /// Sends one chunk. Returns the offset that the registry has reached.
    async fn patch(&self, upload: &mut Upload, part: Span, doing: &str) -> Result<u64, Error> {
        let range = format!("{}-{}", part.start, part.last());
        let range = HeaderValue::from_str(&range).expect("digits and a hyphen");
        let call = self.call(Method::PATCH, upload.location.clone(), part, doing.to_owned()).await?;
        let taken = [StatusCode::ACCEPTED, StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT];
        let response = self.registry.expect(call.header(CONTENT_RANGE, range), &taken).await?;
        self.go_on_at(upload, &response, doing)?;
        Ok(reached(part, last_of_range(response.headers())))
    }

    /// Queries the offset of the upload; `None` if the registry does not report it.
    async fn reached(&self, upload: &mut Upload, doing: &str) -> Result<Option<u64>, Error> {
        let scopes = self.registry.push_scopes(self.repository);
        let call = Call::new(Method::GET, upload.location.clone(), scopes, doing.to_owned());
        let response = self.registry.expect(call, &[StatusCode::NO_CONTENT, StatusCode::OK]).await?;
        self.go_on_at(upload, &response, doing)?;
        // Some registries say `0-0` for an empty upload, others for an upload of one byte.
        Ok(last_of_range(response.headers()).filter(|last| *last > 0).map(|last| last.saturating_add(1)))
    }

    /// Any response may name a new location.
    fn go_on_at(&self, upload: &mut Upload, response: &Response, doing: &str) -> Result<(), Error> {
        if let Some(next) = self.registry.upload_address(&upload.location, response, doing)? {
            upload.location = next;
        }
        Ok(())
    }

    async fn call(&self, method: Method, url: Url, part: Span, doing: String) -> Result<Call, Error> {
        let unreadable = |source| {
            let (host, doing) = (self.registry.host().to_owned(), doing.clone());
            Error::Source { host, doing, source }
        };
        let payload = match part.length {
            0 => Payload::Bytes(Bytes::new()),
            length => Payload::stream(self.source.open(part).await.map_err(unreadable)?, length),
        };
        Ok(Call::new(method, url, self.registry.push_scopes(self.repository), doing)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .header(CONTENT_LENGTH, HeaderValue::from(part.length))
            .payload(payload))
    }
}

/// The offset after a chunk, by the last byte that the registry reports. A report that a part of the chunk is missing
/// is believed. Implausible ones count as complete: nothing, `0-0`, one byte too many, the last chunk alone. The
/// digest finally shows whether that was right.
fn reached(part: Span, last: Option<u64>) -> u64 {
    let all = part.start + part.length;
    match last.map(|last| last.saturating_add(1)) {
        Some(had) if had > part.start && had < all && had > 1 => had,
        _ => all,
    }
}

/// The last byte of `0-99`, as the specification writes it, or of `bytes=0-99` and `bytes 0-99/*`.
fn last_of_range(headers: &HeaderMap) -> Option<u64> {
    let range = header(headers, &RANGE)?;
    let range = range.strip_prefix("bytes").map_or(range, |range| range.trim_start_matches(['=', ' ']));
    let (_, last) = range.split('/').next()?.split_once('-')?;
    last.trim().parse().ok()
}

/// Whether the request was too large for the registry. Some use an error code of their own for that, and GHCR 416.
fn is_too_large(error: &Error) -> bool {
    match error.status() {
        Some(StatusCode::PAYLOAD_TOO_LARGE | StatusCode::RANGE_NOT_SATISFIABLE) => true,
        Some(StatusCode::BAD_REQUEST) => error.code() == Some(&ErrorCode::SizeInvalid),
        _ => false,
    }
}

/// Whether the registry rejected content in the closing request.
fn is_unsupported(error: &Error) -> bool {
    matches!(
        error.status(),
        Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::LENGTH_REQUIRED | StatusCode::NOT_IMPLEMENTED)
    )
}

/// Whether a rejection may be about how or where the content was sent, and not about the content.
fn is_doubtful(error: &Error) -> bool {
    let certain =
        [ErrorCode::Denied, ErrorCode::Unauthorized, ErrorCode::NameInvalid, ErrorCode::NameUnknown];
    error.code() == Some(&ErrorCode::DigestInvalid)
        || matches!(error.status(), Some(StatusCode::BAD_REQUEST | StatusCode::CONFLICT))
            && error.code().is_none_or(|code| !certain.contains(code))
}

/// The largest request that a registry, or a proxy in front of it, is known to accept, in bytes.
#[derive(Debug)]
pub(crate) struct RequestLimit(AtomicU64);

impl RequestLimit {
    /// What is known of it from the kind of registry, before anything was too large.
    pub(crate) fn of(quirks: &Quirks) -> Self {
        Self(AtomicU64::new(quirks.largest_request.unwrap_or_default()))
    }

    /// `None` while nothing was too large.
    fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    fn learn(&self, limit: Option<u64>) {
        if let Some(limit) = limit {
            self.0.store(limit, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(range: &str) -> HeaderMap {
        range.parse().map(|range| HeaderMap::from_iter([(RANGE, range)])).unwrap_or_default()
    }

    #[test]
    fn semantics_40_ranges_of_uploads_are_read_in_every_form() {
        for range in ["0-99", "bytes=0-99", "bytes 0-99", "bytes 0-99/*", " 0-99 ", "bytes=0-99/100"] {
            assert_eq!(last_of_range(&headers(range)), Some(99), "{range}");
        }
        for range in ["", "99", "bytes", "0-", "0--1", "0-99999999999999999999999"] {
            assert_eq!(last_of_range(&headers(range)), None, "{range}");
        }
    }

    #[test]
    fn semantics_40_only_a_range_that_makes_sense_takes_an_upload_back() {
        let part = Span { start: 100, length: 100 };
        assert_eq!(reached(part, Some(199)), 200);
        assert_eq!(reached(part, Some(149)), 150);
        for nonsense in [None, Some(0), Some(200), Some(99), Some(7), Some(u64::MAX)] {
            assert_eq!(reached(part, nonsense), 200, "{nonsense:?}");
        }
        assert_eq!(reached(Span { start: 0, length: 100 }, Some(0)), 100);
    }
}
