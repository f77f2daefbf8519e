//! The Content-Security-Policy of pages.

use axum::http::{HeaderValue, header};
use leptos::prelude::{expect_context, use_nonce};
use leptos_axum::ResponseOptions;

/// Sets the Content-Security-Policy of the page that is being rendered: only our own scripts, inline ones only with the
/// nonce of this response; only our own styles, none in attributes; nothing from other origins.
pub(super) fn protect_page() {
    let nonce = use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
    // `cargo leptos watch` reloads pages through a separate socket.
    let sockets = if std::env::var_os("LEPTOS_WATCH").is_some() { " ws:" } else { "" };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; font-src 'self'; connect-src 'self'{sockets}; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let response: ResponseOptions = expect_context();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
    // Pages contain what their reader may see, so shared caches must not store them.
    response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}
