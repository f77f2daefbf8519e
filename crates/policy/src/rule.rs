//! One rule of a policy: its REST form, its validated form, and its result for given facts. Lists of rules are in
//! `rules`, the verdict on them in `decide`.

use serde::{Deserialize, Serialize};

use crate::{
    decide::{Finding, Standing},
    field::{self, Facts, Field},
    kind::{Operator, Test, ValueError},
};

/// The maximum length of a value, in characters (regular expressions have their own limit).
pub const MAX_VALUE_LENGTH: usize = 255;
/// The maximum number of values of *is one of* and *is not one of*.
pub const MAX_VALUES: usize = 100;

/// A rule as sent and stored: `{"field":"tag","operator":"ew","values":["stable"]}`.
///
/// Unknown members are rejected: a rule that is only half understood would promote too much.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// The name of a [`Field`].
    pub field: String,
    /// The name of an [`Operator`].
    pub operator: String,
    /// The values to compare with.
    pub values: Vec<String>,
}

/// A valid rule.
#[derive(Debug, Clone)]
pub struct Rule {
    field: &'static Field,
    operator: Operator,
    /// As they were written, and as they are stored.
    values: Vec<String>,
    /// The test that the operator makes of the values.
    test: Test,
}

/// The test follows from the other members.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        (self.field, self.operator, &self.values) == (other.field, other.operator, &other.values)
    }
}

impl Eq for Rule {}

/// The member of a rule that an error concerns, so that the error can be shown next to it.
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

/// Why a rule is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The field is planned; it is rejected rather than ignored.
    #[error("rules on “{field}” are not supported yet; supported: {}", field::codes())]
    FieldNotSupportedYet { field: &'static str },
    /// The field does not exist.
    #[error("“{field}” is not a field of a rule; supported: {}", field::codes())]
    UnknownField { field: String },
    /// The operator does not exist, or does not fit the kind of value.
    #[error("“{operator}” cannot be used with {}; use one of {}", field.label(), operators_of(field))]
    OperatorDoesNotFit { operator: String, field: &'static Field },
    /// There is no value.
    #[error("a rule with “{}” needs a value", operator.label())]
    NoValue { operator: Operator },
    /// There are several values for an operator that takes one.
    #[error("“{}” takes one value, not {count}; to list several use “is one of”", operator.label())]
    SeveralValues { operator: Operator, count: usize },
    /// There are more than [`MAX_VALUES`].
    #[error("a rule takes at most {MAX_VALUES} values, not {count}")]
    TooManyValues { count: usize },
    /// A value is empty, so every tag or no tag would match.
    #[error("value {position} is empty")]
    EmptyValue {
        /// The position in the list, from 1.
        position: usize,
    },
    /// A value is longer than [`MAX_VALUE_LENGTH`].
    #[error("value {position} has {length} characters; at most {MAX_VALUE_LENGTH} are allowed")]
    ValueTooLong {
        /// The position in the list, from 1.
        position: usize,
        /// In characters.
        length: usize,
    },
    /// A value does not fit the kind of the field.
    #[error(transparent)]
    Value(#[from] ValueError),
}

impl RuleError {
    /// The invalid member of the rule.
    pub const fn part(&self) -> RulePart {
        match self {
            Self::FieldNotSupportedYet { .. } | Self::UnknownField { .. } => RulePart::Field,
            Self::OperatorDoesNotFit { .. } => RulePart::Operator,
            Self::NoValue { .. }
            | Self::SeveralValues { .. }
            | Self::TooManyValues { .. }
            | Self::EmptyValue { .. }
            | Self::ValueTooLong { .. }
            | Self::Value(_) => RulePart::Values,
        }
    }
}

fn operators_of(field: &Field) -> String {
    let named = |operator: Operator| format!("{} ({})", operator.code(), operator.label());
    field.operators().into_iter().map(named).collect::<Vec<_>>().join(", ")
}

/// At most 60 characters of a text, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Rule {
    /// Validates a rule.
    ///
    /// # Errors
    /// The first invalid member; [`RuleError::part`] says which.
    pub fn parse(raw: RawRule) -> Result<Self, RuleError> {
        let RawRule { field, operator, values } = raw;
        let field = Field::parse(&field)?;
        let (operator, test) = field
            .reads()
            .test(&operator, &values)
            .ok_or_else(|| RuleError::OperatorDoesNotFit { operator: excerpt(&operator), field })??;
        Ok(Self { field, operator, values, test })
    }

    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// The rule as a sentence: "tag name ends with “stable”".
    pub fn describe(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|value| format!("“{value}”")).collect();
        format!("{} {} {}", self.field.label(), self.operator.label(), values.join(", "))
    }

    /// Evaluates the rule for `facts`.
    pub fn check(&self, facts: &Facts) -> Finding {
        let (standing, found) = match (self.test.run(facts), self.field.awaits(facts)) {
            (Some((true, value)), _) => (Standing::Holds, value),
            (Some((false, value)), _) => (Standing::Fails, value),
            (None, awaited @ Some(_)) => (Standing::Absent(awaited), "not known yet".to_owned()),
            (None, None) => (Standing::Absent(None), "not known".to_owned()),
        };
        Finding { standing, found: self.field.found(&found) }
    }
}

impl From<&Rule> for RawRule {
    fn from(rule: &Rule) -> Self {
        Self {
            field: rule.field.code().to_owned(),
            operator: rule.operator.code().to_owned(),
            values: rule.values.clone(),
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
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        decide::WaitingFor,
        field::{SCANNED, ScanState},
    };

    fn parse(field: &str, operator: &str, values: &[&str]) -> Result<Rule, RuleError> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Rule::parse(RawRule { field: field.to_owned(), operator: operator.to_owned(), values })
    }

    fn holds(operator: &str, values: &[&str], tag: &str) -> bool {
        let facts = Facts::new(tag.parse().unwrap(), Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        parse("tag", operator, values).unwrap().check(&facts).standing == Standing::Holds
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
    fn semantics_10_a_planned_field_and_an_unknown_one_are_rejected_with_different_errors() {
        let supported = field::codes();
        assert!(supported.starts_with("tag"), "{supported}");
        for planned in field::TO_COME {
            let later = parse(planned, "lte", &["0"]).unwrap_err();
            let expected = format!("rules on “{planned}” are not supported yet; supported: {supported}");
            assert_eq!((later.to_string(), later.part()), (expected, RulePart::Field));
        }
        let unknown = parse("colour", "eq", &["red"]).unwrap_err();
        let expected = format!("“colour” is not a field of a rule; supported: {supported}");
        assert_eq!(unknown.to_string(), expected);
    }

    #[test]
    fn semantics_10_an_unknown_operator_is_rejected_and_the_known_ones_are_listed() {
        let error = parse("tag", "gte", &["1"]).unwrap_err();
        assert_eq!(error.part(), RulePart::Operator);
        assert!(error.to_string().contains("ew (ends with)"), "{error}");
        assert!(
            error.to_string().starts_with("“gte” cannot be used with tag name; use one of eq"),
            "{error}"
        );
    }

    #[test]
    fn semantics_32_a_rule_waits_only_for_an_expected_scan() {
        let values = ["good".to_owned()];
        let (operator, test) = SCANNED.reads().test("eq", &values).unwrap().unwrap();
        let rule = Rule { field: &SCANNED, operator, values: values.to_vec(), test };
        let mut facts = Facts::new("1.0".parse().unwrap(), Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let absent =
            Finding { standing: Standing::Absent(None), found: "the scan result is not known".to_owned() };
        assert_eq!(rule.check(&facts), absent);
        facts.scan = ScanState::Awaited;
        let awaited = Finding {
            standing: Standing::Absent(Some(WaitingFor::Scan)),
            found: "the scan result is not known yet".to_owned(),
        };
        assert_eq!(rule.check(&facts), awaited);
    }

    #[test]
    fn semantics_10_unknown_members_of_a_rule_are_rejected() {
        let wire = r#"{"field":"tag","operator":"ew","values":["stable"],"negate":true}"#;
        assert!(serde_json::from_str::<Rule>(wire).unwrap_err().to_string().contains("negate"));
    }

    #[test]
    fn the_number_and_the_length_of_values_are_limited() {
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
    fn a_rule_is_described_as_a_sentence_and_read_as_it_is_written() {
        let wire = r#"{"field":"tag","operator":"noo","values":["latest","edge"]}"#;
        let rule: Rule = serde_json::from_str(wire).unwrap();
        assert_eq!(rule.describe(), "tag name is not one of “latest”, “edge”");
        assert_eq!(serde_json::to_string(&rule).unwrap(), wire);
    }
}
