//! Manifests, with the Content-Type under which they are pushed.

use longshore_oci::{Manifest, ManifestKind, ReferenceRole, media_type};

use crate::is_brief;

/// A manifest after its Content-Type, which is on the first line and may be empty.
pub(crate) fn manifests(bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, body) = (&bytes[..line], bytes.get(line + 1..).unwrap_or_default());
    let header = std::str::from_utf8(header).ok().filter(|header| !header.is_empty());
    let manifest = match Manifest::parse(body, header) {
        Ok(manifest) => manifest,
        Err(error) => return is_brief(&error),
    };
    let again =
        Manifest::parse(body, Some(manifest.media_type())).expect("it can be parsed again as it is served");
    assert_eq!(again, manifest);

    let is_index = manifest.kind() == ManifestKind::Index;
    assert!(media_type::is_manifest(manifest.media_type()));
    assert_eq!(is_index, media_type::is_index(manifest.media_type()));
    assert_eq!(manifest.config().is_none(), is_index);
    assert!(if is_index { manifest.layers().is_empty() } else { manifest.manifests().is_empty() });

    let named = usize::from(!is_index)
        + manifest.layers().len()
        + manifest.manifests().len()
        + usize::from(manifest.subject().is_some());
    assert_eq!(manifest.references().count(), named);
    for reference in manifest.references() {
        let optional = match reference.role {
            ReferenceRole::Subject => true,
            ReferenceRole::Layer => !is_index && reference.descriptor.is_nondistributable(),
            ReferenceRole::Config | ReferenceRole::Child => false,
        };
        assert_eq!(reference.absent_ok, optional);
        // A descriptor that is accepted can be written to a list of descriptors.
        let json = serde_json::to_vec(reference.descriptor).expect("a descriptor is written as JSON");
        let read: longshore_oci::Descriptor = serde_json::from_slice(&json).expect("and read from it");
        assert_eq!(&read, reference.descriptor);
    }
}
