//! Debian's `docker-registry` as the other registry: plain, with accounts, or with TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::ca::TestCa;
use crate::process::Server;
use crate::registry_client::RegistryClient;

/// A running `docker-registry` on a free port of 127.0.0.1, with storage of its own and deletion enabled. It is
/// killed and cleaned up when it is dropped.
pub struct DockerRegistry {
    server: Server,
    folder: TempDir,
    address: SocketAddr,
    credentials: Option<(String, String)>,
    ca: Option<String>,
}

/// The options of a registry; see [`DockerRegistry::builder`].
#[derive(Default)]
pub struct DockerRegistryBuilder {
    credentials: Option<(String, String)>,
    tls: Option<(String, crate::ca::Issued)>,
    below: Option<PathBuf>,
}

/// A request that the registry responded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, …
    pub method: String,
    pub uri: String,
    /// The status of the response.
    pub status: u16,
}

impl DockerRegistryBuilder {
    /// Requires the credentials of this account.
    #[must_use]
    pub fn account(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Uses TLS with a certificate of `ca`.
    #[must_use]
    pub fn tls(mut self, ca: &TestCa) -> Self {
        self.tls = Some((ca.pem().to_owned(), ca.issue_for_loopback()));
        self
    }

    /// Stores its data below a folder, to choose the medium.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Self {
        self.below = Some(folder.to_owned());
        self
    }

    /// Starts it and waits until it responds.
    pub async fn start(self) -> DockerRegistry {
        let folder = self.below.as_ref().map_or_else(TempDir::new, TempDir::new_in);
        let folder = folder.expect("a temporary folder can be made");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let write =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("the folder is ours");
        // The line with the port has the level info.
        let mut config = format!(
            "version: 0.1\nlog: {{level: info}}\n\
             storage:\n  filesystem: {{rootdirectory: '{}'}}\n  delete: {{enabled: true}}\n  \
             cache: {{blobdescriptor: inmemory}}\n\
             http:\n  addr: 127.0.0.1:0\n  secret: testing\n",
            path("storage")
        );
        if let Some((_, issued)) = &self.tls {
            write("certificate.pem", &issued.certificate);
            write("key.pem", &issued.key);
            let (certificate, key) = (path("certificate.pem"), path("key.pem"));
            config += &format!("  tls: {{certificate: '{certificate}', key: '{key}'}}\n");
        }
        if let Some((user, password)) = &self.credentials {
            write("htpasswd", &htpasswd(user, password));
            config += &format!("auth:\n  htpasswd: {{realm: test, path: '{}'}}\n", path("htpasswd"));
        }
        write("config.yml", &config);
        let (server, address) = launch(&folder, None).await;
        let ca = self.tls.map(|(ca, _)| ca);
        DockerRegistry { server, folder, address, credentials: self.credentials, ca }
    }
}

/// Starts the process, on a free port or on its previous one, and reads from its log where it listens.
async fn launch(folder: &TempDir, address: Option<SocketAddr>) -> (Server, SocketAddr) {
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(folder.path().join("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
    if let Some(address) = address {
        command.env("REGISTRY_HTTP_ADDR", address.to_string());
    }
    let mut server = Server::start("docker-registry", &mut command, &folder.path().join("log"));
    let address = server.listening("listening on ").await;
    (server, address)
}

/// One line of an htpasswd file, with bcrypt at its lowest cost, since the registry checks it for each request.
fn htpasswd(user: &str, password: &str) -> String {
    let output = Command::new("htpasswd")
        .args(["-nbB", "-C", "4", user, password])
        .output()
        .expect("htpasswd is installed (Debian package apache2-utils)");
    assert!(output.status.success(), "htpasswd: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("htpasswd writes text")
}

impl DockerRegistry {
    /// The default options.
    pub fn builder() -> DockerRegistryBuilder {
        DockerRegistryBuilder::default()
    }

    /// A registry without accounts and without TLS.
    pub async fn plain() -> Self {
        Self::builder().start().await
    }

    /// A registry with a single account.
    pub async fn with_account(user: &str, password: &str) -> Self {
        Self::builder().account(user, password).start().await
    }

    /// A registry with TLS and a certificate of `ca`.
    pub async fn with_tls(ca: &TestCa) -> Self {
        Self::builder().tls(ca).start().await
    }

    /// The id of its process, for measurements.
    pub fn process_id(&self) -> u32 {
        self.server.id()
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Its URL, with scheme and without a path.
    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// A client with its account that trusts its certificate.
    pub fn client(&self) -> RegistryClient {
        let mut client = match &self.ca {
            Some(pem) => RegistryClient::trusting(&self.url(), pem),
            None => RegistryClient::new(&self.url()),
        };
        if let Some((user, password)) = &self.credentials {
            client = client.with_credentials(user, password);
        }
        client
    }

    /// All requests it responded to so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.log().lines().filter_map(Request::parse).collect()
    }

    /// Kills it. Its address refuses connections until [`Self::restart`].
    pub fn stop(&mut self) {
        self.server.kill9();
    }

    /// Starts it again on the same port with the same content.
    pub async fn restart(&mut self) {
        self.server.kill9();
        (self.server, self.address) = launch(&self.folder, Some(self.address)).await;
    }

    /// Its output.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

impl Request {
    /// Parses a line of the Combined Log Format, in which the registry logs each request.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let [method, uri, protocol] = request.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let status = rest.split(' ').next()?.parse().ok()?;
        protocol.starts_with("HTTP/").then(|| Self { method: method.to_owned(), uri: uri.to_owned(), status })
    }
}
