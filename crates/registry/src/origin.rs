//! Under which address a client sees this server. Only the realm of a challenge needs it; all
//! other addresses that the registry gives out are relative (semantics 31).

use crate::Registry;
use http::request::Parts;
use http::uri::Authority;

/// Scheme and authority that a client used, such as `https://registry.example:8443`, where the
/// server knows better than the Host header tells: behind TLS, behind a trusted proxy. Inserted
/// into a request's extensions by whoever knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(pub String);

impl Registry {
    /// The token service's address: below the configured URL, else the one the client used.
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
