//! Security headers for browsers, and the response to a request whose handler panicked.

use std::any::Any;
use std::net::IpAddr;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ipnet::IpNet;
use longshore_model::{Code, Problem};
use longshore_transport::Connected;

use crate::network::Arrival;

/// The policy of responses that are not pages; pages have their own.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Plain forms return to the page they came from by its `Referer`.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// The settings of Strict-Transport-Security.
#[derive(Debug, Clone)]
pub(crate) struct StrictTransport {
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// How many seconds browsers remember it; 0 makes them forget it.
    pub(crate) seconds: u32,
}

impl StrictTransport {
    /// The header for a response over HTTPS. A browser applies it to the host with all its ports, so `localhost` is
    /// exempt: other programs are developed there over plain HTTP. It does not apply to IP addresses (RFC 6797 §8.1.1).
    fn header(&self, arrival: &Arrival) -> Option<HeaderValue> {
        let host = arrival.host.as_deref().filter(|_| arrival.https)?;
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let numeric = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
        let here = name == "localhost" || name.ends_with(".localhost");
        if numeric || here {
            return None;
        }
        HeaderValue::from_str(&format!("max-age={}", self.seconds)).ok()
    }
}

/// Adds the headers.
pub(crate) async fn protect(
    State(strict): State<StrictTransport>,
    Extension(Connected { peer, tls }): Extension<Connected>,
    request: Request,
    next: Next,
) -> Response {
    let arrival = Arrival::new(peer.ip(), tls, request.headers(), &strict.trusted_proxies);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(value) = strict.header(&arrival) {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(value);
    }
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NOTHING));
    response
}

/// The response to a request whose handler panicked. The panic is logged.
pub(crate) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let cause = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("of unknown cause");
    tracing::error!(cause, "a request panicked");
    let message = "An internal error occurred; see the server's log.";
    let response = longshore_api::refuse(Problem::new(Code::Internal, message), &HeaderMap::new());
    (StatusCode::INTERNAL_SERVER_ERROR, response).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn strict_transport_security_is_sent_over_https_for_hosts_with_a_name() {
        let told = |host: &str, tls: bool, forwarded: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(scheme) = forwarded {
                headers.insert("x-forwarded-proto", scheme.parse().unwrap());
            }
            let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
            let arrival = Arrival::new("10.0.0.1".parse().unwrap(), tls, &headers, &trusted_proxies);
            let strict = StrictTransport { trusted_proxies, seconds: 60 };
            strict.header(&arrival).map(|value| value.to_str().unwrap().to_owned())
        };
        let told_so = Some("max-age=60".to_owned());
        assert_eq!(told("registry.example", true, None), told_so);
        assert_eq!(told("registry.example:8443", true, None), told_so);
        assert_eq!(told("registry.example", false, Some("https")), told_so);
        assert_eq!(told("registry.example", false, None), None);
        assert_eq!(told("registry.example", true, Some("http")), None);
        for host in ["localhost", "LOCALHOST:8443", "a.localhost.", "127.0.0.1:8443", "[::1]:8443", "[::1]"] {
            assert_eq!(told(host, true, None), None, "{host}");
        }
    }
}
