//! Packages in the formats that command-line clients read from disk: OCI image layouts (image-spec, "Image Layout")
//! and archives of `docker save`.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use longshore_oci::Digest;
use serde_json::{Value, json};

use crate::corpus::Package;

/// Writes `package` to `folder` as an OCI image layout whose index has only this package, as `tag`.
///
/// # Panics
/// If the folder cannot be written.
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

/// Writes an image to `file` in the format of `docker save`, named `image`. Its configuration and layers keep their
/// digests. The manifest is not included, since docker generates its own.
///
/// # Panics
/// If the package is not an image, or the file cannot be written.
pub fn write_docker_archive(package: &Package, file: &Path, image: &str) {
    let manifest: Value = serde_json::from_slice(&package.root_manifest().bytes).expect("a manifest is JSON");
    let blob = |descriptor: &Value| -> (&Digest, &Bytes) {
        let named = package.blobs.iter().find(|(digest, _)| descriptor["digest"] == digest.as_str());
        named.map(|(digest, bytes)| (digest, bytes)).expect("an image has its blobs")
    };
    let config = blob(&manifest["config"]);
    let layers: Vec<_> =
        manifest["layers"].as_array().expect("an image has layers").iter().map(blob).collect();
    let named = json!([{
        "Config": config.0.hex(),
        "RepoTags": [image],
        "Layers": layers.iter().map(|(digest, _)| digest.hex()).collect::<Vec<_>>(),
    }]);
    let mut archive = tar::Builder::new(fs::File::create(file).expect("the archive can be written"));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).expect("the archive can be written");
    };
    for (digest, bytes) in layers.iter().chain([&config]) {
        add(digest.hex(), bytes);
    }
    add("manifest.json", named.to_string().as_bytes());
    archive.finish().expect("the archive can be written");
}
