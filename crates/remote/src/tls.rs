//! The HTTP client of one endpoint, with its TLS settings.

use std::sync::Once;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Proxy};

use crate::network::GuardedResolver;
use crate::{Authorities, Endpoint, Error, NetworkPolicy};

/// How long name resolution, TCP and TLS may take together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("longshore/", env!("CARGO_PKG_VERSION"));

/// Makes sure that rustls has its one provider. A server installs it first thing; tests and other
/// callers need not.
pub fn ensure_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that one is installed already, which is all that is wanted.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// Makes the client. A machine without any certificate authorities can still speak plain HTTP.
/// It resolves names as `network` allows; [`crate::connector`] checks what needs no resolving.
pub(crate) fn build_client(endpoint: &Endpoint, network: NetworkPolicy) -> Result<Client, Error> {
    ensure_provider();
    let built = match builder(endpoint, network)?.build() {
        Err(_) if endpoint.url.scheme() == "http" => builder(endpoint, network)?.tls_certs_only([]).build(),
        built => built,
    };
    built.map_err(|error| Error::Settings(crate::failure::innermost(&error)))
}

/// A client that follows no redirect, uses no proxy of the environment, and has no timeout of its
/// own beside that for connecting: what is idle is watched per request.
fn builder(endpoint: &Endpoint, network: NetworkPolicy) -> Result<ClientBuilder, Error> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        // Digests are those of the bytes as they are stored, and JSON is short.
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(GuardedResolver(network))
        // Blobs travel side by side: a connection each is faster than streams within one, and
        // spares us the HTTP/2 bugs of proxies in front of registries.
        .http1_only()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(60))
        .retry(reqwest::retry::never())
        .referer(false)
        .tls_info(true)
        .no_proxy();
    if let Some(proxy) = &endpoint.proxy {
        let proxy = Proxy::all(proxy.clone()).map_err(|error| Error::Settings(error.to_string()))?;
        builder = builder.proxy(proxy);
    }
    if let Some(pem) = endpoint.ca_pem.as_deref().filter(|pem| !pem.trim().is_empty()) {
        builder = builder.tls_certs_merge(Authorities::stored(pem)?.certificates()?);
    }
    if endpoint.skip_tls_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}
