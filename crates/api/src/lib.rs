//! The REST interface `/api/v0` with its OpenAPI description, and the events of `/events`.
//!
//! The DTO types in `dto` have DTR's shapes, which differ from those of `model`. A handler parses the request, calls
//! one use case of `admin` and presents the result; it decides nothing itself.

mod docs;
mod dto;
mod error;
mod extract;
mod handlers;
mod paging;
mod turns;

use std::sync::LazyLock;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use longshore_admin::Admin;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use error::refuse;

use turns::Turns;

/// The state of the endpoints.
#[derive(Clone)]
pub struct Api {
    admin: Admin,
    body_bytes: usize,
    shutdown: CancellationToken,
    turns: Turns,
}

impl Api {
    /// Endpoints that call `admin` and accept bodies of at most `body_bytes`. Event streams end when `shutdown` is
    /// cancelled.
    #[must_use]
    pub fn new(admin: Admin, body_bytes: usize, shutdown: CancellationToken) -> Self {
        Self { admin, body_bytes, shutdown, turns: Turns::default() }
    }
}

/// All endpoints below `/api/v0`.
fn rest() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(handlers::accounts::router())
        .merge(handlers::repositories::router())
        .merge(handlers::tags::router())
        .merge(handlers::undo::router())
        .merge(handlers::storage::router())
        .merge(handlers::promotion_policies::router())
        .merge(handlers::mirroring::router())
        .merge(handlers::push_mirroring::router())
        .merge(handlers::poll_mirroring::router())
        .merge(handlers::remotes::router())
        .merge(handlers::jobs::router())
        .merge(handlers::pauses::router())
        .merge(handlers::activity::router())
        .merge(handlers::meta::router())
}

/// The routes `/api`, `/enzi/v0/accounts` and `/events`. The actor is read from the request extension
/// [`longshore_access::RequestActor`].
pub fn router(api: Api) -> Router {
    let documented = Router::from(rest()).route("/openapi.json", get(openapi_document));
    let accounts = Router::from(handlers::accounts::router());
    Router::new()
        .nest("/api/v0", with_fallbacks(documented))
        .nest("/enzi/v0", with_fallbacks(accounts))
        .merge(Router::from(handlers::events::router()))
        .route("/api", get(|| async { Redirect::temporary("/api/docs/") }))
        .route("/api/{*rest}", any(error::no_such_path))
        .layer(DefaultBodyLimit::max(api.body_bytes))
        .layer(Extension(extract::BodyLimit(api.body_bytes)))
        .layer(from_fn(finish))
        .merge(docs::page())
        .with_state(api)
}

fn with_fallbacks(router: Router<Api>) -> Router<Api> {
    router.fallback(error::no_such_path).method_not_allowed_fallback(error::method_not_allowed)
}

/// Adds the headers of every response: the challenge of a 401, and `no-store`, because responses depend on the actor.
async fn finish(request: Request, next: Next) -> Response {
    let asked_by = request.headers().clone();
    let mut response = next.run(request).await;
    error::challenge(&asked_by, &mut response);
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The OpenAPI description of all endpoints.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = OpenApiRouter::with_openapi(docs::base())
        .nest("/api/v0", rest())
        .merge(handlers::events::router())
        .into_openapi();
    docs::complete(&mut document);
    document
}

/// The OpenAPI description as formatted JSON.
#[must_use]
pub fn openapi_json() -> String {
    let mut json = openapi().to_pretty_json().expect("the document is plain data");
    json.push('\n');
    json
}

async fn openapi_document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
