//! The folders of the workspace, and how commands are run and timed.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// The root of the workspace: the folder with `Cargo.toml` and `target`. It is the one for which cargo runs this
/// program, which may have been compiled for another checkout that shares the target folder.
pub(crate) fn root() -> PathBuf {
    let compiled_for = env!("CARGO_MANIFEST_DIR");
    let run_for = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| compiled_for.into());
    Path::new(&run_for).parent().expect("xtask is in the workspace").to_path_buf()
}

/// `target/`, which is the same for every command, whatever `CARGO_TARGET_DIR` is: the binary must be at
/// `target/release/longshore`, and it embeds `target/site`.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// A command that runs in the root of the workspace.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that started this program, with the flags that every build shares.
pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo sets variables about the xtask package for this process. If another cargo inherited them, build scripts
    // that read them would see a changed environment and run again.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo.env("CARGO_TARGET_DIR", target()).args(args);
    cargo
}

/// Runs a command until it exits.
///
/// # Errors
/// It could not be started, or its exit status was not 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", line(command));
    }
    Ok(())
}

/// Runs a command and returns its standard output.
///
/// # Errors
/// It could not be started, or its exit status was not 0.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", line(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", line(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a command can be started and succeeds; its output is discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A command as a person would type it, for messages.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Prints what is being done, does it, and prints how long it took.
///
/// # Errors
/// Those of the work.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {what}");
    let start = Instant::now();
    let outcome = work()?;
    println!("    {what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(outcome)
}
