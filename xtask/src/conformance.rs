//! `cargo xtask conformance`: runs the OCI's own conformance program, with all its tests enabled, against the real
//! server.
//!
//! The program is written in Go, so it is not part of `cargo xtask test`; `crates/registry/tests/it` tests the same
//! cases in Rust. Its report is in `target/conformance/<store>`.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::command::{self, cargo, command, step, target};

/// The module of the conformance program, and the version by which releases are tested.
const MODULE: &str = "github.com/opencontainers/distribution-spec/conformance";
const VERSION: &str = "v0.0.0-20260831232431-97274622c111";
const COMMIT: &str = "97274622c111";
/// Where Go's installer puts it, in case that is not on the PATH.
const GO: &[&str] = &["go", "/usr/local/go/bin/go"];

/// Two repositories of the user that is created when a server first starts.
const REPOSITORIES: [(&str, &str); 2] =
    [("OCI_REPO1", "admin/conformance/one"), ("OCI_REPO2", "admin/conformance/two")];
const PASSWORD: &str = "used for one run and by nobody else";

/// The tests of the interface and the kinds of content that the program supports.
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

/// The options of `cargo xtask conformance`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the server stores its content; one run for each
    #[arg(long, value_enum, default_value = "both")]
    store: Stores,
    /// The version of the specification to test against
    #[arg(long, default_value = "dev", value_parser = ["1.1", "dev"])]
    version: String,
    /// Use this conformance program instead of building one with Go
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Further options for `longshore serve`
    #[arg(last = true)]
    args: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stores {
    /// In the data folder
    Disk,
    /// In a bucket of an S3 server that is started for the test
    S3,
    /// Both, one after the other
    Both,
}

impl Stores {
    fn each(self) -> &'static [Store] {
        match self {
            Self::Disk => &[Store::Disk],
            Self::S3 => &[Store::S3],
            Self::Both => &[Store::Disk, Store::S3],
        }
    }
}

/// Where one run stores its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Disk,
    S3,
}

impl Store {
    /// The name of its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::S3 => "s3",
        }
    }
}

/// Builds the program and the server, tests the server with the program, and prints the result.
///
/// # Errors
/// Go is missing, a build failed, or a test did not pass. A skipped test did not pass either.
pub(crate) fn conformance(options: &Options) -> Result<()> {
    let program = match &options.program {
        Some(program) => std::path::absolute(program)?,
        None => step("Building the conformance program", build_program)?,
    };
    step("Building the server", || command::run(&mut cargo(["build", "--package", "server"])))?;
    let mut failed = Vec::new();
    for store in options.store.each() {
        let what = format!("Testing with content in {}", store.name());
        if let Err(error) = step(&what, || run(*store, &program, options)) {
            println!("    {error:#}");
            failed.push(store.name());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("the server does not conform to the specification with content in {}", failed.join(", "))
}

/// Tests a new server once.
fn run(store: Store, program: &Path, options: &Options) -> Result<()> {
    let folder = target().join("conformance").join(store.name());
    // The data is next to the report, which is all that a release publishes.
    let data = folder.with_extension("data");
    for folder in [&folder, &data] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let bucket = match store {
        Store::Disk => None,
        Store::S3 => Some(start_bucket(&data)?),
    };
    let settings = bucket.as_ref().map(|(_, settings)| settings.as_slice()).unwrap_or_default();
    let (_server, host) = start_server(&folder, &data, &options.args, settings)?;
    println!("    The report is in {}", folder.display());
    test(program, &options.version, &host, &folder)
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
             https://go.dev/dl (on Debian: apt-get install golang), or pass an existing program \
             with --program PATH"
        )
    };
    // A fetched module has no version control from which to read its commit.
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
    // The report lists the tests that did not pass before the result, and all settings after it.
    let (failed, tally) = report.split_once("OCI Conformance Result: ").unwrap_or((&report, ""));
    // A test that the registry prevents is skipped, which the program accepts.
    if output.status.success()
        && counted(tally, "Pass").is_some_and(|passed| counted(tally, "Total") == Some(passed))
    {
        println!("    Conformance: {}", tally.trim_end());
        return Ok(());
    }
    bail!("not everything passed:\n{failed}\n{tally}")
}

/// The number of tests in the line with this name (`Pass....: 862`).
fn counted(tally: &str, name: &str) -> Option<u64> {
    let line = |line: &str| {
        line.trim().strip_prefix(name)?.trim_start_matches('.').strip_prefix(':')?.trim().parse().ok()
    };
    tally.lines().find_map(line)
}

/// A process that is killed when this is dropped.
struct Running {
    process: Child,
    /// Kept open, since the process could not write its output otherwise.
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command::line(command)))?;
        let output = process.stdout.take().context("a piped output is there")?;
        Ok(Self { process, output: BufReader::new(output) })
    }

    /// The next line of its output; `None` if it has exited.
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).context("cannot read what a server says")?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has already exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the server on a free port, with all its data below `data` and its log next to the report. Returns
/// `127.0.0.1:PORT`.
fn start_server(
    folder: &Path,
    data: &Path,
    args: &[String],
    settings: &[(String, String)],
) -> Result<(Running, String)> {
    let log = folder.join("server.log");
    let mut serve = command(target().join("debug/longshore"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LONGSHORE_") {
            serve.env_remove(name);
        }
    }
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--sparse-manifests", "all", "--data"])
        // The key that encrypts stored passwords is next to the data.
        .arg(data.join("server"))
        .args(args)
        .env("LONGSHORE_ADMIN_PASSWORD", PASSWORD)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?);
    let mut server = Running::start(&mut serve)?;
    while let Some(line) = server.line()? {
        if let Some(host) = line.strip_prefix("listening on http://") {
            return Ok((server, host.to_owned()));
        }
    }
    bail!("the server exited before it listened; see {}", log.display())
}

/// Starts an S3 server with an empty bucket, and returns the settings of a Longshore that uses it.
fn start_bucket(data: &Path) -> Result<(Running, Vec<(String, String)>)> {
    let package = ["--package", "longshore-testkit", "--bin", "s3-server"];
    command::run(cargo(["build"]).args(package))?;
    // It stores its bucket in the folder for temporary files.
    let mut server = Running::start(command(target().join("debug/s3-server")).env("TMPDIR", data))?;
    let mut settings = Vec::new();
    while let Some(line) = server.line()? {
        match line.split_once('=') {
            Some((name, value)) => settings.push((name.to_owned(), value.to_owned())),
            None => return Ok((server, settings)),
        }
    }
    bail!("the S3 server exited before it was ready")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn skipped_tests_do_not_count_as_passed() {
        let tally = "Pass\n  Skip.....:   170\n  Pass.....:        862\n  Total....:       1032\n\nTag listing..: Pass\n";
        assert_eq!([counted(tally, "Pass"), counted(tally, "Total")], [Some(862), Some(1032)]);
        assert_eq!(counted("", "Total"), None);
    }
}
