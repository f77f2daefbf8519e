//! Pages and JSON go out compressed. Blobs, manifests and streams of events do not: the first two are served as they
//! were stored, the last are told at once. The site's files were compressed when it was built.
//!
//! Whoever can make a browser ask again and again, choose a part of each answer, and watch how long the answers are,
//! guesses by that what else is in a compressed answer (BREACH). No secret is there to be guessed: no token that
//! holds from one answer to the next stands in a page or in JSON, sessions are in a cookie that other sites cannot
//! have sent along, and the nonce of a page is another one each time. An answer that has to show a secret must be
//! kept from here: one with `Content-Encoding: identity` is.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Less than this fits into one packet either way.
const WORTHWHILE: u16 = 1024;

type IsText = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses pages and JSON for those who take it.
pub(crate) fn compress() -> CompressionLayer<And<SizeAbove, IsText>> {
    // The first level makes a page five times smaller, and the last hardly more.
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
