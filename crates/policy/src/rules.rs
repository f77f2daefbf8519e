//! The rules of a policy, validated as a whole, and how a stored list is read by a version that may not support all
//! of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rule::{RawRule, Rule, RuleError};

/// The maximum number of rules of a policy.
pub const MAX_RULES: usize = 50;

/// The condition of a policy: every tag, or tags for which all rules hold. It is sent and stored as the list of
/// rules; the empty list means *every tag*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// Every tag matches. This is chosen explicitly, never by leaving out rules.
    EveryTag,
    /// All of these must hold; never empty.
    All(Vec<Rule>),
}

/// Why a list of rules is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// There are no rules, and *every tag* was not chosen.
    #[error("a policy needs at least one rule; choose “every tag” to match all tags")]
    NoRules,
    /// There are more than [`MAX_RULES`].
    #[error("a policy takes at most {MAX_RULES} rules, not {count}")]
    TooMany { count: usize },
    /// A rule is invalid.
    #[error("rule {}: {source}", index + 1)]
    Rule {
        /// The position in the list, from 0.
        index: usize,
        source: RuleError,
    },
}

impl Rules {
    /// Validates a list of rules. An empty one means *every tag*, if the caller allows it.
    ///
    /// # Errors
    /// There are no rules or too many, or the first invalid rule with its index.
    pub fn parse(raw: Vec<RawRule>, every_tag_allowed: bool) -> Result<Self, RulesError> {
        match raw.len() {
            0 if every_tag_allowed => return Ok(Self::EveryTag),
            0 => return Err(RulesError::NoRules),
            count if count > MAX_RULES => return Err(RulesError::TooMany { count }),
            _ => {}
        }
        raw.into_iter()
            .enumerate()
            .map(|(index, raw)| Rule::parse(raw).map_err(|source| RulesError::Rule { index, source }))
            .collect::<Result<_, _>>()
            .map(Self::All)
    }

    /// The rules; empty for *every tag*.
    pub fn as_slice(&self) -> &[Rule] {
        match self {
            Self::EveryTag => &[],
            Self::All(rules) => rules,
        }
    }

    /// The rules in their REST form.
    pub fn to_raw(&self) -> Vec<RawRule> {
        self.as_slice().iter().map(RawRule::from).collect()
    }

    /// The rules as a sentence: "tag name ends with “stable” and tag name contains “1.”", or "every tag".
    pub fn describe(&self) -> String {
        match self {
            Self::EveryTag => "every tag".to_owned(),
            Self::All(rules) => rules.iter().map(Rule::describe).collect::<Vec<_>>().join(" and "),
        }
    }
}

impl Serialize for Rules {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_slice())
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Vec::<RawRule>::deserialize(deserializer)?;
        Self::parse(raw, true).map_err(serde::de::Error::custom)
    }
}

/// Stored rules. Reading them never fails: a list that this version does not support is kept unchanged, and its
/// policy stops with an error instead of guessing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredRules {
    /// Supported entirely.
    Readable(Rules),
    /// Not supported; matches nothing.
    Unreadable {
        /// As stored.
        raw: Value,
        /// Why it cannot be read.
        reason: String,
    },
}

impl StoredRules {
    /// Reads the stored JSON.
    pub fn from_json(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(value) => Self::from_value(value),
            Err(error) => Self::Unreadable {
                raw: Value::String(text.to_owned()),
                reason: format!("the stored rules are not JSON: {error}"),
            },
        }
    }

    fn from_value(raw: Value) -> Self {
        match Vec::<RawRule>::deserialize(&raw) {
            Ok(rules) => match Rules::parse(rules, true) {
                Ok(rules) => Self::Readable(rules),
                Err(error) => Self::Unreadable { raw, reason: error.to_string() },
            },
            Err(error) => {
                Self::Unreadable { raw, reason: format!("the stored rules have an unknown form: {error}") }
            }
        }
    }

    /// The rules, if this version supports them.
    pub const fn readable(&self) -> Option<&Rules> {
        match self {
            Self::Readable(rules) => Some(rules),
            Self::Unreadable { .. } => None,
        }
    }

    /// The rules as a sentence, or why they cannot be read.
    pub fn describe(&self) -> String {
        match self {
            Self::Readable(rules) => rules.describe(),
            Self::Unreadable { reason, .. } => format!("unreadable rules ({reason})"),
        }
    }
}

impl From<Rules> for StoredRules {
    fn from(rules: Rules) -> Self {
        Self::Readable(rules)
    }
}

impl Serialize for StoredRules {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Readable(rules) => rules.serialize(serializer),
            Self::Unreadable { raw, .. } => raw.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for StoredRules {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TWO: &str = r#"[{"field":"tag","operator":"ew","values":["stable"]},{"field":"tag","operator":"c","values":["1."]}]"#;

    #[test]
    fn semantics_10_no_rules_are_rejected_unless_every_tag_is_chosen() {
        assert_eq!(Rules::parse(Vec::new(), false), Err(RulesError::NoRules));
        assert_eq!(Rules::parse(Vec::new(), true), Ok(Rules::EveryTag));
        assert_eq!(serde_json::to_string(&Rules::EveryTag).unwrap(), "[]");
    }

    #[test]
    fn an_error_names_its_rule() {
        let mut raw: Vec<RawRule> = serde_json::from_str(TWO).unwrap();
        raw[1].values.clear();
        let error = Rules::parse(raw, false).unwrap_err();
        assert!(matches!(error, RulesError::Rule { index: 1, source: RuleError::NoValue { .. } }));
        assert_eq!(error.to_string(), "rule 2: a rule with “contains” needs a value");
    }

    #[test]
    fn more_than_fifty_rules_are_rejected() {
        let raw: Vec<RawRule> = serde_json::from_str(TWO).unwrap();
        let many = std::iter::repeat_n(raw[0].clone(), 51).collect();
        assert_eq!(Rules::parse(many, false), Err(RulesError::TooMany { count: 51 }));
    }

    #[test]
    fn rules_are_described_as_one_sentence() {
        let rules: Rules = serde_json::from_str(TWO).unwrap();
        assert_eq!(rules.describe(), "tag name ends with “stable” and tag name contains “1.”");
        assert_eq!(Rules::EveryTag.describe(), "every tag");
        assert_eq!(serde_json::to_string(&rules).unwrap(), TWO);
    }

    #[test]
    fn semantics_10_a_stored_list_that_this_version_cannot_read_is_kept_with_the_reason() {
        let later = r#"[{"field":"moon_phase","operator":"eq","values":["full"]}]"#;
        let stored = StoredRules::from_json(later);
        assert!(stored.readable().is_none());
        assert!(stored.describe().contains("“moon_phase” is not a field of a rule"), "{}", stored.describe());
        assert_eq!(serde_json::to_string(&stored).unwrap(), later);
        for broken in ["{", "{}", r#"[{"field":"tag"}]"#, "7"] {
            assert!(StoredRules::from_json(broken).readable().is_none(), "{broken}");
        }
        let back: StoredRules = serde_json::from_str(TWO).unwrap();
        assert_eq!(back.readable().unwrap().as_slice().len(), 2);
    }
}
