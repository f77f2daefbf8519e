//! One line in the log per request, under a number that the answer carries too. Never a query or a
//! header: tokens and passwords travel in both.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method};
use longshore_access::RequestActor;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Numbers the request and writes its line.
pub(crate) async fn record(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", %id);
    async move {
        let begun = Instant::now();
        let mut response = next.run(request).await;
        let status = response.status();
        let duration_ms = begun.elapsed().as_millis();
        let actor = response.extensions_mut().remove::<RequestActor>();
        let user = actor.as_ref().and_then(|actor| actor.actor.user()).map(|user| user.name.as_str());
        let peer = actor.as_ref().map(|actor| actor.peer.to_string());
        let (status, user, peer) = (status.as_u16(), user.unwrap_or("-"), peer.as_deref().unwrap_or("-"));
        // Reading is what happens all the time, and is of interest only when something is wrong.
        if status >= 500 {
            tracing::error!(%method, path, status, user, peer, duration_ms, "answered");
        } else if method == Method::GET || method == Method::HEAD {
            tracing::debug!(%method, path, status, user, peer, duration_ms, "answered");
        } else {
            tracing::info!(%method, path, status, user, peer, duration_ms, "answered");
        }
        if let Ok(id) = HeaderValue::try_from(id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}
