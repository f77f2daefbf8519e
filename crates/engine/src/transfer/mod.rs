//! Copies images between this registry and others: whole trees of manifests and blobs, referrers and digest tags.
//! Callers decide when, and under which tag.

pub(crate) mod claims;
pub(crate) mod fallback;
pub(crate) mod halt;
pub(crate) mod holdings;
pub(crate) mod pull;
pub(crate) mod push;
mod source;
pub(crate) mod stream;

use crate::trouble::Trouble;
use longshore_model::message::TroubleMessage;
use longshore_oci::{Digest, Manifest};

/// The maximum depth of nested indexes.
pub(crate) const DEPTH: usize = 8;
/// The number of blobs that one run transfers at the same time.
pub(crate) const BLOBS_AT_ONCE: usize = 6;
/// The number of parts of one manifest that are processed at the same time.
pub(crate) const PARTS_AT_ONCE: usize = 4;
/// The maximum depth to which referrers of referrers are followed.
pub(crate) const REFERRER_DEPTH: usize = 4;

/// Parses a manifest that is about to be copied.
pub(crate) fn parse(digest: &Digest, media_type: &str, bytes: &[u8]) -> Result<Manifest, Trouble> {
    Manifest::parse(bytes, Some(media_type)).map_err(|error| {
        let (short, error) = (digest.short().to_owned(), error.to_string());
        Trouble::Final(TroubleMessage::Manifest { short, error }.into())
    })
}

pub(crate) fn too_deep(digest: &Digest) -> Trouble {
    let (short, most) = (digest.short().to_owned(), DEPTH as u64);
    Trouble::Final(TroubleMessage::TooDeep { short, most }.into())
}
