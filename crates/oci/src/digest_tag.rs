//! Digest tags: tags that attach something to a digest instead of naming a version. They are the referrers fallback
//! tag (`sha256-<hex>`) and the tags of signing tools (`sha256-<hex>.sig`).

use crate::digest::is_lower_hex;
use crate::{Algorithm, Digest};

/// The number of digits that fit into a tag (distribution-spec, "Referrers tag schema").
const DIGITS: usize = 64;

/// The parts of a digest tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestTag<'a> {
    /// The algorithm of the subject's digest.
    pub algorithm: Algorithm,
    /// The first 64 digits of the subject's digest, which are all digits of a sha256 digest.
    pub hex: &'a str,
    /// The rest, such as `.sig`; empty for the referrers fallback tag.
    pub suffix: &'a str,
}

impl<'a> DigestTag<'a> {
    pub(crate) fn parse(tag: &'a str) -> Option<Self> {
        let (algorithm, rest) = tag.split_once('-')?;
        let algorithm = Algorithm::from_name(algorithm)?;
        let (hex, suffix) = rest.split_at_checked(DIGITS)?;
        // A letter or digit after the 64th digit makes it an ordinary, if unusual, tag.
        let ends = !suffix.starts_with(|c: char| c.is_ascii_alphanumeric());
        (is_lower_hex(hex) && ends).then_some(Self { algorithm, hex, suffix })
    }

    /// Whether this tag belongs to `digest`.
    pub fn is_of(&self, digest: &Digest) -> bool {
        digest.algorithm() == self.algorithm && digest.hex().starts_with(self.hex)
    }

    /// The subject, if the tag contains the whole digest.
    pub fn subject(&self) -> Option<Digest> {
        format!("{}:{}", self.algorithm, self.hex).parse().ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Tag;

    fn digest(algorithm: &str, digits: usize) -> Digest {
        format!("{algorithm}:{}", "ab12".repeat(digits / 4)).parse().unwrap()
    }

    #[test]
    fn semantics_06_digest_tags_are_recognised_with_and_without_a_suffix() {
        let subject = digest("sha256", 64);
        for suffix in ["", ".sig", ".att", ".sbom", "-2", "_x"] {
            let tag: Tag = format!("sha256-{}{suffix}", subject.hex()).parse().unwrap();
            assert_eq!(tag.digest_tag_subject().as_ref(), Some(&subject), "{tag}");
            assert_eq!(tag.digest_tag().unwrap().suffix, suffix);
        }
    }

    #[test]
    fn semantics_06_a_sha512_digest_is_cut_to_fit_into_a_tag() {
        let subject = digest("sha512", 128);
        let tag = Tag::referrers_of(&subject);
        assert!(tag.as_str().parse::<Tag>().is_ok());
        assert!(tag.is_digest_tag() && tag.digest_tag().unwrap().is_of(&subject));
        assert_eq!(tag.digest_tag_subject(), None);
    }

    #[test]
    fn semantics_06_lookalikes_are_ordinary_tags() {
        let hex = "a".repeat(64);
        for text in [
            format!("sha256-{}", &hex[1..]),
            format!("sha256-{hex}a"),
            format!("sha256-{}", "A".repeat(64)),
            format!("md5-{hex}"),
            format!("x-sha256-{hex}"),
            "sha256-".into(),
        ] {
            assert!(!text.parse::<Tag>().unwrap().is_digest_tag(), "{text}");
        }
    }
}
