//! Pulling, checking and deleting blobs (end-2, end-10).

use crate::dispatch::empty;
use crate::error::Failure;
use crate::gate::Asking;
use crate::headers::{self, CONTENT_DIGEST, not_modified};
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use longshore_content::{BlobInfo, Error};
use longshore_model::Repository;
use longshore_oci::{ByteRange, Digest, ErrorCode, RepositoryName, Span, Unsatisfiable};
use std::time::Duration;
use url::Url;

/// The lifetime of a presigned URL. Clients follow it at once, and a running download is not interrupted.
const REDIRECT_FOR: Duration = Duration::from_secs(10 * 60);

impl Asking<'_> {
    /// GET and HEAD of a blob, or of a range of it.
    pub(crate) async fn get_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Response, Failure> {
        let repository = self.to_read(name).await?;
        let request = &self.request.headers;
        if headers::is_cached(request, digest)
            && let Ok(info) = self.stat(&repository, digest).await
        {
            return Ok(not_modified(&info.digest, info.size));
        }
        if self.request.method == Method::HEAD {
            return Ok(answer(&self.stat(&repository, digest).await?, None, Body::empty()));
        }
        // A Range that is invalid, not in bytes, or asks for several parts must be ignored.
        let range = headers::text(request, &header::RANGE).and_then(|range| range.parse::<ByteRange>().ok());
        let span = match range.filter(|_| headers::range_applies(request, digest)) {
            None => None,
            Some(range) => {
                let info = self.stat(&repository, digest).await?;
                Some(range.resolve(info.size).map_err(unsatisfiable)?)
            }
        };
        if self.registry.settings.redirects && span.is_none() {
            let elsewhere = self.registry.content.presigned_blob(&repository, digest, REDIRECT_FOR).await?;
            if let Some(url) = elsewhere {
                return Ok(redirect(&url, digest));
            }
        }
        let (info, stream) = self.registry.content.read_blob(&repository, digest, span).await?;
        Ok(answer(&info, span, Body::from_stream(stream)))
    }

    /// Removes a blob from a repository.
    pub(crate) async fn delete_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Response, Failure> {
        let repository = self.to_delete(name).await?;
        self.registry.content.delete_blob(&repository, digest).await?;
        Ok(empty(StatusCode::ACCEPTED))
    }

    async fn stat(&self, repository: &Repository, digest: &Digest) -> Result<BlobInfo, Failure> {
        let found = self.registry.content.stat_blob(repository, digest).await?;
        let unknown = || Error::BlobUnknown { repository: repository.name.clone(), digest: digest.clone() };
        Ok(found.ok_or_else(unknown)?)
    }
}

/// A redirect to a presigned URL. The URL grants access to anyone who has it, so the response must not be cached.
fn redirect(url: &Url, digest: &Digest) -> Response {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, headers::value(url));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_DIGEST, headers::value(digest));
    response
}

fn answer(info: &BlobInfo, span: Option<Span>, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, span.map_or(info.size, |span| span.length).into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, headers::etag(&info.digest));
    headers.insert(CONTENT_DIGEST, headers::value(&info.digest));
    if let Some(span) = span {
        headers.insert(header::CONTENT_RANGE, headers::value(span.content_range(info.size)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn unsatisfiable(range: Unsatisfiable) -> Failure {
    Failure::new(ErrorCode::SizeInvalid, range.to_string())
        .status(StatusCode::RANGE_NOT_SATISFIABLE)
        .header(header::CONTENT_RANGE, headers::value(format!("bytes */{}", range.length)))
}
