//! Descriptors and platforms (image-spec, "Content Descriptors" and "Image Index").

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Digest, media_type};

/// The maximum number of characters of one part of a platform; existing ones have about ten.
const MAX_PLATFORM_PART: usize = 64;

/// The annotation that BuildKit adds to attestations among the children of an index.
const DOCKER_REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The description of content that a manifest references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the referenced content.
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// The artifact type, if the content is the manifest of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The platform of a child of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "notes")]
    pub annotations: BTreeMap<String, String>,
    /// Where else the content may be fetched from (foreign layers). Longshore never does so.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub urls: Vec<String>,
    /// The content itself in base64, if it is embedded; see [`Descriptor::embedded`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub data: Option<String>,
}

/// Reads `null` as an empty list or map, since encoders of some languages write that.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a string; any other value is ignored.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// Reads annotations; the value `null` becomes an empty string.
pub(crate) fn notes<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let notes: BTreeMap<String, Option<String>> = null_is_empty(deserializer)?;
    Ok(notes.into_iter().map(|(name, note)| (name, note.unwrap_or_default())).collect())
}

impl Descriptor {
    /// A descriptor with only the three required members.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
            data: None,
        }
    }

    /// The embedded content (image-spec, "Embedded Content"), if it has the declared length. The caller must verify
    /// its digest.
    pub fn embedded(&self) -> Option<Vec<u8>> {
        let content = BASE64_STANDARD.decode(self.data.as_ref()?).ok()?;
        (content.len() as u64 == self.size).then_some(content)
    }

    /// The texts that tell the kind of the content: its types and the parts of its platform.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        let platform = self.platform.iter().flat_map(|platform| {
            let optional = [platform.variant.as_deref(), platform.os_version.as_deref()];
            [platform.os.as_str(), platform.architecture.as_str()]
                .into_iter()
                .chain(optional.into_iter().flatten())
        });
        [self.media_type.as_str()].into_iter().chain(self.artifact_type.as_deref()).chain(platform)
    }

    /// Whether it references a manifest that this registry stores as such.
    pub fn is_manifest(&self) -> bool {
        media_type::is_manifest(&self.media_type)
    }

    /// Whether it references a layer that may be absent.
    pub fn is_nondistributable(&self) -> bool {
        media_type::is_nondistributable(&self.media_type)
    }

    /// Whether this child of an index is an attestation and not an image. It is copied with the images, but neither
    /// scanned nor waited for.
    pub fn is_attestation_like(&self) -> bool {
        self.annotations.contains_key(DOCKER_REFERENCE_TYPE)
            || self.platform.as_ref().is_some_and(Platform::is_unknown)
    }
}

/// The platform that an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The operating system, as in GOOS. Empty if the index does not specify it.
    #[serde(default)]
    pub os: String,
    /// The architecture, as in GOARCH. Empty if the index does not specify it.
    #[serde(default)]
    pub architecture: String,
    /// The variant of the architecture, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system, the only difference between Windows images for one architecture.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

/// The text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a platform is written os/architecture or os/architecture/variant, for example linux/arm64/v8")]
pub struct PlatformError;

impl Platform {
    /// Whether it is `unknown/unknown`, which BuildKit assigns to attestations.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Whether every part looks like a value of GOOS or GOARCH; image configurations may contain anything.
    pub fn is_well_formed(&self) -> bool {
        let optional = [&self.variant, &self.os_version].into_iter().flatten();
        is_word(&self.os)
            && is_word(&self.architecture)
            && optional.filter(|part| !part.is_empty()).all(|part| is_word(part))
    }
}

/// Whether the text may be one part of a platform.
fn is_word(part: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=MAX_PLATFORM_PART).contains(&part.len()) && part.chars().all(legal)
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref() {
            None | Some("") => Ok(()),
            Some(variant) => write!(f, "/{variant}"),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(PlatformError),
        };
        if !parts.iter().all(|part| is_word(part)) {
            return Err(PlatformError);
        }
        Ok(Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(Into::into),
            os_version: None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn embedded_content_must_have_the_declared_length() {
        let read = |data: Value| {
            let digest = format!("sha256:{}", "0".repeat(64));
            let json = serde_json::json!({"mediaType": "x/y", "digest": digest, "size": 2, "data": data});
            serde_json::from_value::<Descriptor>(json).unwrap().embedded()
        };
        assert_eq!(read("e30=".into()), Some(b"{}".to_vec()));
        for nothing in
            [Value::Null, "".into(), "e30".into(), "e3".into(), "eyB9".into(), "?".into(), 7.into()]
        {
            assert_eq!(read(nothing.clone()), None, "{nothing}");
        }
    }

    #[test]
    fn a_platform_is_formatted_as_it_is_parsed() {
        for text in ["linux/amd64", "linux/arm64/v8"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "a/b/c/d", "li nux/x"] {
            assert_eq!(text.parse::<Platform>(), Err(PlatformError), "{text}");
        }
    }

    #[test]
    fn the_parts_of_a_well_formed_platform_are_short_words() {
        let of_config = |os: &str, version: &str| {
            let json = serde_json::json!({ "os": os, "architecture": "amd64", "os.version": version });
            serde_json::from_value::<Platform>(json).unwrap()
        };
        assert!(of_config("windows", "10.0.17763.1999").is_well_formed());
        assert!(of_config("linux", "").is_well_formed());
        assert!(!of_config("", "").is_well_formed());
        assert!(!of_config("<b>linux</b>", "").is_well_formed());
        assert!(!of_config(&"l".repeat(65), "").is_well_formed());
    }

    #[test]
    fn semantics_08_attestations_are_distinguished_from_images() {
        let digest = Digest::sha256([0; 32]);
        let mut child = Descriptor::new(media_type::OCI_MANIFEST, digest, 2);
        assert!(!child.is_attestation_like());
        child.platform = Some("unknown/unknown".parse().unwrap());
        assert!(child.is_attestation_like());
        child.platform = None;
        child.annotations.insert(DOCKER_REFERENCE_TYPE.into(), "attestation-manifest".into());
        assert!(child.is_attestation_like());
    }
}
