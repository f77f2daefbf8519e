//! The HTTP client of one endpoint, with its TLS settings.

use std::sync::Once;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Proxy};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::network::GuardedResolver;
use crate::{Endpoint, Error, NetworkPolicy};

/// How long name resolution, TCP and TLS may take together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("longshore/", env!("CARGO_PKG_VERSION"));

/// Why a certificate authority was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// No certificate block in the text.
    #[error(
        "there is no certificate in it; paste the text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
    )]
    Empty,
    /// A block that is no certificate.
    #[error("the certificate cannot be read ({0}); paste the whole PEM text of the authority")]
    Unreadable(String),
}

/// Makes sure that rustls has its one provider. A server installs it first thing; tests and other
/// callers need not.
pub fn ensure_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that one is installed already, which is all that is wanted.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// Checks certificate authorities as typed, and counts them.
pub fn check_ca(pem: &str) -> Result<usize, CaError> {
    Ok(authorities(pem)?.len())
}

fn authorities(pem: &str) -> Result<Vec<Certificate>, CaError> {
    let unreadable = |error: &dyn std::fmt::Display| CaError::Unreadable(error.to_string());
    let mut roots = RootCertStore::empty();
    let mut authorities = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let der = der.map_err(|error| unreadable(&error))?;
        authorities.push(Certificate::from_der(&der).map_err(|error| unreadable(&error))?);
        // Only this looks into the certificate.
        roots.add(der).map_err(|error| unreadable(&error))?;
    }
    if authorities.is_empty() { Err(CaError::Empty) } else { Ok(authorities) }
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
        builder = builder.tls_certs_merge(authorities(pem)?);
    }
    if endpoint.skip_tls_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_authority_is_refused() {
        assert_eq!(check_ca(""), Err(CaError::Empty));
        assert_eq!(check_ca("hello"), Err(CaError::Empty));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(check_ca(broken), Err(CaError::Unreadable(_))));
    }
}
