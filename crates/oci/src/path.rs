//! The paths of the distribution API (distribution-spec, "Endpoints", end-1 to end-14, and the common additions).
//! Names may contain parts such as `blobs` or `tags`, so a path is parsed from its end.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::text::validated_text;
use crate::{Digest, DigestError, ErrorCode, NameError, Reference, ReferenceError, RepositoryName};

/// The endpoint that a path below `/v2/` addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// end-1: `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/token`, the token service.
    Token,
    /// end-2, end-10: `/v2/<name>/blobs/<digest>`
    Blob { name: RepositoryName, digest: Digest },
    /// end-4, end-11: `/v2/<name>/blobs/uploads/`
    UploadStart { name: RepositoryName },
    /// end-5, end-6, end-13, end-14: `/v2/<name>/blobs/uploads/<session>`
    Upload { name: RepositoryName, session: UploadId },
    /// end-3, end-7, end-9: `/v2/<name>/manifests/<reference>`
    Manifest {
        name: RepositoryName,
        /// A tag or digest.
        reference: Reference,
    },
    /// end-8: `/v2/<name>/tags/list`
    Tags { name: RepositoryName },
    /// end-12: `/v2/<name>/referrers/<digest>`
    Referrers { name: RepositoryName, digest: Digest },
}

/// Why a path addresses no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No endpoint has such a path.
    #[error("there is no such endpoint")]
    NotFound,
    /// The repository name is invalid.
    #[error("invalid repository name: {0}")]
    Name(#[from] NameError),
    /// The digest is invalid.
    #[error("invalid digest: {0}")]
    Digest(#[from] DigestError),
    /// The tag or digest of a manifest is invalid.
    #[error("invalid reference: {0}")]
    Reference(#[from] ReferenceError),
}

impl RouteError {
    /// The code for the response.
    pub fn code(&self) -> ErrorCode {
        match self {
            RouteError::NotFound => ErrorCode::Unsupported,
            RouteError::Name(_) => ErrorCode::NameInvalid,
            RouteError::Digest(_) | RouteError::Reference(ReferenceError::Digest(_)) => {
                ErrorCode::DigestInvalid
            }
            RouteError::Reference(ReferenceError::Tag(_)) => ErrorCode::ManifestInvalid,
        }
    }
}

/// The identifier of an upload in a path: 1 to 128 letters, digits, `-`, `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(String);
validated_text!(UploadId, RouteError);

impl UploadId {
    fn check(text: &str) -> Result<(), RouteError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(legal);
        if fits { Ok(()) } else { Err(RouteError::NotFound) }
    }
}

impl Route {
    /// The repository that the path names.
    pub fn name(&self) -> Option<&RepositoryName> {
        match self {
            Route::Base | Route::Catalog | Route::Token => None,
            Route::Blob { name, .. }
            | Route::UploadStart { name }
            | Route::Upload { name, .. }
            | Route::Manifest { name, .. }
            | Route::Tags { name }
            | Route::Referrers { name, .. } => Some(name),
        }
    }
}

/// Parses the part of a path after `/v2/`, still percent-encoded and without the query.
pub fn parse(path: &str) -> Result<Route, RouteError> {
    let decoded: Vec<Cow<'_, str>> = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8().map_err(|_| RouteError::NotFound))
        .collect::<Result<_, _>>()?;
    let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
    let name = |parts: &[&str]| parts.join("/").parse::<RepositoryName>();
    Ok(match segments[..] {
        [""] => Route::Base,
        ["_catalog"] => Route::Catalog,
        ["token"] => Route::Token,
        [ref parts @ .., "blobs", "uploads", ""] | [ref parts @ .., "blobs", "uploads"] => {
            Route::UploadStart { name: name(parts)? }
        }
        [ref parts @ .., "blobs", "uploads", session] => {
            Route::Upload { name: name(parts)?, session: session.try_into()? }
        }
        [ref parts @ .., "tags", "list"] => Route::Tags { name: name(parts)? },
        [ref parts @ .., "blobs", digest] => Route::Blob { name: name(parts)?, digest: digest.parse()? },
        [ref parts @ .., "manifests", reference] => {
            Route::Manifest { name: name(parts)?, reference: reference.parse()? }
        }
        [ref parts @ .., "referrers", digest] => {
            Route::Referrers { name: name(parts)?, digest: digest.parse()? }
        }
        _ => return Err(RouteError::NotFound),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest() -> Digest {
        Digest::sha256([7; 32])
    }

    fn named(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn every_endpoint_is_recognised() {
        let name = named("dev/web");
        let digest = digest();
        for (path, route) in [
            (String::new(), Route::Base),
            ("_catalog".into(), Route::Catalog),
            ("token".into(), Route::Token),
            ("dev/web/tags/list".into(), Route::Tags { name: name.clone() }),
            ("dev/web/blobs/uploads/".into(), Route::UploadStart { name: name.clone() }),
            ("dev/web/blobs/uploads".into(), Route::UploadStart { name: name.clone() }),
            (
                "dev/web/blobs/uploads/ab-1".into(),
                Route::Upload { name: name.clone(), session: "ab-1".parse().unwrap() },
            ),
            (format!("dev/web/blobs/{digest}"), Route::Blob { name: name.clone(), digest: digest.clone() }),
            (
                "dev/web/manifests/v1".into(),
                Route::Manifest { name: name.clone(), reference: "v1".parse().unwrap() },
            ),
            (
                format!("dev/web/manifests/{digest}"),
                Route::Manifest { name: name.clone(), reference: digest.clone().into() },
            ),
            (format!("dev/web/referrers/{digest}"), Route::Referrers { name: name.clone(), digest }),
        ] {
            assert_eq!(parse(&path), Ok(route), "{path}");
        }
    }

    #[test]
    fn names_may_contain_the_words_of_the_api() {
        let tags = |name| Ok(Route::Tags { name: named(name) });
        assert_eq!(parse("a/blobs/uploads/tags/list"), tags("a/blobs/uploads"));
        assert_eq!(parse("tags/list/tags/list"), tags("tags/list"));
        assert_eq!(
            parse("a/manifests/manifests/list"),
            Ok(Route::Manifest { name: named("a/manifests"), reference: "list".parse().unwrap() })
        );
        assert_eq!(
            parse(&format!("a/blobs/uploads/blobs/{}", digest())),
            Ok(Route::Blob { name: named("a/blobs/uploads"), digest: digest() })
        );
        assert_eq!(parse("a/blobs/blobs/uploads/"), Ok(Route::UploadStart { name: named("a/blobs") }));
    }

    #[test]
    fn segments_are_percent_decoded() {
        let encoded = digest().to_string().replace(':', "%3A");
        assert_eq!(
            parse(&format!("dev%2Fweb/blobs/{encoded}")),
            Ok(Route::Blob { name: named("dev/web"), digest: digest() })
        );
        assert_eq!(parse("dev/web/manifests/%ff"), Err(RouteError::NotFound));
    }

    #[test]
    fn every_invalid_path_has_its_error_code() {
        for (path, code) in [
            ("nothing/here", ErrorCode::Unsupported),
            ("Dev/web/tags/list", ErrorCode::NameInvalid),
            ("web/tags/list", ErrorCode::NameInvalid),
            ("dev/web/blobs/sha256:1", ErrorCode::DigestInvalid),
            ("dev/web/manifests/.x", ErrorCode::ManifestInvalid),
            ("dev/web/manifests/sha256:x", ErrorCode::DigestInvalid),
            ("dev/web/blobs/uploads/a.b", ErrorCode::Unsupported),
        ] {
            assert_eq!(parse(path).unwrap_err().code(), code, "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_name_and_tag_is_parsed_back(
            name in "(blobs|uploads|tags|list|manifests|referrers|a|b-c)(/(blobs|uploads|tags|list|manifests|referrers|x1)){1,5}",
            tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}",
        ) {
            let expected = Route::Manifest { name: named(&name), reference: tag.parse().unwrap() };
            prop_assert_eq!(parse(&format!("{name}/manifests/{tag}")), Ok(expected));
            prop_assert_eq!(parse(&format!("{name}/tags/list")), Ok(Route::Tags { name: named(&name) }));
        }

        #[test]
        fn no_path_causes_a_panic(path in "[a-z%/0-9.:\\PC]{0,60}") {
            let _ = parse(&path);
        }
    }
}
