//! What a request below `/v2` addresses. It is read once, by whoever asks first, and carried along with the request:
//! those that count requests and bound uploads ask before the registry does.

use http::{Extensions, Uri};
use longshore_oci::{Route, RouteError, path};
use std::sync::Arc;

/// What a path below `/v2` addresses, or why it addresses nothing.
#[derive(Debug, Clone)]
pub struct Address(Arc<Result<Route, RouteError>>);

impl Address {
    /// Of the request with this URI, which carries these extensions.
    pub fn of(uri: &Uri, extensions: &mut Extensions) -> Self {
        extensions.get_or_insert_with(|| Self::read(uri.path())).clone()
    }

    fn read(path: &str) -> Self {
        let below = path.strip_prefix("/v2").unwrap_or_default();
        Self(Arc::new(path::parse(below.strip_prefix('/').unwrap_or(below))))
    }

    /// What is addressed.
    ///
    /// # Errors
    /// The path addresses nothing.
    pub fn route(&self) -> Result<&Route, &RouteError> {
        (*self.0).as_ref()
    }

    /// The pattern of the path, without anything that somebody chose: requests are counted by it.
    #[must_use]
    pub fn pattern(&self) -> &'static str {
        match self.route() {
            Ok(Route::Base) => "/v2/",
            Ok(Route::Catalog) => "/v2/_catalog",
            Ok(Route::Token) => "/v2/token",
            Ok(Route::Blob { .. }) => "/v2/{name}/blobs/{digest}",
            Ok(Route::UploadStart { .. }) => "/v2/{name}/blobs/uploads/",
            Ok(Route::Upload { .. }) => "/v2/{name}/blobs/uploads/{session}",
            Ok(Route::Manifest { .. }) => "/v2/{name}/manifests/{reference}",
            Ok(Route::Tags { .. }) => "/v2/{name}/tags/list",
            Ok(Route::Referrers { .. }) => "/v2/{name}/referrers/{digest}",
            Err(_) => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_repository_and_no_digest_is_a_part_of_a_pattern() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (path, pattern) in [
            ("/v2", "/v2/"),
            ("/v2/", "/v2/"),
            ("/v2/a/b/c/manifests/v1", "/v2/{name}/manifests/{reference}"),
            (&format!("/v2/a/b/blobs/{digest}"), "/v2/{name}/blobs/{digest}"),
            ("/v2/a/b/blobs/uploads/", "/v2/{name}/blobs/uploads/"),
            ("/v2/a/b/no/such/thing", "other"),
        ] {
            assert_eq!(Address::read(path).pattern(), pattern);
        }
    }
}
