//! The host and port under which clients reach this registry, for the commands on pages.
//!
//! The server knows them (from a setting or the request's own host); a `<meta>` tag passes them on, so that the
//! browser's first paint is the same.

use leptos::prelude::*;

/// The `<meta>` tag with the host.
pub(crate) const META: &str = "registry-host";

/// The host as used in image names, such as `registry.example.com:8080`; provided by the server as context of each
/// request.
#[derive(Clone, Debug)]
pub struct RegistryHost(pub String);

/// The host as used in image names.
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

/// The host as used in image names.
#[cfg(not(feature = "ssr"))]
#[must_use]
pub fn registry_host() -> String {
    let meta = document().query_selector(&format!("meta[name={META}]")).ok().flatten();
    meta.and_then(|meta| meta.get_attribute("content"))
        .unwrap_or_else(|| window().location().host().unwrap_or_default())
}
