//! `cargo xtask conformance`: the OCI's own conformance program, with everything it can test switched
//! on, against the real server.
//!
//! It is written in Go, so it is no part of `cargo xtask test`; the same cases are tested in Rust in
//! `crates/registry/tests/it`. What it reports stays in `target/conformance/<store>`.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::command::{self, cargo, command, step, target};

/// The module of the conformance program, and the version of it that a release is measured by.
const MODULE: &str = "github.com/opencontainers/distribution-spec/conformance";
const VERSION: &str = "v0.0.0-20260831232431-97274622c111";
const COMMIT: &str = "97274622c111";
/// Where Go's own installer puts it, for those who have not put that on their PATH.
const GO: &[&str] = &["go", "/usr/local/go/bin/go"];

/// Two repositories of the user that the first start of a server makes.
const REPOSITORIES: [(&str, &str); 2] =
    [("OCI_REPO1", "admin/conformance/one"), ("OCI_REPO2", "admin/conformance/two")];
const PASSWORD: &str = "used for one run and by nobody else";

/// What the program can test of the interface, and with which kinds of content.
const TESTS: &[&str] = &[
    "API_PING",
    "API_PULL",
    "API_PUSH",
    "API_BLOBS_ATOMIC",
    "API_BLOBS_DELETE",
    "API_BLOBS_DIGEST_HEADER",
    "API_BLOBS_MOUNT_ANONYMOUS",
    "API_BLOBS_UPLOAD_CANCEL",
    "API_MANIFESTS_ATOMIC",
    "API_MANIFESTS_DELETE",
    "API_MANIFESTS_DIGEST_HEADER",
    "API_MANIFESTS_TAG_PARAM",
    "API_TAGS_ATOMIC",
    "API_TAGS_DELETE",
    "API_TAGS_LIST",
    "API_REFERRER",
    "DATA_IMAGE",
    "DATA_INDEX",
    "DATA_INDEX_LIST",
    "DATA_SPARSE",
    "DATA_ARTIFACT",
    "DATA_SUBJECT",
    "DATA_SUBJECT_MISSING",
    "DATA_ARTIFACT_LIST",
    "DATA_SUBJECT_LIST",
    "DATA_DATA_FIELD",
    "DATA_NONDISTRIBUTABLE",
    "DATA_CUSTOM_FIELDS",
    "DATA_NO_LAYERS",
    "DATA_EMPTY_BLOB",
    "DATA_SHA512",
];

/// What `cargo xtask conformance` runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the server keeps its content
    #[arg(long, value_enum, default_value = "disk")]
    store: Store,
    /// The version of the specification to test against
    #[arg(long, default_value = "dev", value_parser = ["1.1", "dev"])]
    version: String,
    /// A conformance program that is there already, instead of building one with Go
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Further options for `longshore serve`
    #[arg(last = true)]
    args: Vec<String>,
}

/// Where content is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// In the data folder
    Disk,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
        }
    }
}

/// Builds the program and the server, lets the one test the other, and shows the tally.
///
/// # Errors
/// Go is missing, a build failed, or anything did not pass: what is skipped has not passed either.
pub(crate) fn conformance(options: &Options) -> Result<()> {
    let program = match &options.program {
        Some(program) => std::path::absolute(program)?,
        None => step("Building the conformance program", build_program)?,
    };
    step("Building the server", || command::run(&mut cargo(["build", "--package", "server"])))?;
    let folder = target().join("conformance").join(options.store.name());
    // The data stands beside the report, which is all that a release shows.
    let data = folder.with_extension("data");
    for old in [&folder, &data] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let server = Server::start(&folder, &data, &options.args)?;
    let outcome = step("Testing", || test(&program, &options.version, &server.host, &folder));
    println!("    The report is in {}", folder.display());
    outcome
}

/// The pinned version of the program, built once.
fn build_program() -> Result<PathBuf> {
    let folder = target().join("conformance/program").join(VERSION);
    let program = folder.join("conformance");
    if program.exists() {
        return Ok(program);
    }
    let works = |go: &&&str| command::succeeds(Command::new(go).arg("version"));
    let Some(go) = GO.iter().find(works) else {
        bail!(
            "the conformance program is built with Go 1.24 or later, which is missing. Get it from \
             https://go.dev/dl (on Debian: apt-get install golang), or name a program that is built already \
             with --program PATH"
        )
    };
    // A module that is fetched has no version control to read its commit from.
    let commit = format!("-X main.Version={COMMIT}");
    command::run(
        command(go)
            .args(["install", "-trimpath", "-ldflags", &commit, &format!("{MODULE}@{VERSION}")])
            .env("GOBIN", &folder),
    )?;
    Ok(program)
}

fn test(program: &Path, version: &str, host: &str, folder: &Path) -> Result<()> {
    let output = Command::new(program)
        .current_dir(folder)
        .envs(TESTS.iter().map(|test| (format!("OCI_{test}"), "true")))
        .envs(REPOSITORIES)
        .env("OCI_REGISTRY", host)
        .env("OCI_TLS", "disabled")
        .env("OCI_USERNAME", "admin")
        .env("OCI_PASSWORD", PASSWORD)
        .env("OCI_VERSION", version)
        .env("OCI_RESULTS_DIR", folder)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let report = String::from_utf8_lossy(&output.stdout);
    // Before the result stand the tests that did not pass, and behind them all settings.
    let (failed, tally) = report.split_once("OCI Conformance Result: ").unwrap_or((&report, ""));
    if output.status.success() {
        println!("    Conformance: {}", tally.trim_end());
        return Ok(());
    }
    bail!("the server does not conform to the specification:\n{failed}\n{tally}")
}

/// A server with data of its own, killed when it is dropped.
struct Server {
    process: Child,
    /// `127.0.0.1:PORT`
    host: String,
}

impl Server {
    /// Starts the server on a free port, with its data in `data` and its log beside the report.
    fn start(folder: &Path, data: &Path, args: &[String]) -> Result<Self> {
        let log = folder.join("server.log");
        let mut serve = command(target().join("debug/longshore"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LONGSHORE_") {
                serve.env_remove(name);
            }
        }
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--sparse-manifests", "all", "--data"])
            .arg(data)
            .args(args)
            .env("LONGSHORE_ADMIN_PASSWORD", PASSWORD)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?);
        let process = serve.spawn().with_context(|| format!("cannot start {}", command::line(&serve)))?;
        let mut server = Self { process, host: String::new() };
        let output = server.process.stdout.take().context("the server has no standard output")?;
        for line in BufReader::new(output).lines() {
            if let Some(host) = line?.strip_prefix("listening on http://") {
                server.host = host.to_owned();
                return Ok(server);
            }
        }
        bail!("the server ended before it listened; {} says why", log.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
