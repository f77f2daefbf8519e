//! The origin under which a client reaches this server. Only the realm of a challenge needs it; all other URLs that the
//! registry returns are relative (semantics 31).

use crate::Registry;
use http::request::Parts;
use http::uri::Authority;

/// The scheme and authority that a client used, such as `https://registry.example:8443`. The server inserts it into the
/// request's extensions if it knows better than the Host header, for example behind TLS or a trusted proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(pub String);

impl Registry {
    /// The URL of the token service: below the configured URL, otherwise below the one that the client used.
    pub(crate) fn realm(&self, request: &Parts) -> String {
        let base = match (&self.settings.external_url, request.extensions.get::<Origin>()) {
            (Some(url), _) => url.as_str().to_owned(),
            (None, Some(Origin(origin))) => origin.clone(),
            (None, None) => format!("http://{}", host(request)),
        };
        format!("{}/v2/token", base.trim_end_matches('/'))
    }
}

fn host(request: &Parts) -> String {
    let header = request.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let named = header.and_then(|host| host.parse::<Authority>().ok());
    named
        .or_else(|| request.uri.authority().cloned())
        .map_or_else(|| "localhost".to_owned(), |a| a.to_string())
}
