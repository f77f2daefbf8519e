//! The tools that are needed besides Rust, and how they are installed.
//!
//! Building needs a C compiler and the WASM target. Tests need Debian packages, and npm packages in `end2end/`. They
//! are installed if that is allowed, and listed otherwise.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::command::{capture, cargo, command, root, run, step, succeeds};

/// A Debian package that the tests need, and the file or command that shows whether it is installed.
struct Package {
    name: &'static str,
    sign: Sign,
}

enum Sign {
    /// A command on the PATH.
    Command(&'static str),
    /// A folder that is not empty.
    Folder(&'static str),
}

const PACKAGES: &[Package] = &[
    // The browser of the browser tests, and a font.
    Package { name: "chromium", sign: Sign::Command("chromium") },
    Package { name: "fonts-dejavu-core", sign: Sign::Folder("/usr/share/fonts/truetype/dejavu") },
    Package { name: "nodejs", sign: Sign::Command("node") },
    Package { name: "npm", sign: Sign::Command("npm") },
    // Real clients, and the registry for mirrors.
    Package { name: "skopeo", sign: Sign::Command("skopeo") },
    Package { name: "buildah", sign: Sign::Command("buildah") },
    Package { name: "podman", sign: Sign::Command("podman") },
    Package { name: "docker.io", sign: Sign::Command("dockerd") },
    // A part of docker.io until Debian 12.
    Package { name: "docker-cli", sign: Sign::Command("docker") },
    Package { name: "docker-registry", sign: Sign::Command("docker-registry") },
    Package { name: "apache2-utils", sign: Sign::Command("htpasswd") },
    // Traces writes and syncs for simulated power cuts.
    Package { name: "strace", sign: Sign::Command("strace") },
    // The other database; the tests start a server of their own.
    Package { name: "postgresql", sign: Sign::Folder("/usr/lib/postgresql") },
];

/// Checks that C code can be compiled, since the TLS library and SQLite contain some.
///
/// # Errors
/// There is no C compiler.
pub(crate) fn c_compiler() -> Result<()> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if succeeds(Command::new(&compiler).arg("--version")) {
        return Ok(());
    }
    bail!("there is no C compiler ({compiler}). On Debian: apt-get install build-essential")
}

/// Flags for `cargo --config` that keep folder names of the build machine out of releases.
///
/// # Errors
/// The user has no home folder.
pub(crate) fn trimmed_paths() -> Result<String> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")))
        .context("there is no home folder; set CARGO_HOME to the folder where cargo keeps its files")?;
    let sources = cargo_home.join("registry/src");
    let flags = [(root(), "."), (sources, "crates")]
        .map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display()));
    Ok(format!("build.rustflags={flags:?}"))
}

/// Ensures that rustc can compile for the browser.
///
/// # Errors
/// The target is missing and could not be installed.
pub(crate) fn wasm_target() -> Result<()> {
    let sysroot = capture(command("rustc").args(["--print", "sysroot"])).context("Rust is not installed")?;
    if Path::new(sysroot.trim()).join("lib/rustlib/wasm32-unknown-unknown/lib").exists() {
        return Ok(());
    }
    step("Installing the WASM target", || {
        run(command("rustup").args(["target", "add", "wasm32-unknown-unknown"])).context(
            "the target wasm32-unknown-unknown is missing. Install Rust with rustup (https://rustup.rs), \
             or add the target with the tool that installed rustc",
        )
    })
}

/// Ensures that rustfmt and clippy are installed; rustup's minimal profile lacks them.
///
/// # Errors
/// One is missing and could not be installed.
pub(crate) fn rust_components() -> Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !succeeds(cargo([subcommand]).arg("--version")) {
            step(&format!("Installing {component}"), || {
                run(command("rustup").args(["component", "add", component]))
            })?;
        }
    }
    Ok(())
}

/// Ensures that the Debian packages of the tests are installed; installs missing ones as root.
///
/// # Errors
/// Packages are missing and this user may not install them, or installing failed.
pub(crate) fn debian_packages() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !is_root() || !on_path("apt-get") {
        bail!("the tests need {}. As root, on Debian: {by_hand}", missing.join(", "));
    }
    step(&format!("Installing {}", missing.join(", ")), || {
        run(command("apt-get").args(["update", "-qq"]))?;
        // Packages that do not exist in this release are part of another one there.
        let known = missing.iter().filter(|name| succeeds(command("apt-cache").args(["show", name])));
        run(command("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(known)
            .env("DEBIAN_FRONTEND", "noninteractive"))
    })?;
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("installed, but still not found: {}", missing.join(", "))
}

/// Checks that this user may start the Docker daemon of the tests, which must be root at least in a user namespace.
///
/// # Errors
/// The user may not.
pub(crate) fn docker_daemon() -> Result<()> {
    if succeeds(command("unshare").args(["--mount", "--map-root-user", "true"])) {
        return Ok(());
    }
    bail!(
        "the tests start a Docker daemon of their own, and this user may not: `unshare --mount --map-root-user` \
         fails. Run them as root, or let users create namespaces (sysctl kernel.unprivileged_userns_clone=1, or \
         a container with the capability SYS_ADMIN)"
    )
}

/// Ensures that `end2end/node_modules` matches the lock file. Playwright's own browsers are not downloaded: the tests
/// use Debian's Chromium.
///
/// # Errors
/// `npm ci` failed.
pub(crate) fn npm_packages() -> Result<()> {
    let folder = root().join("end2end");
    let lock = fs::read(folder.join("package-lock.json")).context("cannot read end2end/package-lock.json")?;
    let installed = folder.join("node_modules/.installed-lock.json");
    if fs::read(&installed).is_ok_and(|known| known == lock) {
        return Ok(());
    }
    step("Installing the npm packages of end2end", || {
        run(command("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&folder)
            .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"))
    })?;
    fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))
}

fn missing_packages() -> Vec<&'static str> {
    let there = |sign: &Sign| match sign {
        Sign::Command(name) => on_path(name),
        Sign::Folder(path) => fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()),
    };
    PACKAGES.iter().filter(|package| !there(&package.sign)).map(|package| package.name).collect()
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Programs for administrators are only on their PATH.
    let administrators = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(administrators).any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    capture(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
