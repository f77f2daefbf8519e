//! The list of rules of a policy, validated as a whole, and how a stored list is read back by a version that
//! may not know all of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rule::{RawRule, Rule, RuleError};

/// The most rules a policy may have.
pub const MAX_RULES: usize = 50;

/// What a policy asks of a tag: nothing, or that all its rules hold. On the wire and at rest it is the list
/// of rules, and the empty list is *every tag*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// Every tag matches; chosen explicitly, never by leaving rules out.
    EveryTag,
    /// All of these must hold; never empty.
    All(Vec<Rule>),
}

/// Why a list of rules was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// No rules, and *every tag* was not chosen.
    #[error("a policy needs at least one rule; choose “every tag” to take all of them")]
    NoRules,
    /// More than [`MAX_RULES`].
    #[error("a policy takes at most {MAX_RULES} rules, not {count}")]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// One rule is wrong.
    #[error("rule {}: {source}", index + 1)]
    Rule {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: RuleError,
    },
}

impl Rules {
    /// Checks a list of rules. An empty one means *every tag*, where the caller accepts that choice.
    ///
    /// # Errors
    /// No rules, too many, or the first wrong one with its index.
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

    /// The rules in their wire form.
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

/// Rules as they were found in storage. Reading them never fails: a list that this version does not
/// understand is kept as it is, and its policy is disabled loudly instead of being guessed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredRules {
    /// Understood entirely.
    Readable(Rules),
    /// Not understood; acts on nothing.
    Unreadable {
        /// What is stored, unchanged.
        raw: Value,
        /// Why it cannot be read.
        reason: String,
    },
}

impl StoredRules {
    /// Reads the stored JSON text.
    pub fn from_json(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(value) => Self::from_value(value),
            Err(error) => Self::Unreadable {
                raw: Value::String(text.to_owned()),
                reason: format!("the stored rules are no JSON: {error}"),
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

    /// The rules, if this version understands them.
    pub const fn readable(&self) -> Option<&Rules> {
        match self {
            Self::Readable(rules) => Some(rules),
            Self::Unreadable { .. } => None,
        }
    }

    /// The rules as a sentence, or why there is none.
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
    fn semantics_10_no_rules_are_refused_unless_every_tag_is_chosen() {
        assert_eq!(Rules::parse(Vec::new(), false), Err(RulesError::NoRules));
        assert_eq!(Rules::parse(Vec::new(), true), Ok(Rules::EveryTag));
        assert_eq!(serde_json::to_string(&Rules::EveryTag).unwrap(), "[]");
    }

    #[test]
    fn an_error_names_the_rule_it_is_about() {
        let mut raw: Vec<RawRule> = serde_json::from_str(TWO).unwrap();
        raw[1].values.clear();
        let error = Rules::parse(raw, false).unwrap_err();
        assert!(matches!(error, RulesError::Rule { index: 1, source: RuleError::NoValue { .. } }));
        assert_eq!(error.to_string(), "rule 2: a rule with “contains” needs a value");
    }

    #[test]
    fn fifty_rules_are_enough() {
        let raw: Vec<RawRule> = serde_json::from_str(TWO).unwrap();
        let many = std::iter::repeat_n(raw[0].clone(), 51).collect();
        assert_eq!(Rules::parse(many, false), Err(RulesError::TooMany { count: 51 }));
    }

    #[test]
    fn rules_read_as_one_sentence() {
        let rules: Rules = serde_json::from_str(TWO).unwrap();
        assert_eq!(rules.describe(), "tag name ends with “stable” and tag name contains “1.”");
        assert_eq!(Rules::EveryTag.describe(), "every tag");
        assert_eq!(serde_json::to_string(&rules).unwrap(), TWO);
    }

    #[test]
    fn semantics_10_a_stored_list_that_this_version_cannot_read_is_kept_and_says_why() {
        let later = r#"[{"field":"moon_phase","operator":"eq","values":["full"]}]"#;
        let stored = StoredRules::from_json(later);
        assert!(stored.readable().is_none());
        assert!(stored.describe().contains("“moon_phase” is no field of a rule"), "{}", stored.describe());
        assert_eq!(serde_json::to_string(&stored).unwrap(), later);
        for broken in ["{", "{}", r#"[{"field":"tag"}]"#, "7"] {
            assert!(StoredRules::from_json(broken).readable().is_none(), "{broken}");
        }
        let back: StoredRules = serde_json::from_str(TWO).unwrap();
        assert_eq!(back.readable().unwrap().as_slice().len(), 2);
    }
}
