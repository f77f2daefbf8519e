//! The binary `longshore`; with the feature `embed-site` it contains the files of the site.

use std::process::ExitCode;

#[cfg(feature = "embed-site")]
mod carried {
    use std::borrow::Cow;

    #[derive(rust_embed::RustEmbed)]
    #[folder = "$CARGO_MANIFEST_DIR/../target/site"]
    struct Site;

    pub(crate) fn file(path: &str) -> Option<Cow<'static, [u8]>> {
        Site::get(path).map(|file| file.data)
    }
}

fn main() -> ExitCode {
    #[cfg(feature = "embed-site")]
    let carried = Some(carried::file as longshore_server::Carried);
    #[cfg(not(feature = "embed-site"))]
    let carried = None;
    longshore_server::main(carried)
}
