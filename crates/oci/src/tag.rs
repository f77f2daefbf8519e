//! Tags (distribution-spec, "Pulling manifests"): their grammar, and which of them are digest tags, which people do
//! not use as tags.

use crate::text::validated_text;
use crate::{Digest, DigestTag};

/// The maximum number of characters of a tag.
pub const MAX_TAG: usize = 128;

/// Why a tag is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The text is empty.
    #[error("a tag is missing; it has 1 to 128 letters, digits and . _ -")]
    Empty,
    /// The text has more than 128 characters.
    #[error("a tag has at most 128 characters, this one has {length}")]
    TooLong {
        /// The number of characters.
        length: usize,
    },
    /// The first character is `.` or `-`.
    #[error("a tag begins with a letter, a digit or _, not with {found:?}")]
    First { found: char },
    /// A character is not allowed in tags.
    #[error("a tag has letters (a-z, A-Z), digits and . _ - only, not {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);
validated_text!(Tag, TagError);

impl Tag {
    fn check(text: &str) -> Result<(), TagError> {
        let first = text.chars().next().ok_or(TagError::Empty)?;
        let length = text.chars().count();
        if length > MAX_TAG {
            return Err(TagError::TooLong { length });
        }
        let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(found) = text.chars().find(|c| !legal(c)) {
            return Err(TagError::Character { found });
        }
        if matches!(first, '.' | '-') {
            return Err(TagError::First { found: first });
        }
        Ok(())
    }

    /// The tag under which registries without the referrers API store the list of a subject's referrers
    /// (distribution-spec, "Referrers tag schema").
    pub fn referrers_of(subject: &Digest) -> Self {
        let hex = &subject.hex()[..subject.hex().len().min(64)];
        Self(format!("{}-{hex}", subject.algorithm()))
    }

    /// The parts of a digest tag; `None` for any other tag.
    pub fn digest_tag(&self) -> Option<DigestTag<'_>> {
        DigestTag::parse(&self.0)
    }

    /// Whether this is a digest tag, which rules, patterns, templates, guards and counts ignore.
    pub fn is_digest_tag(&self) -> bool {
        self.digest_tag().is_some()
    }

    /// The subject of a digest tag, if the tag contains the whole digest: always for sha256, never for sha512, whose
    /// 128 digits do not fit (use [`DigestTag::is_of`] for those).
    pub fn digest_tag_subject(&self) -> Option<Digest> {
        self.digest_tag().and_then(|tag| tag.subject())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_with_300_characters_is_rejected() {
        let error = "a".repeat(300).parse::<Tag>().unwrap_err();
        assert_eq!(error.to_string(), "a tag has at most 128 characters, this one has 300");
        assert!("a".repeat(128).parse::<Tag>().is_ok());
    }

    #[test]
    fn tags_follow_the_grammar_of_the_specification() {
        for good in ["1.0-stable", "_x", "V1", "a.b_c-d"] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        assert_eq!(".a".parse::<Tag>(), Err(TagError::First { found: '.' }));
        assert_eq!("a/b".parse::<Tag>(), Err(TagError::Character { found: '/' }));
        assert_eq!("ä".parse::<Tag>(), Err(TagError::Character { found: 'ä' }));
        assert_eq!("".parse::<Tag>(), Err(TagError::Empty));
    }

    proptest! {
        #[test]
        fn every_tag_of_the_grammar_is_read_as_it_is_written(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            let tag: Tag = text.parse().unwrap();
            prop_assert_eq!(tag.as_str(), &text);
            let json = serde_json::to_string(&tag).unwrap();
            prop_assert_eq!(serde_json::from_str::<Tag>(&json).unwrap(), tag);
        }

        #[test]
        fn no_text_causes_a_panic(text in "\\PC{0,140}") {
            if let Ok(tag) = text.parse::<Tag>() {
                let _ = tag.digest_tag_subject();
            }
        }
    }
}
