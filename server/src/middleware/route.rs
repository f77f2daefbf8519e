//! Which part of the server a request is for, and by which pattern: what requests are counted by. A
//! path itself would make a label of every repository.

use axum::extract::{MatchedPath, Request};
use http::Method;
use longshore_oci::{Route, path};

/// Where a request leads.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The part of the server.
    pub(super) surface: &'static str,
    /// The pattern of the path.
    pub(super) route: String,
    /// The method, where it is one that has a meaning here.
    pub(super) method: &'static str,
}

impl Target {
    pub(super) fn of(request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let (surface, route) = match matched {
            "/v2" | "/v2/" | "/v2/{*rest}" => ("registry", registry(request.uri().path())),
            "/auth/token" => ("registry", matched),
            "/healthz" | "/readyz" | "/metrics" | "/ca" => ("operation", matched),
            "/events" => ("rest", matched),
            _ if matched.starts_with("/api") || matched.starts_with("/enzi") => ("rest", matched),
            // What the site's fallback answers is whatever somebody typed.
            "" => ("site", "other"),
            _ => ("site", matched),
        };
        Self { surface, route: route.to_owned(), method: method(request.method()) }
    }
}

fn registry(path: &str) -> &'static str {
    let below = path.strip_prefix("/v2").unwrap_or_default();
    match path::parse(below.strip_prefix('/').unwrap_or(below)) {
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

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_repository_and_no_digest_becomes_a_label() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (path, route) in [
            ("/v2/", "/v2/"),
            ("/v2/a/b/c/manifests/v1", "/v2/{name}/manifests/{reference}"),
            (&format!("/v2/a/b/blobs/{digest}"), "/v2/{name}/blobs/{digest}"),
            ("/v2/a/b/blobs/uploads/", "/v2/{name}/blobs/uploads/"),
            ("/v2/a/b/no/such/thing", "other"),
        ] {
            assert_eq!(registry(path), route);
        }
    }
}
