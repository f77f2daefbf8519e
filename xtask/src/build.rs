//! Builds the server with its site, and starts what needs it: `run`, `bench`, `openapi`, `docs`.

use std::{fs, os::unix::process::CommandExt, panic::resume_unwind, thread, time::Instant};

use anyhow::{Context, Result};

use crate::{
    command::{self, capture, cargo, command, step, target},
    site::{self, Kind},
    tools,
};

/// Builds `target/release/longshore`, which needs no other file to run.
///
/// # Errors
/// A tool is missing, or a build failed.
pub(crate) fn build() -> Result<()> {
    let start = Instant::now();
    tools::c_compiler()?;
    tools::wasm_target()?;
    // Only the binary of the server needs the site, so the library and the site are built in parallel: the last steps
    // of each leave processors idle.
    thread::scope(|scope| {
        let site = scope.spawn(|| site::build(Kind::Release));
        step("Building the server", || server("--lib"))?;
        site.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    step("Embedding the site in the server", || server("--bins"))?;
    println!("==> target/release/longshore is ready after {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Builds a part of the server with the embedded site.
fn server(part: &str) -> Result<()> {
    release(&["--package", "server", "--features", "embed-site", part])
}

/// Builds a package with the options of a release.
fn release(package: &[&str]) -> Result<()> {
    command::run(cargo(["build", "--release", "--config", &tools::trimmed_paths()?]).args(package))
}

/// Builds, then replaces this process by `longshore serve`, so that signals reach the server itself.
///
/// # Errors
/// The build failed, or the server could not be started.
pub(crate) fn run(args: &[String]) -> Result<()> {
    build()?;
    let mut server = command(target().join("release/longshore"));
    server.arg("serve");
    for (option, default) in [("--listen", "127.0.0.1:8080"), ("--data", "./data")] {
        if !args.iter().any(|arg| arg == option || arg.starts_with(&format!("{option}="))) {
            server.args([option, default]);
        }
    }
    server.args(args);
    println!("==> {}", command::line(&server));
    Err(server.exec()).context("cannot start target/release/longshore")
}

/// Builds the release server and runs one benchmark against it.
///
/// # Errors
/// The build or the benchmark failed.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    build()?;
    step("Building the benchmarks", || release(&["--package", "longshore-bench"]))?;
    let server = target().join("release/longshore");
    command::run(command(target().join("release/longshore-bench")).args(args).env("LONGSHORE_BINARY", server))
}

/// Builds the release server and interrupts it repeatedly during random work.
///
/// # Errors
/// The build failed, or something was missing after a restart.
pub(crate) fn soak(args: Vec<String>) -> Result<()> {
    // `--power` traces system calls.
    tools::debian_packages()?;
    bench(&[vec!["soak".to_owned()], args].concat())
}

/// Writes the output of `longshore openapi` to `docs/openapi.json`.
///
/// # Errors
/// The build failed, or the output could not be written.
pub(crate) fn openapi() -> Result<()> {
    debug_server()?;
    let description = capture(command(target().join("debug/longshore")).arg("openapi"))?;
    let path = command::root().join("docs/openapi.json");
    fs::create_dir_all(path.parent().expect("docs/ is a folder"))?;
    fs::write(&path, description).with_context(|| format!("cannot write {}", path.display()))?;
    println!("==> {} is written", path.display());
    Ok(())
}

/// The pages with tables of settings.
const PAGES: [&str; 4] =
    ["README.md", "docs/operating/history.md", "docs/operating/limits.md", "docs/operating/tls.md"];

/// Writes the tables of settings in the documentation, as `longshore settings-in` prints them.
///
/// # Errors
/// The build failed, or a page could not be written.
pub(crate) fn docs() -> Result<()> {
    debug_server()?;
    for page in PAGES {
        let text = capture(command(target().join("debug/longshore")).args(["settings-in", page]))?;
        fs::write(command::root().join(page), text).with_context(|| format!("cannot write {page}"))?;
        println!("==> {page} is written");
    }
    Ok(())
}

fn debug_server() -> Result<()> {
    step("Building the server", || command::run(&mut cargo(["build", "--package", "server"])))
}
