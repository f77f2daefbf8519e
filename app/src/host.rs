//! Host and port by which clients reach this registry, for the commands that pages show.
//!
//! The server knows them (a setting, or the request's own host); they travel in a `<meta>` tag, so
//! that the first paint is the same in the browser.

use leptos::prelude::*;

/// The `<meta>` tag that carries the host.
pub(crate) const META: &str = "registry-host";

/// The host as image names have it, such as `registry.example.com:8080`; the server provides it as
/// context with each request.
#[derive(Clone, Debug)]
pub struct RegistryHost(pub String);

/// The host as image names have it.
#[cfg(feature = "ssr")]
#[must_use]
pub fn registry_host() -> String {
    let from_request = || {
        let parts = use_context::<http::request::Parts>()?;
        Some(parts.headers.get(http::header::HOST)?.to_str().ok()?.to_owned())
    };
    let provided = use_context::<RegistryHost>().map(|RegistryHost(host)| host);
    provided.or_else(from_request).unwrap_or_else(|| "localhost".to_owned())
}

/// The host as image names have it.
#[cfg(not(feature = "ssr"))]
#[must_use]
pub fn registry_host() -> String {
    let meta = document().query_selector(&format!("meta[name={META}]")).ok().flatten();
    meta.and_then(|meta| meta.get_attribute("content"))
        .unwrap_or_else(|| window().location().host().unwrap_or_default())
}
