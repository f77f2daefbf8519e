//! Headers and queries: ranges, token requests, credentials and challenges.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use longshore_oci::token_request::MAX_SCOPES;
use longshore_oci::{ByteRange, ContentRange, Credentials, Link, Scope, TokenRequest, parse_challenges};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;

use crate::{comes_back, is_brief, parts, text};

/// The headers Range and Content-Range (second line), for content of a given length (first line).
pub(crate) fn ranges(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let [length, header] = parts(text);
    let length = length.parse().unwrap_or(u64::MAX);
    match header.parse::<ByteRange>() {
        Ok(range) => {
            comes_back(&range, &range.to_string());
            match range.resolve(length) {
                Ok(span) => {
                    assert!(span.length > 0 && span.start < length && span.length <= length - span.start);
                    // The Content-Range of the response denotes the same bytes as that of a chunk would.
                    let said: ContentRange = span.content_range(length).parse().expect("it is well-formed");
                    assert_eq!((said.first, said.last), (span.start, span.last()));
                    assert_eq!(said.length(), span.length);
                }
                Err(error) => {
                    is_brief(&error);
                    let empty = length == 0 || range == ByteRange::Last(0);
                    let behind = matches!(range, ByteRange::Between(first, _) | ByteRange::From(first) if first >= length);
                    let inverted = matches!(range, ByteRange::Between(first, last) if last < first);
                    assert!(empty || behind || inverted, "{range} is within {length}");
                }
            }
        }
        Err(error) => is_brief(&error),
    }
    match header.parse::<ContentRange>() {
        Ok(range) => {
            comes_back(&range, &range.to_string());
            assert!(range.first <= range.last && range.length() > 0);
        }
        Err(error) => is_brief(&error),
    }
}

/// Token requests (first line), the Authorization header (second line), and headers of another registry: a challenge
/// and a link (third line).
pub(crate) fn tokens(bytes: &[u8]) {
    match TokenRequest::parse(bytes) {
        Ok(request) => comes_back_encoded(&request),
        Err(error) => is_brief(&error),
    }
    let Some(text) = text(bytes) else { return };
    let [query, authorization, answer] = parts(text);
    match TokenRequest::parse(query.as_bytes()) {
        Ok(request) => comes_back_encoded(&request),
        Err(error) => is_brief(&error),
    }
    if let Ok(scope) = query.parse::<Scope>() {
        comes_back(&scope, &scope.to_string());
    }
    if let Some(Credentials::Basic { user, password }) = Credentials::parse(authorization) {
        assert!(!user.contains(':'));
        let password = password.expose_secret();
        let again = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let Some(Credentials::Basic { user: same, password: secret }) = Credentials::parse(&again) else {
            panic!("{again} cannot be parsed");
        };
        assert_eq!((same, secret.expose_secret()), (user, password));
    }
    assert!(parse_challenges(answer).len() <= answer.len());
    for link in Link::parse_all(answer) {
        assert!(link.target.len() + link.rel.len() <= answer.len());
    }
}

fn comes_back_encoded(request: &TokenRequest) {
    assert!(request.scopes.len() <= MAX_SCOPES);
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let scopes = request.scopes.iter().map(|scope| format!("scope={}", encode(&scope.to_string())));
    let password = request.password.as_ref().map(ExposeSecret::expose_secret);
    let others = [
        ("grant_type", request.grant_type.as_deref()),
        ("username", request.username.as_deref()),
        ("password", password),
    ];
    let others = others.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode((*value)?))));
    let query = scopes.chain(others).collect::<Vec<_>>().join("&");
    let again = TokenRequest::parse(query.as_bytes()).expect("it has as many scopes as before");
    assert_eq!(again.scopes, request.scopes);
    assert_eq!((&again.grant_type, &again.username), (&request.grant_type, &request.username));
    assert_eq!(again.password.as_ref().map(ExposeSecret::expose_secret), password);
}
