//! docker: the command, and a daemon that is independent of this machine's own.

use std::process::Command;

use longshore_oci::Digest;

use super::{Home, outcome};
use crate::corpus::Package;
use crate::layout::write_docker_archive;
use crate::process::Server;

/// The daemon writes to these folders whatever its options. It sees empty ones, which disappear with it.
const OWN_FOLDERS: &str = "mount -t tmpfs none /run && mount -t tmpfs none /etc/docker && exec \"$@\"";

/// docker with its own daemon, home and storage. It runs no containers. The daemon uses plain HTTP for 127.0.0.1, and
/// is killed when this is dropped.
pub struct Docker {
    // The daemon must end before its folder is removed.
    _daemon: Server,
    home: Home,
}

impl Docker {
    /// Starts a daemon and waits until it responds.
    pub async fn start() -> Self {
        let home = Home::new();
        let path = |name: &str| home.path(name).display().to_string();
        // Mounts that only the daemon sees disappear when it is killed. Without root, mounting requires being root in
        // a user namespace.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "--", "sh", "-c", OWN_FOLDERS, "sh", "dockerd"]);
        command.args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")]);
        command.args(["--host", &format!("unix://{}", path("docker.sock")), "--group", "0"]);
        command.args(["--storage-driver=vfs", "--bridge=none", "--iptables=false", "--ip6tables=false"]);
        // In its own namespace, it may not enable what containers would need.
        command.arg("--ip-forward=false");
        // Where Debian installs programs for administrators.
        let programs = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        command.env("PATH", programs).env("HOME", home.folder.path());
        let mut daemon = Server::start("dockerd", &mut command, &home.path("log"));
        daemon.says("API listen on").await;
        Self { _daemon: daemon, home }
    }

    /// Runs docker with any arguments, such as `["images"]`; returns its standard output, or its error.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.home.command("docker");
        command
            .args(arguments)
            .env("DOCKER_CONFIG", self.home.folder.path())
            .env("DOCKER_HOST", format!("unix://{}", self.home.path("docker.sock").display()));
        let output = outcome("docker", &mut command).await?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Logs in to `host` (`127.0.0.1:PORT`), which the daemon verifies immediately.
    ///
    /// # Errors
    /// The error of docker.
    pub async fn login(&self, host: &str, user: &str, password: &str) -> Result<(), String> {
        self.run(&["login", "--username", user, "--password", password, host]).await.map(drop)
    }

    /// Loads an image of the corpus into the daemon's storage, named `image` (`HOST/REPOSITORY:TAG`).
    ///
    /// # Errors
    /// The error of docker.
    pub async fn load(&self, package: &Package, image: &str) -> Result<(), String> {
        let archive = self.home.path("archive.tar");
        write_docker_archive(package, &archive, image);
        self.run(&["load", "--quiet", "--input", &archive.display().to_string()]).await.map(drop)
    }

    /// Removes `image` (`HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@DIGEST`) if it exists, and pulls it for this
    /// platform (`linux/amd64`, …).
    ///
    /// # Errors
    /// The error of docker.
    pub async fn pull(&self, image: &str, platform: &str) -> Result<(), String> {
        self.run(&["rmi", "--force", image]).await?;
        self.run(&["pull", "--quiet", "--platform", platform, image]).await.map(drop)
    }

    /// The digest of `image` in its registry, which the daemon knows once it was pushed or pulled.
    ///
    /// # Errors
    /// The error of docker.
    pub async fn digest(&self, image: &str) -> Result<Digest, String> {
        let known = self.inspect(image, "{{range .RepoDigests}}{{println .}}{{end}}").await?;
        let repository = repository(image);
        let digest = known.lines().find_map(|line| line.strip_prefix(repository)?.strip_prefix('@'));
        let digest = digest.ok_or_else(|| format!("{image} has no digest in its repository: {known:?}"))?;
        digest.parse().map_err(|error| format!("{digest}: {error}"))
    }

    /// The result of a template (`{{.Id}}`, …) for an image.
    ///
    /// # Errors
    /// The error of docker.
    pub async fn inspect(&self, image: &str, template: &str) -> Result<String, String> {
        self.run(&["image", "inspect", "--format", template, image]).await
    }
}

/// The `HOST/REPOSITORY` of `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@DIGEST`.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    // A colon before a slash belongs to the port.
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}
