//! Real clients: skopeo, buildah, podman and docker. Each has a home of its own, so that its logins, trust and
//! storage are independent of the user who runs the tests.

mod docker;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_oci::Digest;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::corpus::{Package, digest_of};
use crate::layout::write_oci_layout;

pub use docker::Docker;

/// The common part of the clients: a home, logins and trusted authorities.
struct Home {
    folder: TempDir,
    logins: Map<String, Value>,
    trusted: BTreeMap<String, PathBuf>,
}

impl Home {
    fn new() -> Self {
        let home = Self {
            folder: TempDir::new().expect("a temporary folder can be made"),
            logins: Map::new(),
            trusted: BTreeMap::new(),
        };
        home.write_logins();
        fs::write(home.path("registries.conf"), "unqualified-search-registries = []\n")
            .expect("the home can be written");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_logins(&self) {
        let auths = json!({"auths": self.logins});
        fs::write(self.path("auth.json"), auths.to_string()).expect("the home can be written");
    }

    fn login(&mut self, host: &str, user: &str, password: &str) {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        self.logins.insert(host.to_owned(), json!({"auth": auth}));
        self.write_logins();
    }

    fn trust(&mut self, host: &str, ca_pem: &str) {
        let folder = self.path(&format!("certs-{}", self.trusted.len()));
        fs::create_dir(&folder).expect("the home can be written");
        fs::write(folder.join("ca.crt"), ca_pem).expect("the home can be written");
        self.trusted.insert(host.to_owned(), folder);
    }

    /// The option for the connection to the host of `image`: its authority, or no TLS verification. `side` is `src-`,
    /// `dest-` or empty.
    fn tls_option(&self, side: &str, image: &str) -> Option<String> {
        let host = image.strip_prefix("docker://")?.split('/').next()?;
        Some(match self.trusted.get(host) {
            Some(folder) => format!("--{side}cert-dir={}", folder.display()),
            None => format!("--{side}tls-verify=false"),
        })
    }

    /// A folder from which an image with one file is built.
    fn context(&self, content: &str) -> TempDir {
        let context = TempDir::new_in(self.folder.path()).expect("a temporary folder can be made");
        fs::write(context.path().join("file"), content).expect("the context can be written");
        fs::write(context.path().join("Containerfile"), "FROM scratch\nCOPY file /file\n")
            .expect("the context can be written");
        context
    }

    /// Runs a program that stores images, with storage in this home.
    async fn run_with_storage(&self, program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let root = self.path("storage").display().to_string();
        let runroot = self.path("run").display().to_string();
        let storage = ["--storage-driver", "vfs", "--root", &root, "--runroot", &runroot];
        self.run(program, [&storage, arguments].concat()).await
    }

    /// Runs a program in this home; returns its standard output, or its standard error.
    async fn run(&self, program: &str, arguments: Vec<impl AsRef<OsStr>>) -> Result<Vec<u8>, String> {
        outcome(program, self.command(program).args(arguments)).await
    }

    /// A command that runs in this home.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("REGISTRY_AUTH_FILE", self.path("auth.json"))
            .env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"))
            .env("TMPDIR", self.folder.path())
            .kill_on_drop(true);
        command
    }
}

/// Runs a command to its end; returns its standard output, or its standard error if it failed.
async fn outcome(program: &str, command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program} (a Debian package) does not start: {error}"));
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// skopeo with its own home. Images are written as for skopeo: `docker://HOST/REPOSITORY:TAG`, `oci:PATH:TAG`.
pub struct Skopeo(Home);

impl Skopeo {
    /// Verifies the certificate of `host` with this authority.
    #[must_use]
    pub fn trust(mut self, host: &str, ca_pem: &str) -> Self {
        self.0.trust(host, ca_pem);
        self
    }

    /// Runs skopeo with any arguments; returns its standard output, or its error.
    pub async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let arguments = [&["--insecure-policy"], arguments].concat();
        self.0.run("skopeo", arguments).await
    }

    /// Copies an image with all its platforms and unchanged digests.
    ///
    /// # Errors
    /// The error of skopeo.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), String> {
        let options = [self.0.tls_option("src-", from), self.0.tls_option("dest-", to)];
        let mut arguments = vec!["copy", "--all", "--preserve-digests"];
        arguments.extend(options.iter().flatten().map(String::as_str));
        arguments.extend([from, to]);
        self.run(&arguments).await.map(drop)
    }

    /// Pushes a package to `image` (`HOST/REPOSITORY:TAG`) and returns its digest.
    ///
    /// # Errors
    /// The error of skopeo.
    pub async fn push(&self, package: &Package, image: &str) -> Result<Digest, String> {
        let folder = TempDir::new_in(self.0.folder.path()).expect("a temporary folder can be made");
        write_oci_layout(package, folder.path(), "pushed");
        let from = format!("oci:{}:pushed", folder.path().display());
        self.copy(&from, &format!("docker://{image}")).await?;
        Ok(package.root.clone())
    }

    /// The digest of the manifest at `image` (`HOST/REPOSITORY:TAG`), computed from the bytes that skopeo receives.
    ///
    /// # Errors
    /// The error of skopeo.
    pub async fn digest(&self, image: &str) -> Result<Digest, String> {
        let image = format!("docker://{image}");
        let option = self.0.tls_option("", &image).unwrap_or_default();
        self.run(&["inspect", "--raw", &option, &image]).await.map(|bytes| digest_of(&bytes))
    }

    /// Pulls `image` (`HOST/REPOSITORY:TAG`) with all its platforms into a folder as an OCI layout; skopeo verifies
    /// every digest.
    ///
    /// # Errors
    /// The error of skopeo.
    pub async fn pull(&self, image: &str, folder: &Path) -> Result<(), String> {
        self.copy(&format!("docker://{image}"), &format!("oci:{}:pulled", folder.display())).await
    }
}

/// The common methods of all clients. Registries without a login or an authority are contacted by plain HTTP or
/// without verification.
macro_rules! with_logins {
    ($($tool:ident),*) => {$(
        impl $tool {
            /// A client without logins.
            pub fn new() -> Self {
                Self(Home::new())
            }

            /// Adds a login for `host` (`127.0.0.1:PORT`).
            #[must_use]
            pub fn login(mut self, host: &str, user: &str, password: &str) -> Self {
                self.0.login(host, user, password);
                self
            }
        }

        impl Default for $tool {
            fn default() -> Self {
                Self::new()
            }
        }
    )*};
}

with_logins!(Skopeo, Buildah, Podman);

/// buildah with its own home and storage.
pub struct Buildah(Home);

impl Buildah {
    /// Runs buildah with any arguments, such as `["images"]`; returns its standard output, or its error.
    pub async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        self.0.run_with_storage("buildah", arguments).await
    }

    /// Builds an image with one file and pushes it to `image` (`HOST/REPOSITORY:TAG`).
    ///
    /// # Errors
    /// The error of buildah.
    pub async fn build_and_push(&self, content: &str, image: &str) -> Result<(), String> {
        let context = self.0.context(content);
        let context = context.path().display().to_string();
        self.run(&["build", "--isolation", "chroot", "--tag", image, &context]).await?;
        let to = format!("docker://{image}");
        let option = self.0.tls_option("", &to).unwrap_or_default();
        self.run(&["push", &option, image, &to]).await.map(drop)
    }
}

/// podman with its own home and storage; it needs no daemon.
pub struct Podman(Home);

impl Podman {
    /// Runs podman with any arguments, such as `["images"]`; returns its standard output, or its error.
    pub async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        self.0.run_with_storage("podman", arguments).await
    }

    /// Builds an image with one file and pushes it to `image` (`HOST/REPOSITORY:TAG`).
    ///
    /// # Errors
    /// The error of podman.
    pub async fn build_and_push(&self, content: &str, image: &str) -> Result<(), String> {
        let context = self.0.context(content);
        let context = context.path().display().to_string();
        self.run(&["build", "--isolation", "chroot", "--tag", image, &context]).await?;
        self.run(&["push", "--tls-verify=false", image]).await.map(drop)
    }

    /// Builds an image with one file for each of `platforms`, and pushes their index to `image`.
    ///
    /// # Errors
    /// The error of podman.
    pub async fn build_and_push_index(
        &self,
        content: &str,
        platforms: &[&str],
        image: &str,
    ) -> Result<(), String> {
        let context = self.0.context(content);
        let (context, platforms) = (context.path().display().to_string(), platforms.join(","));
        // With its cache, podman would use the first platform's image for all of them.
        let build = ["build", "--isolation", "chroot", "--no-cache", "--platform", &platforms];
        self.run(&[&build[..], &["--manifest", image, &context]].concat()).await?;
        let to = format!("docker://{image}");
        self.run(&["manifest", "push", "--all", "--tls-verify=false", image, &to]).await.map(drop)
    }

    /// The names of the repositories that `podman search` finds for `HOST/TERM`, with their host.
    ///
    /// # Errors
    /// The error of podman.
    pub async fn search(&self, term: &str) -> Result<Vec<String>, String> {
        let found = self.run(&["search", "--tls-verify=false", "--format", "{{.Name}}", term]).await?;
        Ok(String::from_utf8_lossy(&found).lines().map(str::to_owned).collect())
    }

    /// Removes all images, pulls `image`, and returns the digest that podman verified.
    ///
    /// # Errors
    /// The error of podman.
    pub async fn pull(&self, image: &str) -> Result<String, String> {
        self.run(&["rmi", "--all", "--force"]).await?;
        self.run(&["pull", "--tls-verify=false", image]).await?;
        let digest = self.run(&["image", "inspect", "--format", "{{.Digest}}", image]).await?;
        Ok(String::from_utf8_lossy(&digest).trim().to_owned())
    }
}
