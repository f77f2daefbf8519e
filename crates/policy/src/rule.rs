//! One rule of a policy: its wire form, its validated form, and what it says of given facts. Lists of rules
//! are in `rules`, the verdict over them in `decide`.

use serde::{Deserialize, Serialize};

use crate::decide::{Facts, Finding, Standing};
use crate::operator::{Field, Operator};
use crate::regex::{RegexError, TagRegex};

/// The longest value of a rule, in characters (regular expressions have a limit of their own).
pub const MAX_VALUE_LENGTH: usize = 255;
/// The most values that *is one of* and *is not one of* take.
pub const MAX_VALUES: usize = 100;

/// A rule as it travels and is stored: `{"field":"tag","operator":"ew","values":["stable"]}`.
///
/// Unknown members are refused: a rule that is only half understood would promote what it should not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// What to look at, see [`Field`].
    pub field: String,
    /// How to compare, see [`Operator`].
    pub operator: String,
    /// What to compare with.
    pub values: Vec<String>,
}

/// A valid rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Asks about the tag's name.
    Tag(TextTest),
}

/// A comparison of a text with values that are known to be usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTest(Test);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    IsOneOf(Vec<String>),
    IsNotOneOf(Vec<String>),
    Matches(TagRegex),
}

/// The member of a rule that an error is about, to show the error beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulePart {
    /// `field`
    Field,
    /// `operator`
    Operator,
    /// `values`
    Values,
}

/// Why a rule was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A field that is known and planned; refused rather than ignored.
    #[error("rules on “{field}” are not supported yet; supported: {}", field_codes())]
    FieldNotSupportedYet {
        /// Its wire spelling.
        field: &'static str,
    },
    /// No such field.
    #[error("“{field}” is no field of a rule; supported: {}", field_codes())]
    UnknownField {
        /// What was given.
        field: String,
    },
    /// No such operator, or not one that tag names have.
    #[error("“{operator}” is no operator for a tag name; use one of {}", operator_codes())]
    UnknownOperator {
        /// What was given.
        operator: String,
    },
    /// A rule needs a value.
    #[error("a rule with “{}” needs a value", operator.label())]
    NoValue {
        /// The rule's operator.
        operator: Operator,
    },
    /// Several values for an operator that compares with one.
    #[error("“{}” takes one value, not {count}; to list several use “is one of”", operator.label())]
    SeveralValues {
        /// The rule's operator.
        operator: Operator,
        /// How many were given.
        count: usize,
    },
    /// More than [`MAX_VALUES`].
    #[error("a rule takes at most {MAX_VALUES} values, not {count}")]
    TooManyValues {
        /// How many were given.
        count: usize,
    },
    /// An empty value, which every tag or none would match.
    #[error("value {position} is empty")]
    EmptyValue {
        /// Its place in the list, from 1.
        position: usize,
    },
    /// Longer than [`MAX_VALUE_LENGTH`].
    #[error("value {position} has {length} characters; at most {MAX_VALUE_LENGTH} are allowed")]
    ValueTooLong {
        /// Its place in the list, from 1.
        position: usize,
        /// Its length in characters.
        length: usize,
    },
    /// A regular expression that cannot be used.
    #[error(transparent)]
    Regex(#[from] RegexError),
}

impl RuleError {
    /// The member of the rule that is wrong.
    pub const fn part(&self) -> RulePart {
        match self {
            Self::FieldNotSupportedYet { .. } | Self::UnknownField { .. } => RulePart::Field,
            Self::UnknownOperator { .. } => RulePart::Operator,
            Self::NoValue { .. }
            | Self::SeveralValues { .. }
            | Self::TooManyValues { .. }
            | Self::EmptyValue { .. }
            | Self::ValueTooLong { .. }
            | Self::Regex(_) => RulePart::Values,
        }
    }
}

fn field_codes() -> String {
    Field::ALL.map(Field::code).join(", ")
}

fn operator_codes() -> String {
    Operator::ALL.map(|operator| format!("{} ({})", operator.code(), operator.label())).join(", ")
}

/// At most 60 characters of what somebody sent, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Rule {
    /// Checks a rule as it came.
    ///
    /// # Errors
    /// The first member that cannot be used; [`RuleError::part`] says which.
    pub fn parse(raw: RawRule) -> Result<Self, RuleError> {
        let RawRule { field, operator, values } = raw;
        match Field::parse(&field)? {
            Field::Tag => Ok(Self::Tag(TextTest::new(Operator::parse(&operator)?, values)?)),
        }
    }

    /// What the rule looks at.
    pub const fn field(&self) -> Field {
        match self {
            Self::Tag(_) => Field::Tag,
        }
    }

    /// How it compares.
    pub const fn operator(&self) -> Operator {
        let Self::Tag(test) = self;
        test.operator()
    }

    /// What it compares with.
    pub fn values(&self) -> Vec<&str> {
        let Self::Tag(test) = self;
        test.values()
    }

    /// The rule as a sentence: "tag name ends with “stable”".
    pub fn describe(&self) -> String {
        let values: Vec<String> = self.values().iter().map(|value| format!("“{value}”")).collect();
        format!("{} {} {}", self.field().label(), self.operator().label(), values.join(", "))
    }

    /// What the rule says of `facts`.
    pub fn check(&self, facts: &Facts<'_>) -> Finding {
        match self {
            Self::Tag(test) => {
                let tag = facts.tag.as_str();
                let standing = if test.holds(tag) { Standing::Holds } else { Standing::Fails };
                Finding { standing, found: format!("the tag is “{tag}”") }
            }
        }
    }
}

impl TextTest {
    fn new(operator: Operator, values: Vec<String>) -> Result<Self, RuleError> {
        if values.is_empty() {
            return Err(RuleError::NoValue { operator });
        }
        if values.len() > MAX_VALUES {
            return Err(RuleError::TooManyValues { count: values.len() });
        }
        if !operator.takes_several_values() && values.len() > 1 {
            return Err(RuleError::SeveralValues { operator, count: values.len() });
        }
        for (index, value) in values.iter().enumerate() {
            let position = index + 1;
            if value.is_empty() {
                return Err(RuleError::EmptyValue { position });
            }
            let length = value.chars().count();
            if operator != Operator::Matches && length > MAX_VALUE_LENGTH {
                return Err(RuleError::ValueTooLong { position, length });
            }
        }
        let only = |values: Vec<String>| values.into_iter().next().expect("one value was counted above");
        Ok(Self(match operator {
            Operator::Equals => Test::Equals(only(values)),
            Operator::StartsWith => Test::StartsWith(only(values)),
            Operator::EndsWith => Test::EndsWith(only(values)),
            Operator::Contains => Test::Contains(only(values)),
            Operator::IsOneOf => Test::IsOneOf(values),
            Operator::IsNotOneOf => Test::IsNotOneOf(values),
            Operator::Matches => Test::Matches(TagRegex::parse(&only(values))?),
        }))
    }

    const fn operator(&self) -> Operator {
        match self.0 {
            Test::Equals(_) => Operator::Equals,
            Test::StartsWith(_) => Operator::StartsWith,
            Test::EndsWith(_) => Operator::EndsWith,
            Test::Contains(_) => Operator::Contains,
            Test::IsOneOf(_) => Operator::IsOneOf,
            Test::IsNotOneOf(_) => Operator::IsNotOneOf,
            Test::Matches(_) => Operator::Matches,
        }
    }

    fn values(&self) -> Vec<&str> {
        match &self.0 {
            Test::Equals(value) | Test::StartsWith(value) | Test::EndsWith(value) | Test::Contains(value) => {
                vec![value]
            }
            Test::IsOneOf(values) | Test::IsNotOneOf(values) => values.iter().map(String::as_str).collect(),
            Test::Matches(regex) => vec![regex.as_str()],
        }
    }

    fn holds(&self, text: &str) -> bool {
        match &self.0 {
            Test::Equals(value) => text == value,
            Test::StartsWith(value) => text.starts_with(value.as_str()),
            Test::EndsWith(value) => text.ends_with(value.as_str()),
            Test::Contains(value) => text.contains(value.as_str()),
            Test::IsOneOf(values) => values.iter().any(|value| value == text),
            Test::IsNotOneOf(values) => values.iter().all(|value| value != text),
            Test::Matches(regex) => regex.is_match(text),
        }
    }
}

impl From<&Rule> for RawRule {
    fn from(rule: &Rule) -> Self {
        Self {
            field: rule.field().code().to_owned(),
            operator: rule.operator().code().to_owned(),
            values: rule.values().into_iter().map(str::to_owned).collect(),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawRule::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(RawRule::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(field: &str, operator: &str, values: &[&str]) -> Result<Rule, RuleError> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Rule::parse(RawRule { field: field.to_owned(), operator: operator.to_owned(), values })
    }

    fn holds(operator: &str, values: &[&str], tag: &str) -> bool {
        let tag = tag.parse().unwrap();
        parse("tag", operator, values).unwrap().check(&Facts::of_tag(&tag)).standing == Standing::Holds
    }

    #[test]
    fn every_operator_compares_as_its_name_says() {
        assert!(holds("eq", &["1.0"], "1.0") && !holds("eq", &["1.0"], "1.0-rc"));
        assert!(holds("sw", &["1."], "1.0") && !holds("sw", &["1."], "2.1."));
        assert!(holds("ew", &["stable"], "1.0-stable") && !holds("ew", &["stable"], "stable-1"));
        assert!(holds("c", &["rc"], "1.0-rc1") && !holds("c", &["rc"], "1.0"));
        assert!(holds("oo", &["a", "b"], "b") && !holds("oo", &["a", "b"], "ab"));
        assert!(holds("noo", &["a", "b"], "c") && !holds("noo", &["a", "b"], "b"));
        assert!(holds("m", &[r"^\d+$"], "2024") && !holds("m", &[r"^\d+$"], "v2024"));
    }

    #[test]
    fn semantics_11_tag_names_are_compared_case_sensitively() {
        assert!(!holds("ew", &["stable"], "1.0-STABLE"));
        assert!(!holds("oo", &["Latest"], "latest"));
    }

    #[test]
    fn semantics_10_a_field_to_come_is_refused_by_name_and_an_unknown_one_is_called_unknown() {
        let later = parse("vulnerability_critical", "lte", &["0"]).unwrap_err();
        assert_eq!(
            later.to_string(),
            "rules on “vulnerability_critical” are not supported yet; supported: tag"
        );
        assert_eq!(later.part(), RulePart::Field);
        let unknown = parse("colour", "eq", &["red"]).unwrap_err();
        assert_eq!(unknown.to_string(), "“colour” is no field of a rule; supported: tag");
    }

    #[test]
    fn semantics_10_an_unknown_operator_is_refused_with_the_known_ones() {
        let error = parse("tag", "gte", &["1"]).unwrap_err();
        assert_eq!(error.part(), RulePart::Operator);
        assert!(error.to_string().contains("ew (ends with)"), "{error}");
    }

    #[test]
    fn semantics_10_tolerance_for_unknown_members_never_reaches_inside_a_rule() {
        let wire = r#"{"field":"tag","operator":"ew","values":["stable"],"negate":true}"#;
        assert!(serde_json::from_str::<Rule>(wire).unwrap_err().to_string().contains("negate"));
    }

    #[test]
    fn values_are_counted_and_measured() {
        assert_eq!(parse("tag", "eq", &[]), Err(RuleError::NoValue { operator: Operator::Equals }));
        assert_eq!(
            parse("tag", "eq", &["a", "b"]),
            Err(RuleError::SeveralValues { operator: Operator::Equals, count: 2 })
        );
        assert_eq!(parse("tag", "oo", &["a", ""]), Err(RuleError::EmptyValue { position: 2 }));
        assert_eq!(parse("tag", "oo", &["a"; 101]), Err(RuleError::TooManyValues { count: 101 }));
        let long = "a".repeat(256);
        assert_eq!(parse("tag", "c", &[&long]), Err(RuleError::ValueTooLong { position: 1, length: 256 }));
        assert_eq!(parse("tag", "m", &["("]).unwrap_err().part(), RulePart::Values);
    }

    #[test]
    fn a_rule_reads_as_a_sentence_and_travels_unchanged() {
        let wire = r#"{"field":"tag","operator":"noo","values":["latest","edge"]}"#;
        let rule: Rule = serde_json::from_str(wire).unwrap();
        assert_eq!(rule.describe(), "tag name is not one of “latest”, “edge”");
        assert_eq!(serde_json::to_string(&rule).unwrap(), wire);
    }
}
