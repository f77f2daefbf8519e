//! The facts of a tag, and the fields that rules compare. [`FIELDS`] has a row for each field, which the parser, the
//! sentences, the dialogs and the description of the REST API use. `kind` defines how values are compared.

use jiff::Timestamp;
use longshore_oci::Tag;
use serde::{Deserialize, Serialize};

use crate::{
    decide::WaitingFor,
    kind::{Operator, Reads},
    rule::{RuleError, excerpt},
};

/// The facts of a tag that a policy decides on, on the server and in the browser. The database gathers them. A fact
/// that may be absent is an `Option`; an absent fact satisfies no rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facts {
    pub tag: Tag,
    pub updated_at: Timestamp,
    /// When the facts were gathered, by the server's clock. The age of a tag is measured at this time.
    pub at: Timestamp,
    /// Whether facts that only a scan finds may still arrive.
    pub scan: ScanState,
}

/// Whether the image of a tag will be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanState {
    /// It will not be scanned.
    #[default]
    NotExpected,
    /// The report is expected.
    Awaited,
}

impl Facts {
    /// The facts that every tag has.
    pub const fn new(tag: Tag, updated_at: Timestamp, at: Timestamp) -> Self {
        Self { tag, updated_at, at, scan: ScanState::NotExpected }
    }
}

/// A field that rules can compare.
#[derive(Debug)]
pub struct Field {
    /// The name in REST.
    code: &'static str,
    /// The beginning of a rule as a sentence.
    label: &'static str,
    /// The beginning of a sentence that ends with the value.
    found: &'static str,
    /// Values that are valid with each of its operators.
    examples: [&'static str; 2],
    /// Whether only a scan finds the value, so that an absent value may still arrive.
    needs_scan: bool,
    reads: Reads,
}

/// Every field, in the order in which dialogs offer them.
pub static FIELDS: &[Field] = &[Field {
    code: "tag",
    label: "tag name",
    found: "the tag is",
    examples: ["stable", "beta"],
    needs_scan: false,
    reads: Reads::Text(|facts| Some(facts.tag.as_str())),
}];

/// Fields of DTR and planned fields. They are rejected with an error of their own, so that nobody believes that such
/// a rule works.
pub(crate) const TO_COME: &[&str] = &[
    "component.name",
    "package.name",
    "license.name",
    "vulnerability_all",
    "vulnerability_critical",
    "vulnerability_major",
    "vulnerability_minor",
    "vulnerability_unknown",
    "updated_at",
    "updated_at_duration",
    "semver",
    "platform",
    "age",
    "signed_by",
];

impl Field {
    /// Finds the field with a REST name.
    ///
    /// # Errors
    /// Distinguishes a field that is planned but not supported yet from an unknown one.
    pub fn parse(code: &str) -> Result<&'static Self, RuleError> {
        if let Some(field) = FIELDS.iter().find(|field| field.code == code) {
            return Ok(field);
        }
        Err(match TO_COME.iter().find(|known| **known == code) {
            Some(field) => RuleError::FieldNotSupportedYet { field },
            None => RuleError::UnknownField { field: excerpt(code) },
        })
    }

    /// The name in REST.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The name in sentences: "tag name".
    pub const fn label(&self) -> &'static str {
        self.label
    }

    /// Two values that are valid with each of its operators.
    pub const fn examples(&self) -> [&'static str; 2] {
        self.examples
    }

    /// The operators that fit the field, in the order in which dialogs offer them; never empty.
    pub fn operators(&self) -> Vec<Operator> {
        self.reads.operators()
    }

    /// The operator with this REST name, if it fits the field.
    pub fn operator(&self, code: &str) -> Option<Operator> {
        self.operators().into_iter().find(|operator| operator.code() == code)
    }

    pub(crate) const fn reads(&self) -> Reads {
        self.reads
    }

    /// A value as a sentence.
    pub(crate) fn found(&self, value: &str) -> String {
        format!("{} {value}", self.found)
    }

    /// What the verdict waits for if the value is absent from `facts`; `None` if it will not arrive.
    pub(crate) fn awaits(&self, facts: &Facts) -> Option<WaitingFor> {
        match facts.scan {
            ScanState::Awaited if self.needs_scan => Some(WaitingFor::Scan),
            ScanState::Awaited | ScanState::NotExpected => None,
        }
    }
}

/// REST names are unique.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Field {}

/// The REST names of all fields, for messages.
pub(crate) fn codes() -> String {
    FIELDS.iter().map(Field::code).collect::<Vec<_>>().join(", ")
}

/// A field whose value is absent and needs a scan, for tests of behaviour that no real field has yet.
#[cfg(test)]
pub(crate) static SCANNED: Field = Field {
    code: "scanned",
    label: "scan result",
    found: "the scan result is",
    examples: ["good", "bad"],
    needs_scan: true,
    reads: Reads::Text(|_| None),
};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::rule::{RawRule, Rule};

    #[test]
    fn each_field_has_a_name_of_its_own_that_is_not_listed_as_planned() {
        let codes: HashSet<&str> = FIELDS.iter().map(Field::code).collect();
        assert_eq!(codes.len(), FIELDS.len());
        for code in codes {
            assert!(!TO_COME.contains(&code), "{code} is supported; remove it from the planned fields");
        }
    }

    #[test]
    fn the_examples_of_a_field_are_valid_with_each_of_its_operators() {
        for field in FIELDS {
            assert!(!field.operators().is_empty(), "{}", field.code);
            for operator in field.operators() {
                let values = if operator.takes_several_values() { 2 } else { 1 };
                let raw = RawRule {
                    field: field.code.to_owned(),
                    operator: operator.code().to_owned(),
                    values: field.examples[..values].iter().map(|value| (*value).to_owned()).collect(),
                };
                let rule = Rule::parse(raw.clone()).unwrap();
                assert_eq!((rule.operator(), RawRule::from(&rule)), (operator, raw));
                assert_eq!(field.operator(operator.code()), Some(operator));
            }
        }
    }

    #[test]
    fn facts_are_read_as_they_are_written() {
        let facts = Facts::new("1.0".parse().unwrap(), Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let facts = Facts { scan: ScanState::Awaited, ..facts };
        let wire = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&wire).unwrap(), facts);
    }
}
