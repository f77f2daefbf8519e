//! `cargo xtask fuzz`: builds the targets of `fuzz/` with LLVM's coverage instrumentation, runs libFuzzer on each for
//! some minutes, and saves new inputs in `fuzz/corpus`. It needs neither a nightly compiler nor cargo-fuzz:
//! sanitizers, which need the former, are of no use because our code has no `unsafe`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    command::{self, cargo, command, root, step, target},
    tools,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Duration for each target
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    minutes: f64,
    /// Targets, such as `digests`; all if none are given
    targets: Vec<String>,
}

/// The flags that cargo-fuzz passes to rustc if it uses no sanitizer.
const INSTRUMENTATION: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
];
/// The number of seconds after which an input counts as a hang.
const TIMEOUT: u32 = 10;
/// The number of mebibytes after which an input counts as using too much memory.
const MEMORY: u32 = 1024;

/// Runs the chosen targets, one after the other.
///
/// # Errors
/// The build failed, a target does not exist, or libFuzzer found an input that violates a property. That input is
/// stored in `fuzz/artifacts`.
pub(crate) fn fuzz(options: &Options) -> Result<()> {
    tools::c_compiler()?;
    let known = targets()?;
    for name in &options.targets {
        ensure!(known.contains(name), "there is no fuzz target {name}; there are {}", known.join(", "));
    }
    step("Building the fuzz targets", build)?;
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    for name in chosen {
        step(&format!("Fuzzing {name} for {} minutes", options.minutes), || run(name, options.minutes))?;
        step(&format!("Saving new inputs of {name}"), || keep(name))?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = entries
        .map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

fn build() -> Result<()> {
    // With an explicit target, build scripts and macros are not instrumented.
    let host = command::capture(command("rustc").args(["--print", "host-tuple"]))?;
    let mut build = cargo(["build", "--release", "--locked", "--target", host.trim(), "--target-dir"]);
    build.arg(target().join("fuzz")).current_dir(root().join("fuzz"));
    build.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", INSTRUMENTATION.join(" "));
    command::run(&mut build)
}

fn binary(name: &str) -> Result<PathBuf> {
    let host = command::capture(command("rustc").args(["--print", "host-tuple"]))?;
    Ok(target().join("fuzz").join(host.trim()).join("release").join(name))
}

/// The inputs that are in git.
fn kept(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

/// All inputs that were worth keeping on this machine; the next run starts with them.
fn found(name: &str) -> PathBuf {
    target().join("fuzz/corpus").join(name)
}

fn made(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn run(name: &str, minutes: f64) -> Result<()> {
    let artifacts = root().join("fuzz/artifacts").join(name);
    made(&artifacts)?;
    made(&found(name))?;
    let mut fuzzer = command(binary(name)?);
    fuzzer
        .args([found(name), kept(name)])
        .arg(format!("-max_total_time={:.0}", minutes * 60.0))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // A line at the end reports the number of inputs that were tried.
        .args(["-print_final_stats=1", "-verbosity=0"]);
    command::run(&mut fuzzer)
}

/// Replaces the corpus by the smallest inputs that reach everything that the old corpus and the run have reached.
fn keep(name: &str) -> Result<()> {
    let merged = found(name).with_extension("merged");
    if merged.exists() {
        fs::remove_dir_all(&merged).with_context(|| format!("cannot empty {}", merged.display()))?;
    }
    made(&merged)?;
    let mut merge = command(binary(name)?);
    // Consider only whether an edge is reached: counting how often would keep a thousand similar inputs.
    merge.args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"]).args([
        &merged,
        &kept(name),
        &found(name),
    ]);
    command::run(&mut merge)?;
    let kept = kept(name);
    fs::remove_dir_all(&kept).with_context(|| format!("cannot empty {}", kept.display()))?;
    made(&kept)?;
    for entry in fs::read_dir(&merged)? {
        let path = entry?.path();
        fs::copy(&path, kept.join(path.file_name().unwrap_or_default()))
            .with_context(|| format!("cannot keep {}", path.display()))?;
    }
    Ok(())
}
