//! The regular expressions of the operator *matches*: regex-lite on both server and browser, because the full engine
//! would add 285 kB to every page. Unsupported constructs are rejected when a rule is saved.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

/// The maximum length of a regular expression, in bytes.
pub const MAX_REGEX_LENGTH: usize = 1024;

/// The maximum size of the compiled program in bytes, which limits repetitions such as `(a{500}){500}`.
const COMPILED_LIMIT: usize = 1 << 20;

/// A compiled regular expression that may match anywhere in a tag's name. Two are equal if their texts are.
#[derive(Clone)]
pub struct TagRegex(Regex);

/// Why a regular expression is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// It is longer than [`MAX_REGEX_LENGTH`].
    #[error("the regular expression has {bytes} bytes; at most {MAX_REGEX_LENGTH} are allowed")]
    TooLong { bytes: usize },
    /// It is malformed, or uses a construct that the matcher does not support.
    #[error("“{pattern}” is not a valid regular expression: {reason}")]
    Invalid {
        pattern: String,
        /// The reason, which names the construct.
        reason: String,
    },
}

impl TagRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// It is too long, malformed, or uses a construct that the matcher does not support.
    pub fn parse(pattern: &str) -> Result<Self, RegexError> {
        if pattern.len() > MAX_REGEX_LENGTH {
            return Err(RegexError::TooLong { bytes: pattern.len() });
        }
        RegexBuilder::new(pattern).size_limit(COMPILED_LIMIT).build().map(Self).map_err(|error| {
            let mut reason = error.to_string();
            if let Some(construct) = unsupported_construct(pattern, &reason) {
                reason = format!("{reason} (found “{construct}”)");
            }
            RegexError::Invalid { pattern: pattern.to_owned(), reason }
        })
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// The first unsupported construct. The compiler reports only its kind, not its position.
fn unsupported_construct<'p>(pattern: &'p str, reason: &str) -> Option<&'p str> {
    let starts: &[&str] = if reason.contains("Unicode character classes") {
        &[r"\p", r"\P"]
    } else if reason.contains("look-around") {
        &["(?=", "(?!", "(?<=", "(?<!"]
    } else {
        return None;
    };
    let at = starts.iter().filter_map(|start| pattern.find(start)).min()?;
    let rest = &pattern[at..];
    let end = rest.find(['}', ')']).map_or(rest.len(), |end| end + 1);
    Some(&rest[..end])
}

impl fmt::Debug for TagRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagRegex({:?})", self.as_str())
    }
}

impl PartialEq for TagRegex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TagRegex {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reason(pattern: &str) -> String {
        TagRegex::parse(pattern).unwrap_err().to_string()
    }

    #[test]
    fn an_expression_matches_anywhere_unless_anchored() {
        assert!(TagRegex::parse("stable").unwrap().is_match("1.0-stable-2"));
        assert!(!TagRegex::parse("^stable").unwrap().is_match("1.0-stable"));
        assert!(TagRegex::parse(r"^v\d+\.\d+$").unwrap().is_match("v1.24"));
    }

    #[test]
    fn the_error_names_an_unsupported_construct() {
        assert!(reason(r"^\p{L}+$").contains(r"Unicode character classes are not supported (found “\p{L}”)"));
        assert!(reason(r"a(?!b)").contains("look-around is not supported (found “(?!b)”)"));
        assert!(reason(r"(a)\1").contains("backreferences are not supported"));
        assert!(reason("[a&&b]").contains("character class intersection"));
    }

    #[test]
    fn the_error_says_why_an_expression_is_malformed() {
        assert!(reason("(a").contains("open group without closing"));
        assert!(reason("[z-a]").contains("invalid range"));
    }

    #[test]
    fn an_expression_that_expands_too_far_is_rejected() {
        assert!(TagRegex::parse("((a{500}){500}){500}").is_err());
        assert_eq!(TagRegex::parse(&"a".repeat(1025)), Err(RegexError::TooLong { bytes: 1025 }));
    }
}
