//! Copying images between this registry and others: whole trees of manifests and blobs, referrers, digest
//! tags. When and under which name is decided by those who call.

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

/// Indexes may name indexes, to this depth.
pub(crate) const DEPTH: usize = 8;
/// Blobs of one run that move at the same time.
pub(crate) const BLOBS_AT_ONCE: usize = 6;
/// Parts of one manifest that are looked at at the same time.
pub(crate) const PARTS_AT_ONCE: usize = 4;
/// Referrers of referrers, and so on, are followed this far.
pub(crate) const REFERRER_DEPTH: usize = 4;

/// Reads a manifest that is about to be copied.
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
