//! Which part of the server a request is for, and by which pattern: what requests are counted by. A
//! path itself would make a label of every repository.

use axum::extract::{MatchedPath, Request};
use http::Method;
use longshore_registry::Address;

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
    pub(super) fn of(request: &mut Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let matched = matched.as_ref().map_or("", MatchedPath::as_str);
        let (surface, route) = match matched {
            "/v2" | "/v2/" | "/v2/{*rest}" => {
                let uri = request.uri().clone();
                ("registry", Address::of(&uri, request.extensions_mut()).pattern())
            }
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
