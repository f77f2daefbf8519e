//! The files of the site: the browser part with its JavaScript glue, the style sheet, `public/`.
//!
//! They are arranged as the server serves them. Files that pages refer to are in `pkg/<hash>/`, so that browsers may
//! cache them forever; `public/` is copied next to it. `pkg/current` contains the hash. The release site has
//! compressed copies of files for which this saves space.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

use crate::{
    command::{self, cargo, command, root, step, succeeds, target},
    style, tools,
};

/// The name of the site's files: `longshore.js`, `longshore_bg.wasm`, `longshore.css`.
const OUTPUT_NAME: &str = "longshore";

/// The kind of site to build. Each has a folder of its own, so that tests do not disturb a release.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Small and compressed, embedded in `target/release/longshore`.
    Release,
    /// Quick to build, with readable panics; served from its folder by `target/debug/longshore`.
    Dev,
}

impl Kind {
    /// The folder with the finished site.
    pub(crate) fn folder(self) -> PathBuf {
        target().join(match self {
            Kind::Release => "site",
            Kind::Dev => "site-dev",
        })
    }

    fn cargo_profile(self) -> &'static str {
        match self {
            Kind::Release => "wasm-release",
            Kind::Dev => "dev",
        }
    }

    fn wasm(self) -> PathBuf {
        let folder = match self {
            Kind::Release => "wasm-release",
            Kind::Dev => "debug",
        };
        target().join("wasm32-unknown-unknown").join(folder).join("frontend.wasm")
    }
}

/// Updates the folder of the site; does little if nothing changed.
///
/// # Errors
/// The browser part does not compile, or a file cannot be read or written.
pub(crate) fn build(kind: Kind) -> Result<()> {
    step("Building the browser part", || {
        let mut build = cargo(["build", "--package", "frontend", "--target", "wasm32-unknown-unknown"]);
        build.args(["--profile", kind.cargo_profile()]);
        if kind == Kind::Release {
            build.args(["--config", &tools::trimmed_paths()?]);
        }
        command::run(&mut build)
    })?;
    step("Packing the site", || {
        let site = kind.folder();
        // Outside of the folder, since everything inside is embedded.
        let stamp = site.with_extension("stamp");
        let inputs = fingerprint(kind)?;
        if fs::read_to_string(&stamp).is_ok_and(|known| known == inputs) {
            println!("    nothing changed");
            return Ok(());
        }
        let files = files(kind)?;
        write(&site, &files)?;
        fs::write(&stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))
    })
}

/// The code that packs the site: a change of it packs the site again. (The executable would be more precise, but
/// cargo may have replaced it while it runs.)
const RECIPE: [&str; 2] = [include_str!("site.rs"), include_str!("style.rs")];

/// A hash of everything that the site is built from.
fn fingerprint(kind: Kind) -> Result<String> {
    let mut inputs = vec![kind.wasm()];
    inputs.extend(files_below(&root().join("style"))?);
    inputs.extend(files_below(&root().join("public"))?);
    let mut hash = Sha256::new();
    for recipe in RECIPE {
        hash.update(recipe);
    }
    for path in inputs {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(Sha256::digest(read(&path)?));
    }
    hash.update([u8::from(kind == Kind::Release && has_wasm_opt())]);
    Ok(hex::encode(hash.finalize()))
}

/// All files of the site, by path relative to its folder.
fn files(kind: Kind) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut package = bindgen(kind)?;
    package.insert(format!("{OUTPUT_NAME}.css"), style::bundle(&root().join("style"))?.into_bytes());
    let hash = content_hash(&package);
    let folder = Path::new("pkg").join(&hash);

    let mut files: BTreeMap<PathBuf, Vec<u8>> =
        package.into_iter().map(|(name, bytes)| (folder.join(name), bytes)).collect();
    let public = root().join("public");
    for path in files_below(&public)? {
        let name = path.strip_prefix(&public).expect("it lies below public/").to_path_buf();
        files.insert(name, read(&path)?);
    }
    if kind == Kind::Release {
        for (path, bytes) in files.clone() {
            for (extension, compressed) in [("br", brotli(&bytes)?), ("gz", gzip(&bytes)?)] {
                // Images are already compressed; without another compression, browsers need not unpack them.
                if compressed.len() < bytes.len() * 9 / 10 {
                    files.insert(with_extension(&path, extension), compressed);
                }
            }
        }
    }
    files.insert("pkg/current".into(), hash.into_bytes());
    Ok(files)
}

/// The JavaScript glue and its WASM.
fn bindgen(kind: Kind) -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = target().join("bindgen");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    Bindgen::new()
        .input_path(kind.wasm())
        .web(true)?
        .out_name(OUTPUT_NAME)
        .typescript(false)
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&folder)
        .context("wasm-bindgen failed")?;
    if kind == Kind::Release {
        optimise(&folder.join(format!("{OUTPUT_NAME}_bg.wasm")))?;
    }
    files_below(&folder)?
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&folder).expect("it lies below the folder");
            Ok((name.to_string_lossy().into_owned(), read(&path)?))
        })
        .collect()
}

fn has_wasm_opt() -> bool {
    succeeds(command("wasm-opt").arg("--version"))
}

/// Runs `wasm-opt` if it is installed. The site works without it, so a failure is only a warning.
fn optimise(wasm: &Path) -> Result<()> {
    if !has_wasm_opt() {
        println!("    wasm-opt is not on the PATH: the site works, its WASM is about twice as large");
        return Ok(());
    }
    let optimised = wasm.with_extension("opt");
    let mut wasm_opt = command("wasm-opt");
    // Binaryen 108 of Debian needs an option for each feature that rustc enables by default.
    wasm_opt.args([
        "-Oz",
        "--enable-bulk-memory",
        "--enable-mutable-globals",
        "--enable-nontrapping-float-to-int",
        "--enable-reference-types",
        "--enable-sign-ext",
        "--enable-multivalue",
    ]);
    wasm_opt.arg(wasm).arg("-o").arg(&optimised);
    let before = fs::metadata(wasm)?.len();
    match command::capture(&mut wasm_opt) {
        Ok(_) => {
            let after = fs::metadata(&optimised)?.len();
            fs::rename(&optimised, wasm)?;
            println!("    wasm-opt: {} kB, was {} kB", after / 1000, before / 1000);
        }
        Err(error) => println!("    warning: the WASM stays as it is, since {error:#}"),
    }
    Ok(())
}

/// Sixteen hexadecimal digits of a hash of the package.
fn content_hash(package: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (name, bytes) in package {
        hash.update(name);
        hash.update([0]);
        hash.update(Sha256::digest(bytes));
    }
    hex::encode(&hash.finalize()[..8])
}

/// Makes the folder contain exactly these files. A file that is already correct is not written, since cargo uses its
/// modification time when the server embeds it.
fn write(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for (name, bytes) in files {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|known| known == *bytes) {
            continue;
        }
        fs::create_dir_all(path.parent().expect("a file is in a folder"))?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for path in files_below(folder)? {
        if !files.contains_key(path.strip_prefix(folder).expect("it lies below the folder")) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Every file below a folder, sorted; empty if the folder does not exist.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// `a/b.css` with `br` is `a/b.css.br`.
fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    // Quality 10 instead of 11: twice as fast for less than one per cent.
    let params = brotli::enc::BrotliEncoderParams { quality: 10, lgwin: 22, ..Default::default() };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut compressed, &params)?;
    Ok(compressed)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> BTreeMap<PathBuf, Vec<u8>> {
        files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn writing_a_site_removes_files_that_no_longer_belong_to_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &tree(&[("pkg/one/a.js", "1"), ("robots.txt", "x")])).unwrap();
        write(folder.path(), &tree(&[("pkg/two/a.js", "2"), ("robots.txt", "x")])).unwrap();
        let kept = files_below(folder.path()).unwrap();
        assert_eq!(kept, [folder.path().join("pkg/two/a.js"), folder.path().join("robots.txt")]);
    }

    #[test]
    fn writing_the_same_site_again_keeps_modification_times() {
        let folder = tempfile::tempdir().unwrap();
        let files = tree(&[("a.css", "a {}")]);
        write(folder.path(), &files).unwrap();
        let before = fs::metadata(folder.path().join("a.css")).unwrap().modified().unwrap();
        write(folder.path(), &files).unwrap();
        assert_eq!(before, fs::metadata(folder.path().join("a.css")).unwrap().modified().unwrap());
    }

    #[test]
    fn the_hash_depends_on_names_and_bytes() {
        let package = |name: &str, text: &str| [(name.to_owned(), text.as_bytes().to_vec())].into();
        let one = content_hash(&package("a", "b"));
        assert_eq!(one.len(), 16);
        assert_ne!(one, content_hash(&package("a", "c")));
        assert_ne!(one, content_hash(&package("b", "b")));
    }
}
