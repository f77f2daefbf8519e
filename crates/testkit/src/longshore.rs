//! Longshore itself, as the real binary in a separate process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use crate::eventually::eventually;
use crate::process::Server;
use crate::registry_client::{RegistryClient, trusting_client};
use crate::rest::Rest;
use crate::s3_server::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use crate::site::Site;

/// The password of the user `admin` in every server that is started here.
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";

/// The maximum time from listening to being healthy.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum time of a graceful shutdown.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// A running Longshore with its own data in a temporary folder. It is killed and cleaned up when it is dropped; if
/// the test fails, the end of its log is printed.
pub struct Longshore {
    server: Server,
    builder: LongshoreBuilder,
    folder: TempDir,
    address: SocketAddr,
    /// The authority of its certificate, if it uses TLS.
    ca: Option<String>,
}

/// The options of a server; see [`Longshore::builder`].
#[derive(Debug, Clone)]
pub struct LongshoreBuilder {
    binary: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    /// The parent of the data folder; `None` for the folder of temporary files.
    below: Option<PathBuf>,
    /// The file for a trace of its system calls, and the calls to trace.
    trace: Option<(PathBuf, &'static str)>,
    tls: Option<Authority>,
}

/// The authority of the server's certificate.
#[derive(Debug, Clone)]
enum Authority {
    /// An authority of the test.
    Known(String),
    /// The server's own authority.
    Private,
}

impl LongshoreBuilder {
    /// Adds an argument of `longshore serve`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable, such as a setting `LONGSHORE_…`.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Stores its data below a folder, to choose the medium.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        Self { below: Some(folder.to_owned()), ..self }
    }

    /// Stores its blobs in the bucket of this server.
    #[must_use]
    pub fn in_bucket(self, server: &S3Server) -> Self {
        self.variable("LONGSHORE_S3_BUCKET", BUCKET)
            .variable("LONGSHORE_S3_ENDPOINT", &server.url())
            .variable("LONGSHORE_S3_ALLOW_HTTP", "true")
            .variable("LONGSHORE_S3_ACCESS_KEY", ACCESS_KEY)
            .variable("LONGSHORE_S3_SECRET_KEY", SECRET_KEY)
    }

    /// Traces some system calls with strace, with all their bytes.
    #[must_use]
    pub fn traced(self, trace: &Path, calls: &'static str) -> Self {
        Self { trace: Some((trace.to_owned(), calls)), ..self }
    }

    fn command(&self) -> Command {
        let Some((trace, calls)) = &self.trace else { return Command::new(&self.binary) };
        let mut command = Command::new("strace");
        // As a grandchild (-D), so that the process that is started is the server itself.
        command.args(["-D", "-f", "-xx", "-s", "8388608", "--seccomp-bpf", "-e"]);
        command.arg(format!("trace={calls}")).arg("-o").arg(trace).arg("--").arg(&self.binary);
        command
    }

    /// Uses TLS with the certificate in these files, which this authority signed.
    #[must_use]
    pub fn tls_files(mut self, certificate: &Path, key: &Path, ca_pem: &str) -> Self {
        self.tls = Some(Authority::Known(ca_pem.to_owned()));
        self.argument(&format!("--tls-cert={}", certificate.display()))
            .argument(&format!("--tls-key={}", key.display()))
    }

    /// Uses TLS with the server's own authority.
    #[must_use]
    pub fn tls_private_ca(mut self) -> Self {
        self.tls = Some(Authority::Private);
        self.argument("--tls-private-ca")
    }

    /// Starts it on a free port and waits until it is healthy.
    pub async fn start(self) -> Longshore {
        let folder = self.below.as_ref().map_or_else(TempDir::new, TempDir::new_in);
        self.start_in(folder.expect("a temporary folder can be made")).await
    }

    /// Starts it on existing data.
    pub async fn start_in(self, folder: TempDir) -> Longshore {
        let (server, address) = self.launch(&folder, "127.0.0.1:0").await;
        let ca = match &self.tls {
            None => None,
            Some(Authority::Known(pem)) => Some(pem.clone()),
            Some(Authority::Private) => {
                let answer = trusting_client().get(format!("https://{address}/ca")).send().await;
                let pem = answer.expect("the authority's certificate is served").text().await;
                Some(pem.expect("the authority's certificate is text"))
            }
        };
        Longshore { server, builder: self, folder, address, ca }
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    async fn launch(&self, folder: &TempDir, listen: &str) -> (Server, SocketAddr) {
        let mut command = self.command();
        // Settings in the environment of the tests must not reach the server.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LONGSHORE_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen", listen, "--data"])
            .arg(folder.path().join("data"))
            .args(&self.arguments)
            .env("LONGSHORE_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path());
        let mut server = Server::start("longshore", &mut command, &folder.path().join("log"));
        let address = server.listening(&format!("listening on {}://", self.scheme())).await;
        let (health, url) = (trusting_client(), format!("{}://{address}/healthz", self.scheme()));
        eventually("longshore is healthy", READY_TIMEOUT, async || match health.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("status {}", answer.status())),
            Err(error) => Err(format!("{error:?}")),
        })
        .await;
        (server, address)
    }
}

impl Longshore {
    /// The options of a server, initially the defaults. `binary` is the path of the server; a test in its crate
    /// passes `env!("CARGO_BIN_EXE_longshore")`.
    pub fn builder(binary: impl AsRef<Path>) -> LongshoreBuilder {
        LongshoreBuilder {
            binary: binary.as_ref().to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            below: None,
            trace: None,
            tls: None,
        }
    }

    /// Starts a server with default options.
    pub async fn start(binary: impl AsRef<Path>) -> Self {
        Self::builder(binary).start().await
    }

    /// `http://127.0.0.1:PORT`, or `https://…`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.builder.scheme(), self.address)
    }

    /// The authority of its certificate in PEM format, if it uses TLS.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The folder with all its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The id of its process, for measurements.
    pub fn process_id(&self) -> u32 {
        self.server.id()
    }

    /// A client of the REST interface as the user `admin`.
    pub fn rest(&self) -> Rest {
        let rest = match &self.ca {
            Some(ca) => Rest::trusting(&self.url(), ca),
            None => Rest::new(&self.url()),
        };
        rest.as_user("admin", ADMIN_PASSWORD)
    }

    /// A client of the registry as the user `admin`.
    pub fn registry(&self) -> RegistryClient {
        let registry = match &self.ca {
            Some(ca) => RegistryClient::trusting(&self.url(), ca),
            None => RegistryClient::new(&self.url()),
        };
        registry.with_credentials("admin", ADMIN_PASSWORD)
    }

    /// An anonymous client of its site.
    pub fn site(&self) -> Site {
        Site::new(&self.url())
    }

    /// Kills it, whatever it is doing.
    pub fn kill9(&mut self) {
        self.server.kill9();
    }

    /// Shuts it down gracefully and returns its exit status.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.server.terminate(END_TIMEOUT).await
    }

    /// Kills it if it is running, and starts it with the same data on the same port.
    pub async fn restart(&mut self) {
        self.server.kill9();
        (self.server, self.address) = self.builder.launch(&self.folder, &self.address.to_string()).await;
    }

    /// Restarts it with a changed setting `LONGSHORE_…`.
    pub async fn restart_with(&mut self, name: &str, value: &str) {
        self.builder = self.builder.clone().variable(name, value);
        self.restart().await;
    }

    /// Stops its process (SIGSTOP), as an overloaded machine might.
    pub fn freeze(&self) {
        self.server.signal("STOP");
    }

    /// Continues a stopped process (SIGCONT).
    pub fn thaw(&self) {
        self.server.signal("CONT");
    }

    /// Its output over all restarts.
    pub fn log(&self) -> String {
        self.server.log()
    }
}
