//! Names, digests, references, and the paths that contain them. The grammars are repeated here as printed in the
//! specifications: exactly what they describe must be accepted.

use std::sync::LazyLock;

use longshore_oci::path::{self, Route};
use longshore_oci::{Digest, Namespace, Reference, RemoteName, RepositoryName, Tag};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex_lite::Regex;

use crate::{comes_back, is_brief, text};

fn grammar(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the grammar is well-formed")
}

/// distribution-spec, "Pulling manifests".
static NAME: LazyLock<Regex> =
    LazyLock::new(|| grammar(r"\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z"));
/// distribution-spec, "Pulling manifests".
static TAG: LazyLock<Regex> = LazyLock::new(|| grammar(r"\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z"));
/// image-spec, "Registered Algorithms".
static DIGEST: LazyLock<Regex> = LazyLock::new(|| grammar(r"\A(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})\z"));

/// Names of repositories and namespaces.
pub(crate) fn names(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let legal = text.len() <= 255 && NAME.is_match(text);
    match text.parse::<RemoteName>() {
        Ok(name) => comes_back(&name, text),
        Err(error) => is_brief(&error),
    }
    assert_eq!(text.parse::<RemoteName>().is_ok(), legal);
    match text.parse::<Namespace>() {
        Ok(namespace) => {
            comes_back(&namespace, text);
            assert!(legal && !text.contains('/') && text.len() <= 55);
        }
        Err(error) => is_brief(&error),
    }
    match text.parse::<RepositoryName>() {
        Ok(name) => {
            comes_back(&name, text);
            assert_eq!(format!("{}/{}", name.namespace(), name.name()), text);
            assert_eq!(RepositoryName::new(&name.to_namespace(), name.name()).as_ref(), Ok(&name));
            comes_back(&name.to_namespace(), name.namespace());
            let json = serde_json::to_string(&name).expect("a name is written as a string");
            assert_eq!(serde_json::from_str::<RepositoryName>(&json).expect("and read as one"), name);
        }
        Err(error) => {
            is_brief(&error);
            assert!(!legal || text.split_once('/').is_none_or(|(namespace, _)| namespace.len() > 55));
        }
    }
}

/// Digests.
pub(crate) fn digests(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    assert_eq!(text.parse::<Digest>().is_ok(), DIGEST.is_match(text));
    match text.parse::<Digest>() {
        Ok(digest) => {
            comes_back(&digest, text);
            let hash = hex::decode(digest.hex()).expect("it has hexadecimal digits");
            assert_eq!(Digest::from_hash(digest.algorithm(), &hash).as_ref(), Ok(&digest));
            assert!(digest.hex().starts_with(digest.short()));
            assert!(Tag::referrers_of(&digest).is_digest_tag());
        }
        Err(error) => is_brief(&error),
    }
}

/// References, which are tags or digests.
pub(crate) fn references(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    assert_eq!(text.parse::<Reference>().is_ok(), DIGEST.is_match(text) || TAG.is_match(text));
    match text.parse::<Reference>() {
        Ok(reference) => {
            comes_back(&reference, text);
            assert_eq!(reference.tag().is_some(), TAG.is_match(text));
            if let Some(tag) = reference.tag() {
                comes_back(tag, text);
                if let Some(subject) = tag.digest_tag_subject() {
                    assert!(tag.digest_tag().is_some_and(|tag| tag.is_of(&subject)));
                    assert!(text.starts_with(Tag::referrers_of(&subject).as_str()));
                }
            }
        }
        Err(error) => is_brief(&error),
    }
}

/// Paths of the distribution API.
pub(crate) fn paths(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match path::parse(text) {
        Ok(route) => {
            let written = write(&route);
            assert_eq!(path::parse(&written).as_ref(), Ok(&route), "{written}");
            // A client may percent-encode anything but the slashes that separate the segments.
            let encode = |segment| utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string();
            let encoded = written.split('/').map(encode).collect::<Vec<_>>().join("/");
            assert_eq!(path::parse(&encoded).as_ref(), Ok(&route), "{encoded}");
        }
        Err(error) => is_brief(&error),
    }
}

fn write(route: &Route) -> String {
    match route {
        Route::Base => String::new(),
        Route::Catalog => "_catalog".to_owned(),
        Route::Token => "token".to_owned(),
        Route::Blob { name, digest } => format!("{name}/blobs/{digest}"),
        Route::UploadStart { name } => format!("{name}/blobs/uploads/"),
        Route::Upload { name, session } => format!("{name}/blobs/uploads/{session}"),
        Route::Manifest { name, reference } => format!("{name}/manifests/{reference}"),
        Route::Tags { name } => format!("{name}/tags/list"),
        Route::Referrers { name, digest } => format!("{name}/referrers/{digest}"),
    }
}
