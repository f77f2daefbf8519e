//! TLS handshakes and the choice of cipher suites.

use std::io;
use std::sync::Arc;

use anyhow::Context;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider};
use rustls::server::ResolvesServerCert;
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The number of bytes that are encrypted before they are handed to the kernel together.
const BUFFER: usize = 256 * 1024;
/// AES-128 needs ten rounds where AES-256 needs fourteen, and is as secure for the lifetime of a connection.
const FASTEST: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];
/// The suites that clients without AES instructions list first; they are several times as fast for them.
const WITHOUT_AES: [CipherSuite; 3] = [
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// Performs TLS handshakes; cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    fastest: Arc<ServerConfig>,
    as_clients_like: Arc<ServerConfig>,
}

impl Acceptor {
    pub(super) fn new(certificates: Arc<dyn ResolvesServerCert>) -> anyhow::Result<Self> {
        let mut provider = default_provider();
        // The sort is stable, so the other suites keep their order.
        provider.cipher_suites.sort_by_key(|suite| !FASTEST.contains(suite));
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Sessions are resumed by tickets only, so that no state is kept for clients that never return.
        config.ticketer = Ticketer::new().context("keys for TLS session tickets cannot be generated")?;
        let as_clients_like = Arc::new(config.clone());
        config.ignore_client_order = true;
        Ok(Self { fastest: Arc::new(config), as_clients_like })
    }

    /// Performs the handshake.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        // Some clients list a reserved value first (RFC 8701).
        let hello = begun.client_hello();
        let first = hello.cipher_suites().iter().find(|suite| suite.as_str().is_some());
        let without_aes = first.is_some_and(|first| WITHOUT_AES.contains(first));
        let config = if without_aes { &self.as_clients_like } else { &self.fastest };
        begun.into_stream_with(config.clone(), |session| session.set_buffer_limit(Some(BUFFER))).await
    }
}
