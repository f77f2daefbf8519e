//! The media types of manifests, configurations and layers, and the one Accept list for all requests of manifests.

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The empty JSON object `{}` that artifacts use as configuration.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The beginning of all types of non-distributable OCI layers.
pub const OCI_LAYER_NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker layer, gzip.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer that clients fetch from elsewhere.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// Docker schema 1 manifest, which this registry rejects.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Signed Docker schema 1 manifest, which this registry rejects.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The Accept header of every HEAD and GET of a manifest. It is always the same, because a registry may choose its
/// response, and so the digest, by it.
pub const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// The media type of a Content-Type header, without parameters and in lower case.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether it is the type of an index (OCI index or Docker manifest list).
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

/// Whether it is the type of a manifest of one image or artifact.
pub fn is_image_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Whether it is a Docker type of manifests.
pub fn is_docker(media_type: &str) -> bool {
    matches!(media_type, DOCKER_MANIFEST | DOCKER_LIST)
}

/// Whether it is the type of a manifest that this registry stores.
pub fn is_manifest(media_type: &str) -> bool {
    is_index(media_type) || is_image_manifest(media_type)
}

/// Whether it is a type of the abandoned schema 1 manifests.
pub fn is_schema1(media_type: &str) -> bool {
    matches!(media_type, DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED)
}

/// Whether content of this type must be a blob. Content without a type may also be a manifest.
pub fn names_blob(media_type: &str) -> bool {
    !(media_type.is_empty() || is_manifest(media_type) || is_schema1(media_type))
}

/// Whether it is the type of a container image's configuration and not of an artifact's.
pub fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

/// Whether it is the type of a layer that may be absent, because its licence forbids redistribution.
pub fn is_nondistributable(media_type: &str) -> bool {
    media_type == DOCKER_FOREIGN_LAYER || media_type.starts_with(OCI_LAYER_NONDISTRIBUTABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantics_04_the_accept_list_names_every_manifest_type_once() {
        let listed: Vec<&str> = ACCEPT_MANIFESTS.split(", ").collect();
        assert_eq!(listed, [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST]);
    }

    #[test]
    fn the_parameters_of_a_content_type_are_ignored() {
        assert_eq!(essence("Application/JSON; charset=utf-8"), "application/json");
    }
}
