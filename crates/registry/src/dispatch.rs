//! Dispatches requests to the handlers of their endpoints (distribution-spec, "Endpoints").

use crate::Registry;
use crate::address::Address;
use crate::error::Failure;
use crate::gate::Asking;
use crate::headers::API_VERSION;
use crate::query::Query;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::Request};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use longshore_access::{RequestActor, Via};
use longshore_oci::{ErrorCode, ReferenceError, Route, RouteError};

/// Handles all requests below `/v2/`.
pub(crate) async fn handle(
    State(registry): State<Registry>,
    Extension(who): Extension<RequestActor>,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let address = Address::of(&parts.uri, &mut parts.extensions);
    let answer = route(&registry, &who, &address, &parts, body).await;
    finished(&who, answer)
}

/// The token service at its second path.
pub(crate) async fn token(
    State(registry): State<Registry>,
    Extension(who): Extension<RequestActor>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    finished(&who, registry.token(&who, &parts, body).await)
}

fn finished(who: &RequestActor, answer: Result<Response, Failure>) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    // Blobs contain anything that users push, and are served from the origin of the admin site.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Caches do not share responses to requests with `Authorization` (RFC 9111 §3.5), but they may share those to
    // requests with a cookie.
    if matches!(who.via, Via::Session { .. }) {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
    }
    response
}

async fn route(
    registry: &Registry,
    who: &RequestActor,
    address: &Address,
    request: &Parts,
    body: Body,
) -> Result<Response, Failure> {
    let asking = Asking { registry, request, who };
    let method = &request.method;
    let reads = *method == Method::GET || *method == Method::HEAD;
    let route =
        address.route().map_err(|error| if reads { nothing_there(error) } else { error.clone().into() })?;
    let query = Query::parse(request.uri.query().unwrap_or_default().as_bytes());
    match route {
        Route::Base if reads => asking.to_enter().map(|()| json(&serde_json::json!({}))),
        Route::Base => Err(unsupported("GET, HEAD")),
        Route::Catalog if reads => asking.catalog(&query).await,
        Route::Catalog => Err(unsupported("GET, HEAD")),
        Route::Token => registry.token(who, request, body).await,
        Route::Blob { name, digest } => match *method {
            Method::GET | Method::HEAD => asking.get_blob(name, digest).await,
            Method::DELETE => asking.delete_blob(name, digest).await,
            _ => Err(unsupported("GET, HEAD, DELETE")),
        },
        Route::UploadStart { name } => match *method {
            Method::POST => asking.start_upload(name, &query, body).await,
            _ => Err(unsupported("POST")),
        },
        Route::Upload { name, session } => match *method {
            Method::PATCH => asking.append(name, session, body).await,
            Method::PUT => asking.finish_upload(name, session, &query, body).await,
            Method::GET | Method::HEAD => asking.upload_status(name, session).await,
            Method::DELETE => asking.cancel_upload(name, session).await,
            _ => Err(unsupported("GET, HEAD, PATCH, PUT, DELETE")),
        },
        Route::Manifest { name, reference } => match *method {
            Method::GET | Method::HEAD => asking.get_manifest(name, reference).await,
            Method::PUT => asking.put_manifest(name, reference.clone(), &query, body).await,
            Method::DELETE => asking.delete_manifest(name, reference).await,
            _ => Err(unsupported("GET, HEAD, PUT, DELETE")),
        },
        Route::Tags { name } if reads => asking.list_tags(name, &query).await,
        Route::Referrers { name, digest } if reads => asking.list_referrers(name, digest, &query).await,
        Route::Tags { .. } | Route::Referrers { .. } => Err(unsupported("GET, HEAD")),
    }
}

/// For reads: names and tags that cannot exist in this registry are unknown to it, for which the specification requires
/// a 404.
fn nothing_there(error: &RouteError) -> Failure {
    let code = match error {
        RouteError::Name(name) if name.is_legal_elsewhere() => ErrorCode::NameUnknown,
        RouteError::Reference(ReferenceError::Tag(_)) => ErrorCode::ManifestUnknown,
        _ => return error.clone().into(),
    };
    Failure::new(code, error.to_string())
}

fn unsupported(allowed: &'static str) -> Failure {
    Failure::new(ErrorCode::Unsupported, format!("this endpoint supports only {allowed}"))
        .header(header::ALLOW, HeaderValue::from_static(allowed))
}

pub(crate) fn json(value: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
