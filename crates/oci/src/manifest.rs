//! A parsed view of manifest bytes (image-spec, "Image Manifest" and "Image Index"). The bytes themselves are stored
//! and served as received; nothing here serialises them again.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::descriptor::notes;
use crate::{Descriptor, media_type};

/// The maximum size of a manifest in bytes (the size that registries should accept at least, according to the
/// distribution specification).
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// The maximum number of characters of a manifest that a message quotes.
const MAX_SHOWN: usize = 120;

/// Why bytes are not a manifest that this registry accepts.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The manifest exceeds [`MAX_MANIFEST_BYTES`].
    #[error("the manifest has {0} bytes; the maximum is {MAX_MANIFEST_BYTES}")]
    TooLarge(usize),
    /// It is not JSON, or a member has a wrong type.
    #[error("the manifest cannot be read: {}", brief(.0))]
    Json(#[from] serde_json::Error),
    /// It is a Docker manifest of schema 1, which Docker itself has abandoned.
    #[error(
        "this is a Docker schema 1 manifest, which is no longer supported; build or pull the image with a \
         current client and push it again"
    )]
    Schema1,
    /// `schemaVersion` is missing or not 2.
    #[error("a manifest has schemaVersion 2, this one has {}", .0.map_or("none".to_owned(), |v| v.to_string()))]
    SchemaVersion(Option<i64>),
    /// The media type is not that of a manifest.
    #[error(
        "manifests of the media type {0:?} are not supported; use an OCI image manifest or index, or a \
         Docker schema 2 manifest or list"
    )]
    MediaType(String),
    /// The header and the body disagree, and so would clients.
    #[error(
        "the Content-Type is {header:?}, but the manifest's mediaType is {body:?}; they must be the same"
    )]
    Mismatch { header: String, body: String },
    /// A Docker manifest without a media type. If the header decided, different clients could take the same bytes for
    /// different things.
    #[error("a manifest of type {0} names it as its mediaType; this one has none")]
    Silent(String),
    /// The document has members of both images and indexes, or of the kind that does not match its media type.
    #[error("a manifest of type {media_type} has {expected}, and no {forbidden}")]
    Shape {
        /// The declared type.
        media_type: String,
        /// The members it must have.
        expected: &'static str,
        /// The members it must not have.
        forbidden: &'static str,
    },
    /// A type or platform has a control character, which headers cannot have and some databases cannot store.
    #[error("{0:?} has a control character; media types, artifact types and platforms are printable text")]
    Control(String),
}

/// The kind of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// One image or artifact: a configuration and layers.
    Image,
    /// A list of manifests, usually one per platform.
    Index,
}

/// The members in which images and indexes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Image { config: Box<Descriptor>, layers: Vec<Descriptor> },
    Index { manifests: Vec<Descriptor> },
}

/// A parsed manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    media_type: String,
    declared_artifact_type: Option<String>,
    content: Content,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

/// The role in which a manifest references something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferenceRole {
    /// The configuration, which is a blob.
    Config,
    /// A layer, which is a blob. An index has layers too, if it lists something other than manifests.
    Layer,
    /// A child of an index, which is a manifest.
    Child,
    /// The manifest that this one refers to.
    Subject,
}

/// One reference of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestReference<'a> {
    pub role: ReferenceRole,
    pub descriptor: &'a Descriptor,
    /// Whether the manifest may be stored without it: the subject, and non-distributable layers.
    pub absent_ok: bool,
}

impl ManifestReference<'_> {
    /// Whether it is a non-distributable layer.
    pub fn is_nondistributable_layer(&self) -> bool {
        self.role == ReferenceRole::Layer && self.absent_ok
    }
}

/// The members as in the JSON document, before the kind of the manifest is known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "present")]
    layers: List,
    #[serde(default, deserialize_with = "present")]
    manifests: List,
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "notes")]
    annotations: BTreeMap<String, String>,
    // Members of schema 1; only their presence matters.
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// A list. `Some(None)` is `null`, which some encoders write for an empty list and others for a missing one.
type List = Option<Option<Vec<Descriptor>>>;

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<List, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Manifest {
    /// Parses manifest bytes that were received with `content_type` (a whole header value; parameters are ignored).
    /// Without it, the `mediaType` of the body decides, and without that its members.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let header = content_type.map(media_type::essence).filter(|essence| !essence.is_empty());
        if header.as_deref().is_some_and(media_type::is_schema1) {
            return Err(ManifestError::Schema1);
        }
        let document: Document = serde_json::from_slice(bytes)?;
        let media_type = document.settle_media_type(header)?;
        let manifest = document.into_manifest(media_type)?;
        let odd = manifest.kinds().find(|text| text.chars().any(char::is_control)).map(shortened);
        odd.map_or(Ok(manifest), |text| Err(ManifestError::Control(text)))
    }

    pub fn kind(&self) -> ManifestKind {
        match self.content {
            Content::Image { .. } => ManifestKind::Image,
            Content::Index { .. } => ManifestKind::Index,
        }
    }

    /// The media type with which the manifest is served.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The artifact type as in the referrers API: `artifactType`, or else the `config.mediaType` of an image manifest
    /// (distribution-spec, "Listing Referrers").
    pub fn artifact_type(&self) -> Option<&str> {
        self.declared_artifact_type.as_deref().or_else(|| Some(&self.config()?.media_type))
    }

    /// The configuration; `None` for an index.
    pub fn config(&self) -> Option<&Descriptor> {
        match &self.content {
            Content::Image { config, .. } => Some(config),
            Content::Index { .. } => None,
        }
    }

    /// The layers; empty for an index.
    pub fn layers(&self) -> &[Descriptor] {
        match &self.content {
            Content::Image { layers, .. } => layers,
            Content::Index { .. } => &[],
        }
    }

    /// The entries of an index; empty for an image.
    pub fn manifests(&self) -> &[Descriptor] {
        match &self.content {
            Content::Image { .. } => &[],
            Content::Index { manifests } => manifests,
        }
    }

    /// The manifest that this one refers to.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Whether this is a container image and not another artifact: whether its configuration is that of an image.
    pub fn is_container_image(&self) -> bool {
        self.config().is_some_and(|config| media_type::is_image_config(&config.media_type))
    }

    /// The texts that tell the kind of the manifest and of everything that it references.
    fn kinds(&self) -> impl Iterator<Item = &str> {
        let named = self.references().flat_map(|part| part.descriptor.kinds());
        self.declared_artifact_type.as_deref().into_iter().chain(named)
    }

    /// Everything that it references, in document order with the subject last.
    pub fn references(&self) -> impl Iterator<Item = ManifestReference<'_>> {
        let named = |role, descriptor, absent_ok| ManifestReference { role, descriptor, absent_ok };
        let config = self.config().map(|config| named(ReferenceRole::Config, config, false));
        let subject = self.subject().map(|subject| named(ReferenceRole::Subject, subject, true));
        let layers = self
            .layers()
            .iter()
            .map(move |layer| named(ReferenceRole::Layer, layer, layer.is_nondistributable()));
        let entries = self.manifests().iter().map(move |entry| named(listed(entry), entry, false));
        config.into_iter().chain(layers).chain(entries).chain(subject)
    }
}

/// The role of an entry of an index. BuildKit's build cache is an index of layers and a configuration, unless it is
/// configured to use an image manifest.
fn listed(entry: &Descriptor) -> ReferenceRole {
    match media_type::names_blob(&entry.media_type) {
        true => ReferenceRole::Layer,
        false => ReferenceRole::Child,
    }
}

impl Document {
    fn settle_media_type(&self, header: Option<String>) -> Result<String, ManifestError> {
        let body = self.media_type.as_deref().filter(|text| !text.is_empty());
        if self.schema_version == Some(1)
            || self.fs_layers.is_some()
            || body.is_some_and(media_type::is_schema1)
        {
            return Err(ManifestError::Schema1);
        }
        if self.schema_version != Some(2) {
            return Err(ManifestError::SchemaVersion(self.schema_version));
        }
        let settled = match (header, body) {
            (Some(header), Some(body)) if header != body => {
                let (header, body) = (shortened(&header), shortened(body));
                return Err(ManifestError::Mismatch { header, body });
            }
            (Some(header), None) if media_type::is_docker(&header) => {
                return Err(ManifestError::Silent(header));
            }
            (Some(settled), _) => settled,
            (None, Some(body)) => body.to_owned(),
            (None, None) if self.manifests.is_some() && self.config.is_none() => {
                media_type::OCI_INDEX.to_owned()
            }
            (None, None) => media_type::OCI_MANIFEST.to_owned(),
        };
        if media_type::is_manifest(&settled) {
            Ok(settled)
        } else {
            Err(ManifestError::MediaType(shortened(&settled)))
        }
    }

    fn into_manifest(self, media_type: String) -> Result<Manifest, ManifestError> {
        let content = if media_type::is_index(&media_type) {
            match (self.manifests, self.config, self.layers) {
                (Some(manifests), None, None | Some(None)) => {
                    Content::Index { manifests: manifests.unwrap_or_default() }
                }
                _ => {
                    let (expected, forbidden) = ("a list of manifests", "config or layers");
                    return Err(ManifestError::Shape { media_type, expected, forbidden });
                }
            }
        } else {
            match (self.manifests, self.config) {
                (None | Some(None), Some(config)) => {
                    let layers = self.layers.flatten().unwrap_or_default();
                    Content::Image { config: Box::new(config), layers }
                }
                _ => {
                    let (expected, forbidden) = ("a config and layers", "list of manifests");
                    return Err(ManifestError::Shape { media_type, expected, forbidden });
                }
            }
        };
        Ok(Manifest {
            media_type,
            declared_artifact_type: self.artifact_type.filter(|text| !text.is_empty()),
            content,
            subject: self.subject,
            annotations: self.annotations,
        })
    }
}

/// Cuts a text to fit into a message.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// The reason and position of an error. The reason quotes the wrong value, which may be the whole manifest.
fn brief(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    match reason.char_indices().nth(MAX_SHOWN) {
        None => reason,
        Some((end, _)) => {
            format!("{}… at line {} column {}", &reason[..end], error.line(), error.column())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media_type::*;
    use serde_json::{Value, json};

    fn descriptor(media_type: &str, digit: char) -> Value {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", digit.to_string().repeat(64)), "size": 3})
    }

    fn image() -> Value {
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, '1'),
               "layers": [descriptor(OCI_LAYER_GZIP, '2')]})
    }

    fn parse(value: &Value, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
        Manifest::parse(&serde_json::to_vec(value).unwrap(), content_type)
    }

    #[test]
    fn an_image_is_parsed_with_all_its_references() {
        let mut document = image();
        document["subject"] = descriptor(OCI_MANIFEST, '3');
        let manifest = parse(&document, Some(&format!("{OCI_MANIFEST}; charset=utf-8"))).unwrap();
        assert_eq!(manifest.kind(), ManifestKind::Image);
        assert!(manifest.is_container_image());
        let roles: Vec<_> = manifest.references().map(|r| (r.role, r.absent_ok)).collect();
        assert_eq!(
            roles,
            [(ReferenceRole::Config, false), (ReferenceRole::Layer, false), (ReferenceRole::Subject, true)]
        );
    }

    #[test]
    fn a_list_that_is_null_counts_as_missing() {
        let mut document = image();
        document["manifests"] = Value::Null;
        assert_eq!(parse(&document, None).unwrap().kind(), ManifestKind::Image);
        document["mediaType"] = Value::Null;
        assert_eq!(parse(&document, None).unwrap().media_type(), OCI_MANIFEST);
        document["manifests"] = json!([]);
        document["mediaType"] = json!(OCI_MANIFEST);
        assert!(matches!(parse(&document, None), Err(ManifestError::Shape { .. })));
        let index = json!({"schemaVersion": 2, "manifests": null, "layers": null});
        assert_eq!(parse(&index, None).unwrap().kind(), ManifestKind::Index);
    }

    #[test]
    fn semantics_09_foreign_layers_and_the_subject_may_be_absent() {
        let mut document = image();
        document["layers"] = json!([
            descriptor(DOCKER_FOREIGN_LAYER, '4'),
            descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", '5'),
            descriptor(OCI_LAYER_GZIP, '6')
        ]);
        let manifest = parse(&document, None).unwrap();
        let layers: Vec<bool> =
            manifest.references().filter(|r| r.role == ReferenceRole::Layer).map(|r| r.absent_ok).collect();
        assert_eq!(layers, [true, true, false]);
    }

    #[test]
    fn an_index_names_its_children() {
        let mut child = descriptor(OCI_MANIFEST, '7');
        child["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
        let document = json!({"schemaVersion": 2, "manifests": [child]});
        let manifest = parse(&document, None).unwrap();
        assert_eq!((manifest.kind(), manifest.media_type()), (ManifestKind::Index, OCI_INDEX));
        assert_eq!(manifest.manifests()[0].platform.as_ref().unwrap().to_string(), "linux/arm64/v8");
        assert_eq!(manifest.artifact_type(), None);
    }

    #[test]
    fn the_artifact_type_falls_back_to_the_configs_media_type() {
        let mut document = image();
        document["config"] = descriptor("application/vnd.cncf.helm.config.v1+json", '1');
        let helm = parse(&document, None).unwrap();
        assert_eq!(helm.artifact_type(), Some("application/vnd.cncf.helm.config.v1+json"));
        assert!(!helm.is_container_image());
        document["artifactType"] = json!("application/x");
        assert_eq!(parse(&document, None).unwrap().artifact_type(), Some("application/x"));
    }

    #[test]
    fn schema_1_is_rejected_with_its_own_error() {
        for (document, content_type) in [
            (json!({"schemaVersion": 1, "fsLayers": []}), None),
            (json!({}), Some(DOCKER_SCHEMA1_SIGNED)),
            (json!({"schemaVersion": 2, "mediaType": DOCKER_SCHEMA1}), None),
        ] {
            assert!(matches!(parse(&document, content_type), Err(ManifestError::Schema1)), "{document}");
        }
    }

    #[test]
    fn a_manifest_that_is_both_image_and_index_is_rejected() {
        let mut both = image();
        both["manifests"] = json!([]);
        assert!(matches!(parse(&both, None), Err(ManifestError::Shape { .. })));
        both["mediaType"] = json!(OCI_INDEX);
        assert!(matches!(parse(&both, None), Err(ManifestError::Shape { .. })));
    }

    #[test]
    fn header_and_body_must_agree() {
        assert!(matches!(parse(&image(), Some(DOCKER_MANIFEST)), Err(ManifestError::Mismatch { .. })));
        assert!(matches!(parse(&image(), Some("application/json")), Err(ManifestError::Mismatch { .. })));
        let mut silent = image();
        silent.as_object_mut().unwrap().remove("mediaType");
        assert_eq!(parse(&silent, Some(OCI_MANIFEST)).unwrap().media_type(), OCI_MANIFEST);
        assert!(matches!(parse(&silent, Some(DOCKER_MANIFEST)), Err(ManifestError::Silent(_))));
        assert!(matches!(parse(&silent, Some(OCI_INDEX)), Err(ManifestError::Shape { .. })));
        assert!(matches!(parse(&silent, Some("text/plain")), Err(ManifestError::MediaType(_))));
    }

    #[test]
    fn an_index_lists_manifests_and_may_list_blobs() {
        let types = [
            (OCI_MANIFEST, ReferenceRole::Child),
            (DOCKER_LIST, ReferenceRole::Child),
            (DOCKER_SCHEMA1, ReferenceRole::Child),
            ("", ReferenceRole::Child),
            (OCI_LAYER_GZIP, ReferenceRole::Layer),
            ("application/vnd.buildkit.cacheconfig.v0", ReferenceRole::Layer),
        ];
        for (media_type, role) in types {
            let index = json!({"schemaVersion": 2, "manifests": [descriptor(media_type, '3')]});
            let parsed = parse(&index, None).unwrap();
            let named: Vec<_> = parsed.references().map(|part| (part.role, part.absent_ok)).collect();
            assert_eq!(named, [(role, false)], "{media_type}");
        }
    }

    #[test]
    fn missing_and_oversized_parts_are_rejected_with_a_reason() {
        assert!(matches!(parse(&json!({}), None), Err(ManifestError::SchemaVersion(None))));
        assert!(matches!(parse(&json!({"schemaVersion": 2}), None), Err(ManifestError::Shape { .. })));
        assert!(matches!(Manifest::parse(b"<html>", None), Err(ManifestError::Json(_))));
        let huge = vec![b' '; MAX_MANIFEST_BYTES + 1];
        assert!(matches!(Manifest::parse(&huge, None), Err(ManifestError::TooLarge(_))));
        let mut bad = image();
        bad["config"]["digest"] = json!("sha256:12");
        assert!(parse(&bad, None).unwrap_err().to_string().contains("64"));
    }

    #[test]
    fn a_message_never_quotes_a_whole_manifest() {
        let long = "x".repeat(1_000_000);
        let error = parse(&json!({"schemaVersion": long}), None).unwrap_err().to_string();
        assert!(error.len() < 300 && error.contains("… at line 1 column 10000"), "{error}");
        let mut image = image();
        image["mediaType"] = json!(long);
        for header in [OCI_MANIFEST, &long] {
            let error = parse(&image, Some(header)).unwrap_err().to_string();
            assert!(error.len() < 600, "{} bytes", error.len());
        }
    }

    #[test]
    fn types_and_platforms_with_control_characters_are_rejected() {
        let with = |change: fn(&mut Value)| {
            let mut index = json!({"schemaVersion": 2, "artifactType": "a/b",
                                   "manifests": [descriptor(OCI_MANIFEST, '3')]});
            change(&mut index);
            parse(&index, None).map(drop)
        };
        assert!(
            with(|index| index["annotations"] = json!({"note": "\0\n"})).is_ok(),
            "annotations may have any characters"
        );
        let changes: [fn(&mut Value); 4] = [
            |index| index["artifactType"] = json!("a/\0b"),
            |index| index["manifests"][0]["mediaType"] = json!("a/b\n"),
            |index| index["manifests"][0]["artifactType"] = json!("\u{7f}"),
            |index| index["manifests"][0]["platform"] = json!({"os": "linux", "architecture": "\0"}),
        ];
        for change in changes {
            assert!(matches!(with(change), Err(ManifestError::Control(_))));
        }
    }

    #[test]
    fn a_platform_may_lack_members() {
        for platform in [json!({}), json!({"os": "linux"}), json!({"architecture": "arm64"})] {
            let mut index = json!({"schemaVersion": 2, "manifests": [descriptor(OCI_MANIFEST, '3')]});
            index["manifests"][0]["platform"] = platform;
            let parsed = parse(&index, None).unwrap();
            assert!(!parsed.manifests()[0].platform.as_ref().unwrap().is_well_formed());
        }
    }

    #[test]
    fn null_lists_are_empty_lists() {
        let mut document = image();
        document["layers"] = Value::Null;
        document["annotations"] = Value::Null;
        assert!(parse(&document, None).unwrap().layers().is_empty());
        document["annotations"] = json!({"note": null});
        assert_eq!(parse(&document, None).unwrap().annotations()["note"], "");
    }
}
