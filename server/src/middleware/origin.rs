//! Whether a request that a browser sends with our cookie, or with the user name and password that it keeps,
//! comes from a page of ours: other sites can make a browser send requests too (cross-site request forgery).

use http::{HeaderMap, Method, header};
use longshore_access::Via;

/// Carries a session's token where a client cannot tell its origin.
const TOKEN: &str = "x-csrf-token";

/// Whether the request changes nothing, or comes from our own pages. `own` is scheme, host and port
/// under which the client sees this server.
pub(super) fn is_own(method: &Method, headers: &HeaderMap, own: Option<&str>, via: &Via) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers say it themselves; `none` is what a person typed or bookmarked.
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    if let Some(origin) = text(header::ORIGIN.as_str()) {
        return own.is_some_and(|own| origin.eq_ignore_ascii_case(own.trim_end_matches('/')));
    }
    match via {
        Via::Session { .. } => text(TOKEN).is_some_and(|token| via.csrf_matches(token)),
        // No browser: those tell one or the other of whatever changes something.
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
    fn reading_is_never_forged() {
        let foreign = [("sec-fetch-site", "cross-site")];
        let headers = foreign.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        assert!(is_own(&Method::GET, &headers.collect(), Some(OWN), &session()));
        assert!(!post(&foreign, &session()));
    }

    #[test]
    fn what_the_browser_says_of_itself_decides() {
        assert!(post(&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], &session()));
        assert!(!post(&[("sec-fetch-site", "same-site"), ("origin", OWN)], &session()));
        assert!(post(&[("origin", OWN)], &session()));
        assert!(!post(&[("origin", "http://registry.example.com")], &session()));
        assert!(!post(&[("origin", "null")], &session()));
    }

    #[test]
    fn other_sites_change_nothing_with_the_credentials_that_a_browser_keeps() {
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
        assert!(post(&[], &Via::Basic), "no browser");
    }

    #[test]
    fn without_an_origin_a_session_needs_its_token() {
        assert!(!post(&[], &session()));
        assert!(!post(&[("x-csrf-token", "wrong")], &session()));
        assert!(post(&[("x-csrf-token", "right")], &session()));
        assert!(post(&[], &Via::None));
    }
}
