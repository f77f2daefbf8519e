//! TLS with valid and invalid certificates.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use longshore_model::RemoteKind;
use longshore_model::connect::{CheckKind, CheckStatus, ConnectReport, Direction};
use longshore_remote::{Endpoint, connect, ensure_provider};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use url::Url;

use crate::fake::{ok_json, repo, router};

/// Accepts TLS connections, and passes over those that fail.
struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((tcp, address)) = self.tcp.accept().await
                && let Ok(tls) = self.acceptor.accept(tcp).await
            {
                return (tls, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// A registry at `https://localhost:<port>` with a certificate of a private authority, and that
/// authority in PEM.
async fn start(change: impl FnOnce(&mut CertificateParams)) -> (u16, String) {
    ensure_provider();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    change(&mut server);
    let certificate = server.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let listener = Listener { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
    let app = router(|_| ok_json(r#"{"tags":["v1"]}"#));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (port, authority.pem())
}

async fn report(url: &str, ca: Option<&str>, skip: bool) -> ConnectReport {
    let mut endpoint = Endpoint::new(Url::parse(url).unwrap(), RemoteKind::Other);
    endpoint.ca_pem = ca.map(Into::into);
    endpoint.skip_tls_verify = skip;
    connect(endpoint, &repo(), Direction::Pull).await
}

fn tls_failure(report: &ConnectReport) -> (&str, Option<&str>) {
    let check = report.failure().unwrap();
    assert_eq!(check.kind, CheckKind::Tls, "{check:?}");
    (&check.message, check.field.as_deref())
}

#[tokio::test]
async fn a_private_authority_is_unknown_until_it_is_given_or_skipped() {
    let (port, ca) = start(|_| {}).await;
    let url = format!("https://localhost:{port}");

    let unknown = report(&url, None, false).await;
    let (message, field) = tls_failure(&unknown);
    assert!(message.contains("authority that is not known"), "{message}");
    assert_eq!(field, Some("remoteCA"));

    let given = report(&url, Some(&ca), false).await;
    assert!(given.usable, "{given:?}");
    assert!(given.checks[1].message.contains("TLS 1.3"), "{given:?}");

    let skipped = report(&url, None, true).await;
    assert!(skipped.usable);
    assert_eq!(skipped.checks[1].status, CheckStatus::Warning);
}

#[tokio::test]
async fn a_certificate_for_another_name_says_which() {
    let (port, ca) = start(|_| {}).await;
    let other = report(&format!("https://127.0.0.1:{port}"), Some(&ca), false).await;
    let (message, field) = tls_failure(&other);
    assert!(message.contains("made for localhost"), "{message}");
    assert_eq!(field, Some("remoteHost"));
}

#[tokio::test]
async fn an_expired_certificate_says_so() {
    let (port, ca) = start(|server| {
        server.not_before = date_time_ymd(2001, 1, 1);
        server.not_after = date_time_ymd(2002, 1, 1);
    })
    .await;
    let expired = report(&format!("https://localhost:{port}"), Some(&ca), false).await;
    assert!(tls_failure(&expired).0.contains("expired"), "{expired:?}");
}

#[tokio::test]
async fn an_invalid_authority_is_reported_at_its_field() {
    let nonsense = report("https://localhost:1", Some("not a certificate"), false).await;
    assert_eq!(tls_failure(&nonsense).1, Some("remoteCA"));
}

#[tokio::test]
async fn plain_http_to_a_port_that_speaks_tls_is_explained() {
    let (port, _) = start(|_| {}).await;
    let plain = report(&format!("http://localhost:{port}"), None, false).await;
    let check = plain.failure().unwrap();
    assert_eq!(check.kind, CheckKind::Reachable);
    let advice = format!("https://localhost:{port}");
    assert!(check.remedy.as_ref().is_some_and(|remedy| remedy.contains(&advice)), "{check:?}");
}
