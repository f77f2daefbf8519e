//! Images and artifacts that are generated from a seed: the same seed gives the same bytes. Tests generate what they
//! need, so that no fixture has to be fetched.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use longshore_oci::{Descriptor, Digest, Platform, Tag, media_type};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The artifact type of SPDX SBOMs.
pub const SBOM: &str = "application/spdx+json";
/// The artifact type of Sigstore bundles.
pub const SIGNATURE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The media type of a Helm chart's configuration.
pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// The media type of a Helm chart's content.
pub const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The media type of the payload that cosign stores under a digest tag.
pub const COSIGN_PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The media type of the configuration of BuildKit's build cache.
pub const BUILD_CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A manifest as it is pushed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// The digest of the bytes.
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Bytes,
}

/// An image, index or artifact with all its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The manifests, children before their parents; the root is the last.
    pub manifests: Vec<StoredManifest>,
    /// The blobs, each once.
    pub blobs: Vec<(Digest, Bytes)>,
    /// The digest of the root manifest.
    pub root: Digest,
}

/// A layer: a gzipped tar archive with one file of noise.
#[derive(Debug, Clone)]
pub struct Layer {
    blob: Bytes,
    diff_id: Digest,
}

/// The specification that an image follows.
#[derive(Debug, Clone, Copy)]
enum Format {
    Oci,
    Docker,
}

/// The sha256 digest of some bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest::sha256(Sha256::digest(bytes).into())
}

impl Layer {
    /// A layer whose file has `bytes` incompressible bytes; the same seed and size give the same layer.
    pub fn new(seed: u64, bytes: usize) -> Self {
        Self::of_file("data.bin", &noise(seed, bytes))
    }

    fn of_file(path: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        let mut archive = tar::Builder::new(Vec::with_capacity(content.len() + 2048));
        archive.append_data(&mut header, path, content).expect("a tar archive in memory");
        let archive = archive.into_inner().expect("a tar archive in memory");
        // Noise does not compress. Uncompressed blocks are valid gzip and quick to make.
        let mut gzip = GzEncoder::new(Vec::with_capacity(archive.len() + 1024), Compression::none());
        std::io::Write::write_all(&mut gzip, &archive).expect("gzip in memory");
        let blob = gzip.finish().expect("gzip in memory");
        Self { blob: blob.into(), diff_id: digest_of(&archive) }
    }

    /// The digest of the compressed layer, which is that of its blob.
    pub fn digest(&self) -> Digest {
        digest_of(&self.blob)
    }
}

/// `bytes` bytes that depend only on the seed (SplitMix64).
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    out.truncate(bytes);
    out
}

/// An image for linux/amd64 with this many layers of about `bytes` bytes each.
pub fn image(seed: u64, layers: usize, bytes: usize) -> Package {
    image_of(&layers_of(seed, layers, bytes))
}

/// An image for linux/amd64 with given layers, so that images can share some.
pub fn image_of(layers: &[Layer]) -> Package {
    build_image(Format::Oci, &platform("linux/amd64"), layers)
}

/// An image for windows/amd64 on a non-distributable base layer. The layer is a blob of the package like any other;
/// [`Package::without`] leaves it out.
pub fn image_over(base: &Layer, seed: u64) -> Package {
    let own = layers_of(seed, 1, 1000);
    build_image_over(Some(base), Format::Oci, &platform("windows/amd64"), &own)
}

/// A Docker schema 2 image for linux/amd64.
pub fn docker_image(seed: u64, layers: usize, bytes: usize) -> Package {
    build_image(Format::Docker, &platform("linux/amd64"), &layers_of(seed, layers, bytes))
}

/// An index of images for `platforms` (`linux/arm64`, …), optionally with an attestation for each
/// (`unknown/unknown`), as BuildKit adds them.
pub fn index(seed: u64, platforms: &[&str], with_attestation: bool) -> Package {
    build_index(Format::Oci, seed, platforms, with_attestation)
}

/// An index of given images.
pub fn index_of(images: &[&Package]) -> Package {
    let mut parts = Parts::default();
    let entries: Vec<Descriptor> = images.iter().map(|image| image.descriptor()).collect();
    images.iter().for_each(|image| parts.absorb((*image).clone()));
    parts.manifest(media_type::OCI_INDEX, &json!({"manifests": entries}));
    parts.package()
}

/// A Docker manifest list of schema 2 images for `platforms`.
pub fn docker_list(seed: u64, platforms: &[&str]) -> Package {
    build_index(Format::Docker, seed, platforms, false)
}

/// A build cache as BuildKit exports it by default: an index of layers and a configuration.
pub fn build_cache(seed: u64) -> Package {
    let mut parts = Parts::default();
    let layers = layers_of(seed, 2, 4096);
    let mut listed: Vec<Descriptor> =
        layers.iter().map(|layer| parts.blob(media_type::OCI_LAYER_GZIP, layer.blob.clone())).collect();
    let records: Vec<Value> = layers.iter().map(|layer| json!({"blob": layer.digest()})).collect();
    listed.push(parts.json(BUILD_CACHE_CONFIG, &json!({"layers": records})));
    parts.manifest(media_type::OCI_INDEX, &json!({"manifests": listed}));
    parts.package()
}

/// A Helm chart, as `helm push` stores it.
pub fn helm_chart(seed: u64) -> Package {
    let version = format!("1.0.{seed}");
    let chart = Layer::of_file(
        "app/Chart.yaml",
        format!("apiVersion: v2\nname: app\nversion: {version}\n").as_bytes(),
    );
    let mut parts = Parts::default();
    let config = parts.json(HELM_CONFIG, &json!({"apiVersion": "v2", "name": "app", "version": version}));
    let content = parts.blob(HELM_CHART, chart.blob);
    parts.manifest(media_type::OCI_MANIFEST, &json!({"config": config, "layers": [content]}));
    parts.package()
}

/// An artifact of the given type that refers to `subject`, without the subject itself.
pub fn referrer(subject: &Package, artifact_type: &str, document: &Value) -> Package {
    let mut parts = Parts::default();
    let config = parts.blob(media_type::OCI_EMPTY, Bytes::from_static(b"{}"));
    let content = parts.json(artifact_type, document);
    parts.manifest(
        media_type::OCI_MANIFEST,
        &json!({
            "artifactType": artifact_type,
            "config": config,
            "layers": [content],
            "subject": subject.descriptor(),
        }),
    );
    parts.package()
}

/// An SBOM that refers to `subject`.
pub fn sbom(subject: &Package) -> Package {
    let name = subject.root.short();
    referrer(subject, SBOM, &json!({"spdxVersion": "SPDX-2.3", "name": name}))
}

/// An artifact that refers to `subject` and looks like a signature, but signs nothing.
pub fn signature(subject: &Package) -> Package {
    referrer(subject, SIGNATURE, &json!({"messageSignature": {"messageDigest": subject.root}}))
}

/// A signature as older versions of cosign store it, and its digest tag.
pub fn cosign_signature(subject: &Package) -> (Tag, Package) {
    let digest = &subject.root;
    let mut parts = Parts::default();
    let mut payload = parts.json(
        COSIGN_PAYLOAD,
        &json!({"critical": {
            "identity": {"docker-reference": "app"},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        }, "optional": null}),
    );
    let signature = STANDARD.encode(digest.as_str());
    payload.annotations.insert("dev.cosignproject.cosign/signature".to_owned(), signature);
    let config = parts.json(
        media_type::OCI_CONFIG,
        &json!({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [payload.digest]}}),
    );
    parts.manifest(media_type::OCI_MANIFEST, &json!({"config": config, "layers": [payload]}));
    let tag = format!("{}-{}.sig", digest.algorithm(), digest.hex());
    (tag.parse().expect("a digest tag is a tag"), parts.package())
}

fn layers_of(seed: u64, layers: usize, bytes: usize) -> Vec<Layer> {
    let seed = seed.wrapping_mul(1000);
    (0..layers as u64).map(|number| Layer::new(seed.wrapping_add(number), bytes)).collect()
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn build_image(format: Format, platform: &Platform, layers: &[Layer]) -> Package {
    build_image_over(None, format, platform, layers)
}

fn build_image_over(base: Option<&Layer>, format: Format, platform: &Platform, layers: &[Layer]) -> Package {
    let (manifest_type, config_type, layer_type) = match format {
        Format::Oci => (media_type::OCI_MANIFEST, media_type::OCI_CONFIG, media_type::OCI_LAYER_GZIP),
        Format::Docker => (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG, media_type::DOCKER_LAYER),
    };
    let mut parts = Parts::default();
    let all = || base.into_iter().chain(layers);
    let diff_ids: Vec<&Digest> = all().map(|layer| &layer.diff_id).collect();
    let history: Vec<Value> = all().map(|_| json!({"created_by": "COPY data.bin /"})).collect();
    let mut config = json!({
        "created": "2024-01-01T00:00:00Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    });
    merge(&mut config, json!(platform));
    let config = parts.json(config_type, &config);
    let foreign_type = format!("{}+gzip", media_type::OCI_LAYER_NONDISTRIBUTABLE);
    let base = base.map(|base| parts.blob(&foreign_type, base.blob.clone()));
    let layers = layers.iter().map(|layer| parts.blob(layer_type, layer.blob.clone()));
    let layers: Vec<Descriptor> = base.into_iter().chain(layers).collect();
    parts.manifest(manifest_type, &json!({"config": config, "layers": layers}));
    parts.package()
}

fn build_index(format: Format, seed: u64, platforms: &[&str], with_attestation: bool) -> Package {
    assert!(!platforms.is_empty(), "an index without images is none");
    let list_type = match format {
        Format::Oci => media_type::OCI_INDEX,
        Format::Docker => media_type::DOCKER_LIST,
    };
    let mut parts = Parts::default();
    let mut entries = Vec::new();
    let mut attestations = Vec::new();
    for (number, name) in (0_u64..).zip(platforms) {
        let platform = platform(name);
        let layers = layers_of(seed.wrapping_mul(100).wrapping_add(number), 2, 2048);
        let image = build_image(format, &platform, &layers);
        if with_attestation {
            let attestation = attestation(&image);
            let mut entry = attestation.descriptor();
            entry.platform = Some(self::platform("unknown/unknown"));
            entry.annotations = [
                ("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned()),
                ("vnd.docker.reference.digest".to_owned(), image.root.to_string()),
            ]
            .into();
            attestations.push(entry);
            parts.absorb(attestation);
        }
        entries.push(Descriptor { platform: Some(platform), ..image.descriptor() });
        parts.absorb(image);
    }
    entries.append(&mut attestations);
    parts.manifest(list_type, &json!({"manifests": entries}));
    parts.package()
}

/// Provenance as BuildKit attaches it: another entry of the index.
fn attestation(image: &Package) -> Package {
    let predicate = "https://slsa.dev/provenance/v0.2";
    let mut parts = Parts::default();
    let mut statement = parts.json(
        IN_TOTO,
        &json!({"_type": "https://in-toto.io/Statement/v0.1", "predicateType": predicate,
                "subject": [{"digest": {"sha256": image.root.hex()}}], "predicate": {}}),
    );
    statement.annotations.insert("in-toto.io/predicate-type".to_owned(), predicate.to_owned());
    let config = parts.json(
        media_type::OCI_CONFIG,
        &json!({"architecture": "unknown", "os": "unknown", "config": {},
                "rootfs": {"type": "layers", "diff_ids": [statement.digest]}}),
    );
    parts.manifest(media_type::OCI_MANIFEST, &json!({"config": config, "layers": [statement]}));
    parts.package()
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// A package that is being built.
#[derive(Default)]
struct Parts {
    manifests: Vec<StoredManifest>,
    blobs: Vec<(Digest, Bytes)>,
}

impl Parts {
    fn blob(&mut self, media_type: &str, bytes: Bytes) -> Descriptor {
        let descriptor = Descriptor::new(media_type, digest_of(&bytes), bytes.len() as u64);
        self.keep_blob(descriptor.digest.clone(), bytes);
        descriptor
    }

    fn json(&mut self, media_type: &str, document: &Value) -> Descriptor {
        self.blob(media_type, document.to_string().into())
    }

    fn keep_blob(&mut self, digest: Digest, bytes: Bytes) {
        if self.blobs.iter().all(|(known, _)| *known != digest) {
            self.blobs.push((digest, bytes));
        }
    }

    fn manifest(&mut self, media_type: &str, body: &Value) {
        let mut manifest = json!({"schemaVersion": 2, "mediaType": media_type});
        merge(&mut manifest, body.clone());
        let bytes = Bytes::from(manifest.to_string());
        let digest = digest_of(&bytes);
        self.manifests.push(StoredManifest { digest, media_type: media_type.to_owned(), bytes });
    }

    fn absorb(&mut self, package: Package) {
        for (digest, bytes) in package.blobs {
            self.keep_blob(digest, bytes);
        }
        self.manifests.extend(package.manifests);
    }

    fn package(self) -> Package {
        let root = self.manifests.last().expect("a package ends with its root manifest").digest.clone();
        Package { manifests: self.manifests, blobs: self.blobs, root }
    }
}

impl Package {
    /// The root manifest.
    pub fn root_manifest(&self) -> &StoredManifest {
        self.manifests.last().expect("a package ends with its root manifest")
    }

    /// The descriptor of the root manifest.
    pub fn descriptor(&self) -> Descriptor {
        let root = self.root_manifest();
        Descriptor::new(&root.media_type, root.digest.clone(), root.bytes.len() as u64)
    }

    /// The package without one of its blobs, for places where that may be absent.
    #[must_use]
    pub fn without(&self, blob: &Digest) -> Self {
        let blobs = self.blobs.iter().filter(|(digest, _)| digest != blob).cloned().collect();
        Self { blobs, ..self.clone() }
    }

    /// The image with `content` embedded in its manifest as the content of the configuration.
    #[must_use]
    pub fn embedding(&self, content: &[u8]) -> Self {
        let root = self.root_manifest();
        let mut document: Value = serde_json::from_slice(&root.bytes).expect("a manifest is JSON");
        document["config"]["data"] = STANDARD.encode(content).into();
        let bytes = Bytes::from(document.to_string());
        let embedding = StoredManifest { digest: digest_of(&bytes), bytes, ..root.clone() };
        let root = embedding.digest.clone();
        Self { manifests: vec![embedding], blobs: self.blobs.clone(), root }
    }

    /// The total size of its blobs and manifests, in bytes.
    pub fn bytes(&self) -> u64 {
        let blobs = self.blobs.iter().map(|(_, bytes)| bytes.len());
        let manifests = self.manifests.iter().map(|manifest| manifest.bytes.len());
        blobs.chain(manifests).sum::<usize>() as u64
    }
}

#[cfg(test)]
mod tests {
    use longshore_oci::Manifest;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_package() {
        assert_eq!(image(7, 2, 1000), image(7, 2, 1000));
        assert_ne!(image(7, 2, 1000).root, image(8, 2, 1000).root);
        let layers = [Layer::new(1, 10), Layer::new(2, 10)];
        assert_eq!(image_of(&layers).blobs[1], image_of(&layers[..1]).blobs[1], "layers are shared");
    }

    #[test]
    fn every_manifest_is_valid_and_references_only_parts_of_its_package() {
        let subject = image(1, 1, 100);
        let packages = [
            image(1, 3, 5000),
            docker_image(2, 1, 10),
            index(3, &["linux/amd64", "linux/arm/v7"], true),
            docker_list(4, &["linux/amd64", "linux/arm64"]),
            helm_chart(5),
            sbom(&subject),
            signature(&subject),
            cosign_signature(&subject).1,
        ];
        for package in packages {
            assert_eq!(package.root_manifest().digest, package.root);
            let held = |digest: &Digest| {
                package.blobs.iter().any(|(blob, _)| blob == digest)
                    || package.manifests.iter().any(|manifest| manifest.digest == *digest)
            };
            for manifest in &package.manifests {
                let parsed = Manifest::parse(&manifest.bytes, Some(&manifest.media_type))
                    .unwrap_or_else(|error| panic!("{error}"));
                for reference in
                    parsed.references().filter(|reference| reference.descriptor.digest != subject.root)
                {
                    assert!(held(&reference.descriptor.digest), "{}", reference.descriptor.digest);
                }
            }
            assert!(package.blobs.iter().all(|(digest, bytes)| *digest == digest_of(bytes)));
        }
    }

    #[test]
    fn a_cosign_tag_is_a_digest_tag_of_its_subject() {
        let subject = image(1, 1, 10);
        let (tag, _) = cosign_signature(&subject);
        assert_eq!(tag.digest_tag_subject(), Some(subject.root));
    }
}
