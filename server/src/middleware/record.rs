//! Writes one log line per request, whose id is also in the response and in all other log lines of the request; and
//! counts the request. Never logs queries or headers, since both can contain tokens and passwords.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::Body;
use ipnet::IpNet;
use longshore_access::RequestActor;
use longshore_transport::Connected;
use longshore_transport::InFlight;
use metrics::{counter, gauge, histogram};
use tracing::Instrument;
use uuid::Uuid;

use super::route::Target;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum length of an id that is taken from a proxy.
const LONGEST_ID: usize = 128;

/// Assigns an id to the request, counts it and logs it. An id sent by a trusted proxy is kept, so that both logs can be
/// correlated.
pub(crate) async fn record(State(trusted): State<Vec<IpNet>>, mut request: Request, next: Next) -> Response {
    let id = id(&request, &trusted);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let target = Target::of(&mut request);
    let span = tracing::info_span!("request", %id);
    async move {
        let begun = Instant::now();
        let running = InFlight::begin(gauge!("longshore_http_requests_running"));
        let mut response = next.run(request).await;
        drop(running);
        count(&target, response.status().as_u16(), begun);
        let actor = response.extensions_mut().remove::<RequestActor>();
        write(&method, &path, actor.as_ref(), &response, begun);
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}

fn id(request: &Request, trusted: &[IpNet]) -> String {
    let peer = request.extensions().get::<Connected>().map(|connected| connected.peer.ip().to_canonical());
    let by_proxy = peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(&peer)));
    let given = Some(request.headers()).filter(|_| by_proxy).and_then(given_id);
    given.unwrap_or_else(|| Uuid::now_v7().to_string())
}

/// The id from a proxy, if it is safe to log.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '+' | '=');
    (1..=LONGEST_ID).contains(&id.len()).then_some(id).filter(|id| id.chars().all(plain)).map(str::to_owned)
}

fn count(target: &Target, status: u16, begun: Instant) {
    let Target { surface, route, method } = target;
    let duration = histogram!(
        "longshore_http_request_duration_seconds",
        "surface" => *surface, "route" => route.clone(), "method" => *method
    );
    duration.record(begun.elapsed());
    let requests = counter!(
        "longshore_http_requests_total",
        "surface" => *surface, "route" => route.clone(), "method" => *method, "status" => status.to_string()
    );
    requests.increment(1);
    let limit = match status {
        413 => "body_bytes",
        414 => "tags",
        431 => "header_bytes",
        _ => return,
    };
    counter!("longshore_limit_refusals_total", "limit" => limit).increment(1);
}

fn write(method: &Method, path: &str, actor: Option<&RequestActor>, response: &Response, begun: Instant) {
    let user = actor.and_then(|actor| actor.actor.user()).map_or("-", |user| user.name.as_str());
    let peer = actor.map(|actor| actor.peer.to_string());
    let peer = peer.as_deref().unwrap_or("-");
    let status = response.status().as_u16();
    // JSON numbers have 64 bits.
    let duration_ms = begun.elapsed().as_millis() as u64;
    // Only of a response whose length is known in advance.
    let bytes = response.body().size_hint().exact();
    // Reads are frequent, and interesting only if something is wrong.
    if status >= 500 {
        tracing::error!(%method, path, status, user, peer, duration_ms, bytes, "answered");
    } else if *method == Method::GET || *method == Method::HEAD {
        tracing::debug!(%method, path, status, user, peer, duration_ms, bytes, "answered");
    } else {
        tracing::info!(%method, path, status, user, peer, duration_ms, bytes, "answered");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(peer: &str, id: &str) -> String {
        let request = Request::builder().header(REQUEST_ID, id);
        let request = request.extension(Connected { peer: peer.parse().unwrap(), tls: false });
        super::id(&request.body(axum::body::Body::empty()).unwrap(), &["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn a_well_formed_id_from_a_trusted_proxy_is_kept() {
        assert_eq!(asked("10.0.0.1:80", "4bf92f35-77b3"), "4bf92f35-77b3");
        assert_ne!(asked("192.0.2.1:80", "4bf92f35-77b3"), "4bf92f35-77b3");
        for odd in ["", "a b", "a\tb", &"a".repeat(129)] {
            assert_ne!(asked("10.0.0.1:80", odd), odd);
        }
    }
}
