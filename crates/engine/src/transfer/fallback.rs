//! The list of referrers in registries without the referrers API: an index under the subject's digest tag, which the
//! client that pushes a referrer must update (distribution-spec, "Referrers tag schema").

use bytes::Bytes;
use longshore_oci::{Descriptor, Digest, Manifest, media_type};
use serde_json::{Value, json};

/// The index that replaces `existing` and also lists `added`. `None` if it already lists all of them, or if the tag
/// does not point to an index and so is not a list of referrers.
pub(crate) fn with_referrers(existing: Option<&[u8]>, added: &[Descriptor]) -> Option<Bytes> {
    let mut index = match existing {
        Some(bytes) => serde_json::from_slice(bytes).ok()?,
        None => json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []}),
    };
    let list = index.get_mut("manifests")?.as_array_mut()?;
    let before = list.len();
    for descriptor in added {
        let listed = |entry: &Value| entry["digest"].as_str() == Some(descriptor.digest.as_str());
        if !list.iter().any(listed) {
            list.push(serde_json::to_value(descriptor).ok()?);
        }
    }
    let grown = list.len() > before;
    if grown { serde_json::to_vec(&index).ok().map(Bytes::from) } else { None }
}

/// The entry of a manifest in a list of referrers.
pub(crate) fn entry(digest: &Digest, size: usize, manifest: &Manifest) -> Descriptor {
    let mut entry = Descriptor::new(manifest.media_type(), digest.clone(), size as u64);
    entry.artifact_type = manifest.artifact_type().map(str::to_owned);
    entry.annotations = manifest.annotations().clone();
    entry
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn referrer(byte: u8) -> Descriptor {
        Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256([byte; 32]), 7)
    }

    fn listed(bytes: &[u8]) -> Vec<Digest> {
        let index = Manifest::parse(bytes, Some(media_type::OCI_INDEX)).unwrap();
        index.manifests().iter().map(|entry| entry.digest.clone()).collect()
    }

    #[test]
    fn semantics_07_the_first_referrer_creates_the_list_and_later_ones_are_added() {
        let first = with_referrers(None, &[referrer(1)]).unwrap();
        let second = with_referrers(Some(&first), &[referrer(2), referrer(1)]).unwrap();
        assert_eq!(listed(&second), [referrer(1).digest, referrer(2).digest]);
        assert_eq!(with_referrers(Some(&second), &[referrer(2)]), None);
    }

    #[test]
    fn other_fields_of_the_list_are_kept() {
        let theirs = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [],
                            "annotations": {"who": "them"}});
        let merged = with_referrers(Some(theirs.to_string().as_bytes()), &[referrer(1)]).unwrap();
        let merged: Value = serde_json::from_slice(&merged).unwrap();
        assert_eq!(merged["annotations"]["who"], "them");
    }

    #[test]
    fn an_image_under_the_tag_is_not_overwritten() {
        assert_eq!(
            with_referrers(Some(br#"{"schemaVersion":2,"config":{},"layers":[]}"#), &[referrer(1)]),
            None
        );
        assert_eq!(with_referrers(Some(b"<html>"), &[referrer(1)]), None);
    }
}
