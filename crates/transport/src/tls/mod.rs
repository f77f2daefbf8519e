//! TLS: the certificate of the server, and its renewal while the server runs. Certificates come from files, or from the
//! server's own private certificate authority. Connections are accepted in `listener`.

mod acceptor;
mod files;
mod private_ca;
mod settings;

use parking_lot::RwLock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::{StatusCode, header};
use longshore_metadata::Database;
use longshore_model::Clock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use acceptor::Acceptor;
pub use settings::{TlsConflict, TlsSettings, TlsSource};

use files::{Files, Look};
use private_ca::PrivateCa;

/// How often the files are checked for changes, and the certificate of the private authority for renewal.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The TLS configuration of the server.
pub struct Tls {
    acceptor: Acceptor,
    shown: Arc<Shown>,
    source: Source,
    clock: Arc<dyn Clock>,
}

enum Source {
    Files(Files),
    PrivateCa(Box<PrivateCa>),
}

/// Checks that the server can use these certificates.
///
/// # Errors
/// The files cannot be read or do not match, or a name is not valid in a certificate.
pub fn check(source: &TlsSource) -> anyhow::Result<()> {
    match source {
        TlsSource::Files { certificate, key } => Files::open(certificate.clone(), key.clone()).map(drop),
        TlsSource::PrivateCa { names } => private_ca::certified(names.clone()).map(drop),
    }
}

impl Tls {
    /// Reads the certificate, or issues one for `names` (hosts and addresses) and for those in the settings.
    ///
    /// # Errors
    /// The certificate is invalid, or the authority cannot be read or stored.
    pub async fn open(
        source: &TlsSource,
        names: Vec<String>,
        db: &Database,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let (source, first) = match source {
            TlsSource::Files { certificate, key } => {
                let (files, first) = Files::open(certificate.clone(), key.clone())?;
                (Source::Files(files), first)
            }
            TlsSource::PrivateCa { names: more } => {
                let names = names.into_iter().chain(more.iter().cloned()).collect();
                let mut authority = PrivateCa::load_or_create(db, names, clock.now()).await?;
                let first = authority.issue(clock.now())?;
                tracing::info!(
                    sha256 = authority.fingerprint()?,
                    "certificates are issued by the private authority at /ca"
                );
                (Source::PrivateCa(Box::new(authority)), first)
            }
        };
        let shown = Arc::new(Shown(RwLock::new(Arc::new(first))));
        Ok(Self { acceptor: Acceptor::new(shown.clone())?, shown, source, clock })
    }

    /// The acceptor for new connections.
    pub fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// The route `/ca`, which serves the certificate of the private authority.
    pub fn routes(tls: Option<&Self>) -> Router {
        let Some(Source::PrivateCa(authority)) = tls.map(|tls| &tls.source) else {
            let none = (StatusCode::NOT_FOUND, "This server has no certificate authority of its own.\n");
            return Router::new().route("/ca", get(async move || none));
        };
        let pem: Arc<str> = authority.pem().into();
        let headers = [
            (header::CONTENT_TYPE, "application/x-pem-file"),
            (header::CONTENT_DISPOSITION, "inline; filename=\"longshore-ca.pem\""),
        ];
        Router::new().route("/ca", get(async move || (headers, pem.to_string())))
    }

    /// Uses newer certificates as they appear, until `stop`. Open connections are not affected.
    pub async fn keep_fresh(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        let newer = match &mut self.source {
            Source::Files(files) => match files.look() {
                Look::Same => return,
                Look::Newer(certificate) => Ok(*certificate),
                Look::Broken(error) => Err(error),
            },
            Source::PrivateCa(authority) if authority.is_due(self.clock.now()) => {
                authority.issue(self.clock.now())
            }
            Source::PrivateCa(_) => return,
        };
        match newer {
            Ok(certificate) => {
                self.shown.show(certificate);
                tracing::info!("a newer certificate is used for new connections");
            }
            Err(error) => {
                tracing::error!("the server keeps its current certificate: {error:#}");
            }
        }
    }
}

/// The names and addresses under which clients reach a server that listens on `address`.
pub fn names(external_url: Option<&Url>, address: SocketAddr) -> Vec<String> {
    let external = external_url.and_then(Url::host_str).map(|host| {
        // An IPv6 address is enclosed in brackets.
        host.trim_matches(['[', ']']).to_owned()
    });
    let listen = Some(address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut names: Vec<String> = external.into_iter().chain(listen).chain(local).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The certificate for new connections.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn show(&self, certificate: CertifiedKey) {
        *self.0.write() = Arc::new(certificate);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use longshore_metadata::Vault;
    use longshore_model::{ManualClock, Timestamp};

    async fn database(key: u8) -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let db = Database::open(path.to_str().unwrap(), Vault::from_key([key; 32])).await.unwrap();
        (folder, db)
    }

    #[tokio::test]
    async fn a_certificate_of_the_private_authority_is_renewed_while_the_server_runs() {
        let (_folder, db) = database(1).await;
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let source = TlsSource::PrivateCa { names: Vec::new() };
        let mut tls = Tls::open(&source, vec!["localhost".to_owned()], &db, clock.clone()).await.unwrap();
        let shown = |tls: &Tls| tls.shown.0.read().cert[0].clone();
        let first = shown(&tls);
        clock.advance(SignedDuration::from_hours(24 * 50));
        tls.refresh();
        assert_eq!(shown(&tls), first, "it is valid for another forty days");
        clock.advance(SignedDuration::from_hours(24 * 15));
        tls.refresh();
        assert_ne!(shown(&tls), first);
    }

    #[test]
    fn a_certificate_contains_each_name_that_clients_may_use() {
        let url: Url = "https://[2001:db8::1]:8443".parse().unwrap();
        let everywhere = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(names(Some(&url), everywhere), ["2001:db8::1", "localhost", "127.0.0.1", "::1"]);
        let here = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(names(None, here), ["127.0.0.1", "localhost", "::1"]);
    }

    #[tokio::test]
    async fn servers_that_share_a_database_share_their_private_authority() {
        let (_folder, db) = database(1).await;
        let names = || vec!["localhost".to_owned()];
        let now = Timestamp::UNIX_EPOCH;
        let (one, other) = tokio::join!(
            PrivateCa::load_or_create(&db, names(), now),
            PrivateCa::load_or_create(&db, names(), now)
        );
        assert_eq!(one.unwrap().pem(), other.unwrap().pem());
    }
}
