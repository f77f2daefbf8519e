//! The files of the site, inside the binary or in a folder, in the layout of `cargo xtask`: files that pages reference
//! in `pkg/<hash>/`, compressed copies beside each file, and the hash in `pkg/current`.

use std::{
    borrow::Cow,
    path::{Component, Path, PathBuf},
};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// The folder with the files of the site, for a server without embedded files, or to override them.
const FOLDER_VARIABLE: &str = "LONGSHORE_SITE";

/// Returns an embedded file of the site by its path.
pub type Carried = fn(&str) -> Option<Cow<'static, [u8]>>;

/// The location of the site's files.
#[derive(Debug)]
pub(crate) enum Assets {
    /// Embedded in the binary.
    Embedded(Carried),
    /// In a folder; read for each request, so that a reload shows a rebuilt site.
    Folder(PathBuf),
    /// Missing: pages have no styles and scripts. The registry and the REST interface work.
    Absent,
}

impl Assets {
    /// Locates the files of the site: in the folder `LONGSHORE_SITE`, otherwise in the binary, otherwise where the
    /// build puts them beside this executable.
    pub(crate) fn find(carried: Option<Carried>) -> Self {
        match (std::env::var_os(FOLDER_VARIABLE), carried) {
            (Some(folder), _) => Self::Folder(folder.into()),
            (None, Some(carried)) => Self::Embedded(carried),
            (None, None) => Self::beside_the_executable(),
        }
    }

    fn beside_the_executable() -> Self {
        let target = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.to_owned()));
        let folders = target.into_iter().flat_map(|target| [target.join("site-dev"), target.join("site")]);
        match folders.into_iter().find(|folder| folder.join("pkg").is_dir()) {
            Some(folder) => Self::Folder(folder),
            None => {
                tracing::warn!(
                    "the files of the site are missing, so its pages have no styles and scripts: \
                     run `cargo xtask build`, or set {FOLDER_VARIABLE} to their folder"
                );
                Self::Absent
            }
        }
    }

    /// The folder that pages reference, without a leading slash: `pkg/<hash>`.
    pub(crate) fn package_folder(&self) -> String {
        let current = match self {
            Self::Embedded(file) => file("pkg/current").map(Cow::into_owned),
            Self::Folder(folder) => std::fs::read(folder.join("pkg/current")).ok(),
            Self::Absent => None,
        };
        match current.and_then(|hash| String::from_utf8(hash).ok()) {
            Some(hash) => format!("pkg/{}", hash.trim()),
            // `cargo leptos` puts the files directly into the folder.
            None => "pkg".to_owned(),
        }
    }

    /// The response for the path of a file: the file, or a 404 below `pkg/`. `None` if the path may be a page.
    pub(super) async fn respond(&self, path: &str, request: &HeaderMap) -> Option<Response> {
        let path = path.trim_start_matches('/');
        let is_package = path.starts_with("pkg/");
        if path.is_empty() || (!is_package && path.contains('/')) {
            // Public files are at the top level, so pages at deeper paths need no disk access.
            return None;
        }
        let Some((encoding, body)) = self.best(path, request).await else {
            // A page from before an update requests files that no longer exist; HTML would confuse it.
            return is_package.then(|| {
                (StatusCode::NOT_FOUND, "This file no longer exists: reload the page.\n").into_response()
            });
        };

        let mut response = body.into_owned().into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type(path));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let lasting = is_package && path.matches('/').count() > 1;
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(match (lasting, is_package) {
                (true, _) => "public, max-age=31536000, immutable",
                (false, true) => "no-cache",
                (false, false) => "public, max-age=3600",
            }),
        );
        Some(response)
    }

    /// The smallest copy of a file that the browser accepts, and its encoding.
    async fn best(
        &self,
        path: &str,
        request: &HeaderMap,
    ) -> Option<(Option<&'static str>, Cow<'static, [u8]>)> {
        for (encoding, extension) in [("br", "br"), ("gzip", "gz")] {
            if accepts(request, encoding)
                && let Some(body) = self.read(&format!("{path}.{extension}")).await
            {
                return Some((Some(encoding), body));
            }
        }
        Some((None, self.read(path).await?))
    }

    async fn read(&self, path: &str) -> Option<Cow<'static, [u8]>> {
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !plain {
            return None;
        }
        match self {
            Self::Embedded(file) => file(path),
            Self::Folder(folder) => tokio::fs::read(folder.join(path)).await.ok().map(Cow::Owned),
            Self::Absent => None,
        }
    }
}

/// The media type of a file, according to its name.
fn content_type(path: &str) -> HeaderValue {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let value = match guess.type_() {
        mime_guess::mime::TEXT => format!("{guess}; charset=utf-8"),
        _ => guess.to_string(),
    };
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Whether `Accept-Encoding` contains this coding with a weight other than 0 (RFC 9110 §12.5.3).
fn accepts(request: &HeaderMap, coding: &str) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case(coding) && weight.is_none_or(|weight| weight > 0.0)
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, Assets) {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("pkg/0a1b");
        std::fs::create_dir_all(&package).unwrap();
        for (name, text) in [("a.js", "plain"), ("a.js.br", "brotli"), ("a.js.gz", "gzip"), ("b.css", "b {}")]
        {
            std::fs::write(package.join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("pkg/current"), "0a1b\n").unwrap();
        std::fs::write(folder.path().join("robots.txt"), "User-agent: *").unwrap();
        let assets = Assets::Folder(folder.path().to_owned());
        (folder, assets)
    }

    fn accepting(codings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(codings))])
    }

    #[tokio::test]
    async fn the_best_compression_that_the_browser_accepts_is_served() {
        let (_folder, assets) = site();
        for (codings, expected) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip;q=1.0, br;q=0", Some("gzip")),
            ("identity", None),
        ] {
            let response = assets.respond("/pkg/0a1b/a.js", &accepting(codings)).await.unwrap();
            let encoding =
                response.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!(encoding, expected, "{codings}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
            assert_eq!(response.headers()[header::VARY], "accept-encoding");
        }
    }

    #[tokio::test]
    async fn files_under_a_hash_are_cached_for_ever_and_others_are_not() {
        let (_folder, assets) = site();
        let cache = async |path: &str| {
            let response = assets.respond(path, &HeaderMap::new()).await.unwrap();
            response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert!(cache("/pkg/0a1b/b.css").await.ends_with("immutable"));
        assert_eq!(cache("/pkg/current").await, "no-cache");
        assert_eq!(cache("/robots.txt").await, "public, max-age=3600");
        assert_eq!(assets.package_folder(), "pkg/0a1b");
    }

    #[tokio::test]
    async fn a_file_of_an_earlier_build_is_not_found_and_not_a_page() {
        let (_folder, assets) = site();
        let response = assets.respond("/pkg/ffff/a.js", &HeaderMap::new()).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(assets.respond("/repositories", &HeaderMap::new()).await.is_none());
    }

    #[tokio::test]
    async fn paths_cannot_leave_the_folder() {
        let (folder, _) = site();
        let inner = Assets::Folder(folder.path().join("pkg"));
        assert!(inner.respond("/../robots.txt", &HeaderMap::new()).await.is_none());
        let response = inner.respond("/pkg/../../robots.txt", &HeaderMap::new()).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
}
