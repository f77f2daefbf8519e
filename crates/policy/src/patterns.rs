//! Lists of tag patterns, for pull mirrors and immutable tags: names and globs as in Quay (`*`, `?`, `[seq]`,
//! `[!seq]`), separated by commas. The matcher is our own because glob crates support more than that.

use std::fmt;
use std::str::FromStr;

use longshore_oci::Tag;
use serde::{Deserialize, Serialize};

/// The maximum number of patterns in a list.
pub const MAX_PATTERNS: usize = 200;
/// The maximum length of a pattern, in characters.
pub const MAX_PATTERN_LENGTH: usize = 256;

/// A list of at least one name or glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Name(Tag),
    Glob { source: String, parts: Vec<Part> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Any number of characters, including none; never twice in a row.
    Any,
    /// Any one character.
    One,
    Literal(char),
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Why a list of patterns is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The list is empty.
    #[error("name at least one tag or pattern; * takes every tag")]
    Empty,
    /// The list has more than [`MAX_PATTERNS`].
    #[error("a list has at most {MAX_PATTERNS} patterns, not {count}")]
    TooMany { count: usize },
    /// A pattern is longer than [`MAX_PATTERN_LENGTH`].
    #[error(
        "the pattern “{}” has {length} characters; at most {MAX_PATTERN_LENGTH} are allowed",
        crate::rule::excerpt(pattern)
    )]
    TooLong {
        pattern: String,
        /// In characters.
        length: usize,
    },
    /// A `[` is not closed.
    #[error("in “{pattern}” a [ is not closed by a ]; a comma ends a pattern, inside brackets too")]
    Unclosed { pattern: String },
    /// The brackets are empty: `[]` or `[!]`.
    #[error("in “{pattern}” the brackets are empty; write the characters to choose from, as in [abc]")]
    EmptySet { pattern: String },
    /// The range is reversed.
    #[error("in “{pattern}” the range {from}-{to} is reversed; write {to}-{from}")]
    ReversedRange { pattern: String, from: char, to: char },
    /// The pattern has text that no tag contains, so it could never match.
    #[error("“{pattern}” matches no tag: {reason}")]
    Impossible { pattern: String, reason: String },
}

impl Patterns {
    /// Parses a comma-separated list. White space around patterns and empty entries are ignored.
    ///
    /// # Errors
    /// The first pattern that is malformed or could never match a tag.
    pub fn parse(list: &str) -> Result<Self, PatternError> {
        let items = || list.split(',').map(str::trim).filter(|item| !item.is_empty());
        match items().count() {
            0 => Err(PatternError::Empty),
            count if count > MAX_PATTERNS => Err(PatternError::TooMany { count }),
            _ => items().map(Pattern::parse).collect::<Result<_, _>>().map(Self),
        }
    }

    /// Whether a tag matches. Digest tags never do: they are copied with their subject.
    pub fn matches(&self, tag: &Tag) -> bool {
        !tag.is_digest_tag() && self.0.iter().any(|pattern| pattern.matches(tag))
    }

    /// The names, if the list has only plain names. The tags of the remote need not be listed then.
    pub fn plain_names(&self) -> Option<Vec<&Tag>> {
        self.0
            .iter()
            .map(|pattern| match pattern {
                Pattern::Name(tag) => Some(tag),
                Pattern::Glob { .. } => None,
            })
            .collect()
    }
}

impl Pattern {
    fn parse(source: &str) -> Result<Self, PatternError> {
        let pattern = || source.to_owned();
        let length = source.chars().count();
        if length > MAX_PATTERN_LENGTH {
            return Err(PatternError::TooLong { pattern: pattern(), length });
        }
        if !source.contains(['*', '?', '[']) {
            let reason = match Tag::from_str(source) {
                Ok(tag) if tag.is_digest_tag() => {
                    "it is the digest tag of another image and is copied with that image".to_owned()
                }
                Ok(tag) => return Ok(Self::Name(tag)),
                Err(error) => error.to_string(),
            };
            return Err(PatternError::Impossible { pattern: pattern(), reason });
        }
        let mut parts = Vec::new();
        let mut chars = source.chars();
        while let Some(char) = chars.next() {
            match char {
                '*' if parts.last() == Some(&Part::Any) => {}
                '*' => parts.push(Part::Any),
                '?' => parts.push(Part::One),
                '[' => {
                    let rest = chars.as_str();
                    let end = rest.find(']').ok_or_else(|| PatternError::Unclosed { pattern: pattern() })?;
                    parts.push(Part::set(source, &rest[..end])?);
                    chars = rest[end + 1..].chars();
                }
                literal if literal.is_ascii_alphanumeric() || "._-".contains(literal) => {
                    parts.push(Part::Literal(literal));
                }
                other => {
                    let reason = format!(
                        "no tag contains “{other}”, and a pattern supports only * ? [abc] and [!abc]"
                    );
                    return Err(PatternError::Impossible { pattern: pattern(), reason });
                }
            }
        }
        Ok(Self::Glob { source: pattern(), parts })
    }

    fn matches(&self, tag: &Tag) -> bool {
        match self {
            Self::Name(name) => name == tag,
            Self::Glob { parts, .. } => glob_matches(parts, tag.as_str()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Glob { source, .. } => source,
        }
    }
}

impl Part {
    /// Parses the text between brackets. A `-` at either end is literal.
    fn set(pattern: &str, inside: &str) -> Result<Self, PatternError> {
        let (negated, members) = match inside.strip_prefix('!') {
            Some(members) => (true, members),
            None => (false, inside),
        };
        if members.is_empty() {
            return Err(PatternError::EmptySet { pattern: pattern.to_owned() });
        }
        let members: Vec<char> = members.chars().collect();
        let mut ranges = Vec::new();
        let mut rest = members.as_slice();
        while let [from, after @ ..] = rest {
            if let ['-', to, after @ ..] = after {
                if from > to {
                    let (from, to) = (*from, *to);
                    return Err(PatternError::ReversedRange { pattern: pattern.to_owned(), from, to });
                }
                ranges.push((*from, *to));
                rest = after;
            } else {
                ranges.push((*from, *from));
                rest = after;
            }
        }
        Ok(Self::Set { negated, ranges })
    }

    fn takes(&self, char: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Literal(literal) => *literal == char,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&char)) != *negated
            }
        }
    }
}

/// Matches text and pattern from left to right. After a mismatch, it is enough to let the latest `*` match one more
/// character, since an earlier one could not do better. The work is therefore at most |text| × |pattern| steps.
fn glob_matches(parts: &[Part], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut part) = (0, 0);
    let mut latest_star: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                latest_star = Some((at, part));
                part += 1;
            }
            Some(one) if one.takes(text[at]) => {
                at += 1;
                part += 1;
            }
            _ => {
                let Some((taken, star)) = latest_star else { return false };
                latest_star = Some((taken + 1, star));
                (at, part) = (taken + 1, star + 1);
            }
        }
    }
    parts[part..].iter().all(|rest| *rest == Part::Any)
}

impl FromStr for Patterns {
    type Err = PatternError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        Self::parse(list)
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(pattern.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for Patterns {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(list: &str, tag: &str) -> bool {
        Patterns::parse(list).unwrap().matches(&tag.parse().unwrap())
    }

    fn refusal(list: &str) -> PatternError {
        Patterns::parse(list).unwrap_err()
    }

    #[test]
    fn the_examples_of_the_quay_manual_match() {
        let tags = ["v32", "v3.1", "v3.2", "v3.2-4beta", "v3.3"];
        let table: [(&str, &[&str]); 6] = [
            ("v3*", &["v32", "v3.1", "v3.2", "v3.2-4beta", "v3.3"]),
            ("v3.*", &["v3.1", "v3.2", "v3.2-4beta", "v3.3"]),
            ("v3.?", &["v3.1", "v3.2", "v3.3"]),
            ("v3.[12]", &["v3.1", "v3.2"]),
            ("v3.[12]*", &["v3.1", "v3.2", "v3.2-4beta"]),
            ("v3.[!1]*", &["v3.2", "v3.2-4beta", "v3.3"]),
        ];
        for (pattern, expected) in table {
            let taken: Vec<&str> = tags.into_iter().filter(|tag| takes(pattern, tag)).collect();
            assert_eq!(taken, expected, "{pattern}");
        }
    }

    #[test]
    fn a_list_matches_what_any_of_its_patterns_matches() {
        for tag in ["latest", "v1", "2.0-rc"] {
            assert!(takes(" latest , v?,,2.*", tag), "{tag}");
        }
        assert!(!takes("latest,v?", "v10"));
        assert!(!takes("latest", "Latest"));
    }

    #[test]
    fn ranges_and_negated_ranges_choose_characters() {
        assert!(takes("v[0-9a-c]", "vb") && !takes("v[0-9a-c]", "vd"));
        assert!(takes("v[!0-9]", "vx") && !takes("v[!0-9]", "v7"));
        assert!(takes("a[-z]", "a-") && takes("a[a-]", "a-"));
        assert!(takes("a[^b]", "ab") && !takes("a[^b]", "ac"), "^ is an ordinary character");
    }

    #[test]
    fn semantics_06_patterns_never_match_digest_tags() {
        let digest_tag = format!("sha256-{}", "0".repeat(64));
        assert!(!takes("*", &digest_tag));
        assert!(!takes("*", &format!("{digest_tag}.sig")));
        assert!(!takes("sha256-[0-9]*", &digest_tag));
        assert!(refusal(&digest_tag).to_string().contains("digest tag"));
    }

    #[test]
    fn a_list_of_plain_names_is_recognised() {
        let names = |list: &str| {
            let patterns = Patterns::parse(list).unwrap();
            patterns.plain_names().map(|tags| tags.into_iter().map(Tag::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names("1.0, latest"), Some(vec!["1.0".to_owned(), "latest".to_owned()]));
        assert_eq!(names("1.0, v*"), None);
    }

    #[test]
    fn the_error_says_what_is_wrong_with_a_pattern() {
        assert_eq!(refusal("").to_string(), "name at least one tag or pattern; * takes every tag");
        assert_eq!(refusal(" , ,"), PatternError::Empty);
        assert!(matches!(refusal("v1,a["), PatternError::Unclosed { pattern } if pattern == "a["));
        assert!(matches!(refusal("a[b,c]"), PatternError::Unclosed { pattern } if pattern == "a[b"));
        assert!(matches!(refusal("[]"), PatternError::EmptySet { .. }));
        assert!(matches!(refusal("x[!]"), PatternError::EmptySet { .. }));
        assert!(matches!(refusal("[z-a]"), PatternError::ReversedRange { from: 'z', to: 'a', .. }));
        assert!(matches!(refusal(&"a,".repeat(201)), PatternError::TooMany { count: 201 }));
        assert!(matches!(refusal(&"*a".repeat(129)), PatternError::TooLong { length: 258, .. }));
    }

    #[test]
    fn a_pattern_that_could_match_no_tag_is_rejected() {
        for impossible in ["v{1", "v{1}*", "v[0-9]+", "a b", ".hidden", &"a".repeat(129)] {
            assert!(matches!(refusal(impossible), PatternError::Impossible { .. }), "{impossible}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_matched_quickly() {
        let pattern = "*a".repeat(128);
        assert!(!takes(&pattern, &"a".repeat(127)));
        assert!(takes(&pattern, &"a".repeat(128)));
    }

    /// The simplest possible implementation of globs, which is slow.
    fn naive(parts: &[Part], text: &[char]) -> bool {
        match (parts, text) {
            ([], []) => true,
            ([Part::Any, rest @ ..], text) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            ([part, parts @ ..], [char, text @ ..]) => part.takes(*char) && naive(parts, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_the_naive_one(
            glob in r"([ab]|\*|\?|\[a\]|\[!a\]|\[a-c\]){0,8}\*",
            tag in "[a-d]{1,10}",
        ) {
            let Ok(Pattern::Glob { parts, .. }) = Pattern::parse(&glob) else { panic!("{glob} is a glob") };
            let text: Vec<char> = tag.chars().collect();
            prop_assert_eq!(glob_matches(&parts, &tag), naive(&parts, &text), "{} on {}", glob, tag);
        }

        #[test]
        fn any_text_is_parsed_or_rejected_without_panic(text in r"[-a*?\[\]!,ü{ ]{0,30}") {
            if let Ok(patterns) = Patterns::parse(&text) {
                let wire = serde_json::to_string(&patterns).unwrap();
                prop_assert_eq!(serde_json::from_str::<Patterns>(&wire).unwrap(), patterns);
            }
        }

        #[test]
        fn a_name_matches_itself(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,40}") {
            prop_assert!(takes(&tag, &tag));
        }
    }
}
