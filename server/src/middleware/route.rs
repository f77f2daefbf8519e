//! The part of the server and the path pattern of a request, for the labels of metrics. The path itself would create a
//! label for every repository.

use axum::extract::{MatchedPath, Request};
use http::Method;
use longshore_registry::Address;

/// The labels of a request.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The part of the server.
    pub(super) surface: &'static str,
    /// The pattern of the path.
    pub(super) route: String,
    /// The method if it is known, otherwise `other`.
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
            // The fallback of the site serves arbitrary paths.
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
