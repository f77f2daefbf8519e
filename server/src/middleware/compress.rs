//! Compresses pages and JSON. Blobs and manifests are served as they were stored, and event streams must not be
//! delayed. The files of the site are compressed when it is built.
//!
//! Compression can reveal secrets (BREACH): an attacker who can make a browser send requests, choose a part of each
//! response, and observe its length can guess the rest. There are no secrets to guess here: pages and JSON contain no
//! token that stays the same from one response to the next, sessions are in a cookie that other sites cannot have sent,
//! and the nonce of a page changes each time. A response that must contain a secret can opt out with `Content-Encoding:
//! identity`.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Smaller responses fit into one packet either way.
const WORTHWHILE: u16 = 1024;

type IsText = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses pages and JSON for clients that accept it.
pub(crate) fn compress() -> CompressionLayer<And<SizeAbove, IsText>> {
    // The first level makes a page five times smaller, and the last one hardly more.
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(WORTHWHILE).and(is_text as IsText))
}

fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    matches!(media_type, "text/html" | "application/json")
}
