//! Packages as OCI image layout directories (image-spec, "Image Layout"), which command-line clients read.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::corpus::Package;

/// Writes `package` to `folder` as an OCI image layout whose index names it alone, as `tag`.
///
/// # Panics
/// When the folder cannot be written.
pub fn write_oci_layout(package: &Package, folder: &Path, tag: &str) {
    let blobs = folder.join("blobs").join("sha256");
    fs::create_dir_all(&blobs).expect("the layout's folder can be made");
    let manifests = package.manifests.iter().map(|manifest| (&manifest.digest, &manifest.bytes));
    for (digest, bytes) in package.blobs.iter().map(|(digest, bytes)| (digest, bytes)).chain(manifests) {
        fs::write(blobs.join(digest.hex()), bytes).expect("the layout can be written");
    }
    let mut root = package.descriptor();
    root.annotations.insert("org.opencontainers.image.ref.name".to_owned(), tag.to_owned());
    let index = json!({"schemaVersion": 2, "manifests": [root]});
    fs::write(folder.join("index.json"), index.to_string()).expect("the layout can be written");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
        .expect("the layout can be written");
}
