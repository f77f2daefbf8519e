//! The headers of requests and responses that the registry uses.

use crate::error::Failure;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use longshore_model::{Lineage, PolicyId};
use longshore_oci::{Digest, ErrorCode};

/// The digest of the content that was returned or stored.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Identifies a registry with API version 2; old clients look for it.
pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The subject of a pushed referrer, as acknowledgement.
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The filters that were applied to a list of referrers.
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// A tag that was set.
pub(crate) const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// The policies that a pushed manifest has passed at another Longshore server (semantics 5).
pub(crate) const LINEAGE: HeaderName = HeaderName::from_static("longshore-lineage");

/// The value of a header, if it exists and is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The value of `Content-Length`.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let parsed = length.to_str().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| {
        Failure::new(ErrorCode::SizeInvalid, "the Content-Length header is not a number of bytes")
    })
}

/// The header value for text without control characters, such as paths, digests and tags.
pub(crate) fn value(text: impl AsRef<str>) -> HeaderValue {
    HeaderValue::from_str(text.as_ref()).expect("names, tags and digests have no control characters")
}

/// The digest as entity tag, because the content of a digest never changes.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    value(format!("\"{digest}\""))
}

/// Whether the client already has the content (RFC 9110 §13.1.2).
pub(crate) fn is_cached(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|tags| {
        tags.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
            .any(|tag| *digest == tag || tag == "*")
    })
}

/// A 304 for content that the client has. `Content-Length` is that of the content (RFC 9110 §8.6).
pub(crate) fn not_modified(digest: &Digest, length: u64) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag(digest));
    headers.insert(CONTENT_DIGEST, value(digest));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

/// Whether a Range applies: an If-Range must match the current content (RFC 9110 §13.1.5).
pub(crate) fn range_applies(headers: &HeaderMap, digest: &Digest) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|tag| *tag == etag(digest))
}

/// The lineage from another Longshore server. Invalid entries are ignored: other safeguards against loops do not need
/// them, and a push must not fail because of them.
pub(crate) fn lineage(headers: &HeaderMap) -> Lineage {
    let listed = text(headers, &LINEAGE).unwrap_or_default();
    listed.split(',').filter_map(|id| id.trim().parse::<PolicyId>().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, text: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn a_client_that_has_the_content_is_recognised() {
        let digest = Digest::sha256([7; 32]);
        for tags in [format!("\"{digest}\""), format!("\"x\", W/\"{digest}\""), "*".to_owned()] {
            assert!(is_cached(&headers(header::IF_NONE_MATCH, &tags), &digest), "{tags}");
        }
        assert!(!is_cached(&headers(header::IF_NONE_MATCH, "\"x\""), &digest));
        assert!(!is_cached(&HeaderMap::new(), &digest));
    }

    #[test]
    fn a_range_of_other_content_is_ignored() {
        let digest = Digest::sha256([7; 32]);
        assert!(range_applies(&HeaderMap::new(), &digest));
        assert!(range_applies(&headers(header::IF_RANGE, &format!("\"{digest}\"")), &digest));
        assert!(!range_applies(&headers(header::IF_RANGE, "\"other\""), &digest));
    }

    #[test]
    fn semantics_05_a_lineage_is_read_and_truncated_to_its_maximum() {
        let ids: Vec<PolicyId> = (0..40).map(|_| PolicyId::new()).collect();
        let listed = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let read = lineage(&headers(LINEAGE, &format!("rubbish,{listed}")));
        assert_eq!(read.policies(), &ids[..Lineage::MAX]);
    }
}
