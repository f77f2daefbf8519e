//! Protection against cross-site request forgery: detects whether a request that a browser sends with the session
//! cookie, or with stored Basic credentials, comes from our own site.

use http::{HeaderMap, Method, header};
use longshore_access::Via;

/// The header with the token of a session, for clients that send no origin.
const TOKEN: &str = "x-csrf-token";

/// Whether the request changes nothing or comes from our own site. `own` is the scheme, host and port under which the
/// client sees this server.
pub(super) fn is_own(method: &Method, headers: &HeaderMap, own: Option<&str>, via: &Via) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers send this themselves; `none` means that the user typed the address or used a bookmark.
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    if let Some(origin) = text(header::ORIGIN.as_str()) {
        return own.is_some_and(|own| origin.eq_ignore_ascii_case(own.trim_end_matches('/')));
    }
    match via {
        Via::Session { .. } => text(TOKEN).is_some_and(|token| via.csrf_matches(token)),
        // Not a browser: browsers send one of these headers with every request that may change something.
        Via::Basic | Via::Bearer { .. } | Via::Refused { .. } | Via::None => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OWN: &str = "https://registry.example.com";

    fn session() -> Via {
        Via::Session { csrf: "right".to_owned() }
    }

    fn post(headers: &[(&'static str, &str)], via: &Via) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        is_own(&Method::POST, &headers.collect(), Some(OWN), via)
    }

    #[test]
    fn requests_that_only_read_are_allowed_from_other_sites() {
        let foreign = [("sec-fetch-site", "cross-site")];
        let headers = foreign.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        assert!(is_own(&Method::GET, &headers.collect(), Some(OWN), &session()));
        assert!(!post(&foreign, &session()));
    }

    #[test]
    fn the_headers_that_browsers_set_decide() {
        assert!(post(&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], &session()));
        assert!(!post(&[("sec-fetch-site", "same-site"), ("origin", OWN)], &session()));
        assert!(post(&[("origin", OWN)], &session()));
        assert!(!post(&[("origin", "http://registry.example.com")], &session()));
        assert!(!post(&[("origin", "null")], &session()));
    }

    #[test]
    fn other_sites_cannot_change_anything_with_credentials_that_a_browser_stores() {
        for via in [Via::Basic, Via::Bearer { scopes: Vec::new() }, Via::None, session()] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                for (name, value) in [
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-site", "same-site"),
                    ("origin", "https://evil.example"),
                    ("origin", "null"),
                ] {
                    let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
                    assert!(!is_own(&method, &headers, Some(OWN), &via), "{method} {name}: {value} {via:?}");
                }
            }
        }
        assert!(post(&[], &Via::Basic), "not a browser");
    }

    #[test]
    fn without_an_origin_a_session_needs_its_token() {
        assert!(!post(&[], &session()));
        assert!(!post(&[("x-csrf-token", "wrong")], &session()));
        assert!(post(&[("x-csrf-token", "right")], &session()));
        assert!(post(&[], &Via::None));
    }
}
