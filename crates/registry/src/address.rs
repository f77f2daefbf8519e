//! The route that a request below `/v2` addresses. The path is parsed once and the result kept in the request's
//! extensions, because metrics and limits need it before the registry does.

use http::{Extensions, Uri};
use longshore_oci::{Route, RouteError, path};
use std::sync::Arc;

/// The route of a path below `/v2`, or why it has none.
#[derive(Debug, Clone)]
pub struct Address(Arc<Result<Route, RouteError>>);

impl Address {
    /// The address of a request; cached in its extensions.
    pub fn of(uri: &Uri, extensions: &mut Extensions) -> Self {
        extensions.get_or_insert_with(|| Self::read(uri.path())).clone()
    }

    fn read(path: &str) -> Self {
        let below = path.strip_prefix("/v2").unwrap_or_default();
        Self(Arc::new(path::parse(below.strip_prefix('/').unwrap_or(below))))
    }

    /// The route.
    ///
    /// # Errors
    /// The path has no route.
    pub fn route(&self) -> Result<&Route, &RouteError> {
        (*self.0).as_ref()
    }

    /// The pattern of the path, without any names or digests; the label of requests in metrics.
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
    fn patterns_contain_neither_repositories_nor_digests() {
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
