//! Blobs to another registry: mount, upload in one request or in several, cancel (distribution-spec end-4a, 4b,
//! 5, 6, 11, 13, 14).

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

/// What a registry asks a piece of an upload to have at least, in bytes.
const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The largest piece that is tried when a whole blob was too large, in bytes.
const LARGEST_CHUNK: u64 = 64 * 1024 * 1024;
/// The smallest piece that is tried, in bytes: less than any proxy's limit that lets a manifest through.
const SMALLEST_CHUNK: u64 = 256 * 1024;
/// How often one blob is sent anew, because its token or its upload ended on the way.
const RESTARTS: u32 = 3;
/// How often an answer is doubted that seldom passes, 400 or 409, and the blob sent anew.
const DOUBTS: u32 = 2;

/// Why content that is to be uploaded cannot be read.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;
/// Content as it is read.
pub type SourceStream = BoxStream<'static, Result<Bytes, SourceError>>;

/// Content to be uploaded. An upload may have to begin anew, so it can be read as often as that takes.
pub trait Source: Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Reads a part of it, from the part's first byte on.
    fn open(&self, part: Span) -> BoxFuture<'_, Result<SourceStream, SourceError>>;
}

/// Content that is in memory.
impl Source for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn open(&self, part: Span) -> BoxFuture<'_, Result<SourceStream, SourceError>> {
        // What is in memory is counted by a usize.
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let bytes = self.slice(at(part.start)..at(part.start + part.length));
        Box::pin(async move { Ok(futures::stream::iter([Ok(bytes)]).boxed()) })
    }
}

/// An upload that was begun. It is finished or cancelled once.
#[derive(Debug)]
#[must_use = "an upload that is neither finished nor cancelled lies around at the registry"]
pub struct Upload {
    location: Url,
    /// What a piece of it has at least, except the last one.
    smallest: u64,
}

/// What became of a mount.
#[derive(Debug)]
pub enum Mount {
    /// The repository has the blob now.
    Mounted,
    /// The registry would not, and began an upload instead.
    Upload(Upload),
    /// The registry would not, for whatever reason.
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

    /// Gives an upload up. A registry that cannot or that has forgotten it already is content. An upload at
    /// another host than the registry is left to run out: nothing is deleted where only the registry pointed.
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

    /// Asks the registry to take a blob over from another of its repositories, which must be readable with the
    /// same credentials. A refusal is no error, whatever its status: the blob can be uploaded. Fails where the
    /// registry cannot be reached, or wants to be left alone.
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

    /// Uploads a blob without holding it in memory; `begun` is the upload that a mount began. The registry
    /// verifies the digest. It goes in one request, unless the registry, or a proxy before it, takes no request
    /// of that size: then it goes in pieces, and the size that was taken is remembered. A registry that does not
    /// take content with the request that ends an upload gets it before that request, which is remembered as well.
    /// Where a token or the upload itself ends on the way, the blob is sent anew from its start, a few times
    /// (semantics 40).
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
                // Each time in smaller pieces, which comes to an end by itself.
                _ if is_too_large(&error) && sending.smaller() => {
                    refused.get_or_insert(error);
                    continue;
                }
                // Some proxies break the connection in the middle of a body that is too large for them.
                Error::Network { failure: Failure::Broken(_), .. } if sending.smaller() => {
                    refused.get_or_insert(error);
                    continue;
                }
                _ if sending.whole && is_unsupported(&error) => {
                    sending.apart = true;
                    refused.get_or_insert(error);
                    continue;
                }
                // Two servers behind one address that do not know of each other yet, a store that lost a byte;
                // or a registry that passes over the body of a PUT, and says it this way.
                _ if is_doubtful(&error) && doubts < DOUBTS => {
                    doubts += 1;
                    if doubts == DOUBTS && sending.whole && error.status() != Some(StatusCode::CONFLICT) {
                        sending.apart = true;
                    }
                    refused.get_or_insert(error);
                    continue;
                }
                // The upload has ended, or stands elsewhere than we do.
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

    /// The upload that an answer names: relative or absolute, query kept.
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

/// One blob on its way.
struct Sending<'a> {
    registry: &'a Registry,
    repository: &'a RemoteName,
    digest: &'a Digest,
    source: &'a dyn Source,
    /// The most that goes into one request, in bytes; none: as much as there is.
    limit: Option<u64>,
    /// Whether the request that ends the upload has no content of its own.
    apart: bool,
    /// Whether a piece of that size was taken.
    taken: bool,
    /// Whether it was sent last in the request that ends the upload.
    whole: bool,
}

impl Sending<'_> {
    /// Whether smaller pieces may be tried: half of those that were not taken.
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

    /// Ends the upload, with what is left of the content.
    async fn put(&self, upload: Upload, part: Span, doing: String) -> Result<(), Error> {
        let mut url = upload.location;
        url.query_pairs_mut().append_pair("digest", self.digest.as_str());
        let call = self.call(Method::PUT, url, part, doing).await?;
        let stored = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED, StatusCode::NO_CONTENT];
        self.registry.expect(call, &stored).await.map(drop)
    }

    /// Sends one piece. Answers how far the registry has come.
    async fn patch(&self, upload: &mut Upload, part: Span, doing: &str) -> Result<u64, Error> {
        let range = format!("{}-{}", part.start, part.last());
        let range = HeaderValue::from_str(&range).expect("digits and a hyphen");
        let call = self.call(Method::PATCH, upload.location.clone(), part, doing.to_owned()).await?;
        let taken = [StatusCode::ACCEPTED, StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT];
        let response = self.registry.expect(call.header(CONTENT_RANGE, range), &taken).await?;
        self.go_on_at(upload, &response, doing)?;
        Ok(reached(part, last_of_range(response.headers())))
    }

    /// Asks how far the registry has come; none where it does not say.
    async fn reached(&self, upload: &mut Upload, doing: &str) -> Result<Option<u64>, Error> {
        let scopes = self.registry.push_scopes(self.repository);
        let call = Call::new(Method::GET, upload.location.clone(), scopes, doing.to_owned());
        let response = self.registry.expect(call, &[StatusCode::NO_CONTENT, StatusCode::OK]).await?;
        self.go_on_at(upload, &response, doing)?;
        // `0-0` is what some say of an upload without a byte, others of one with a byte.
        Ok(last_of_range(response.headers()).filter(|last| *last > 0).map(|last| last.saturating_add(1)))
    }

    /// Any answer may name another place for what follows.
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

/// How far an upload has come with a piece, by the last byte that the registry says to have. It is believed
/// where it says that a part of the piece is missing. What makes no sense counts as all taken: nothing said,
/// `0-0`, one byte too many, the last piece alone. The digest shows in the end whether that was right.
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

/// Whether a registry takes no request as large as that. Some say so with a code of their own, and GHCR with 416.
fn is_too_large(error: &Error) -> bool {
    match error.status() {
        Some(StatusCode::PAYLOAD_TOO_LARGE | StatusCode::RANGE_NOT_SATISFIABLE) => true,
        Some(StatusCode::BAD_REQUEST) => error.code() == Some(&ErrorCode::SizeInvalid),
        _ => false,
    }
}

/// Whether a registry says that it does not take content with the request that ends an upload.
fn is_unsupported(error: &Error) -> bool {
    matches!(
        error.status(),
        Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::LENGTH_REQUIRED | StatusCode::NOT_IMPLEMENTED)
    )
}

/// Whether a refusal may be about how, or where, the content went, and not about what it is.
fn is_doubtful(error: &Error) -> bool {
    let certain =
        [ErrorCode::Denied, ErrorCode::Unauthorized, ErrorCode::NameInvalid, ErrorCode::NameUnknown];
    error.code() == Some(&ErrorCode::DigestInvalid)
        || matches!(error.status(), Some(StatusCode::BAD_REQUEST | StatusCode::CONFLICT))
            && error.code().is_none_or(|code| !certain.contains(code))
}

/// The most that a registry, or a proxy before it, was seen to take in one request, in bytes.
#[derive(Debug)]
pub(crate) struct RequestLimit(AtomicU64);

impl RequestLimit {
    /// What is known of it from the kind of registry, before anything was too large.
    pub(crate) fn of(quirks: &Quirks) -> Self {
        Self(AtomicU64::new(quirks.largest_request.unwrap_or_default()))
    }

    /// None while nothing was too large.
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
