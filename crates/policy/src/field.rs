//! What is known of a tag, and which of it rules can ask about. [`FIELDS`] has a row for each field; the parser, the
//! sentences, the dialogs and the description of the REST API follow it. How values are compared is in `kind`.

use jiff::Timestamp;
use longshore_oci::Tag;
use serde::{Deserialize, Serialize};

use crate::{
    decide::WaitingFor,
    kind::{Operator, Reads},
    rule::{RuleError, excerpt},
};

/// What is known of a tag when a policy decides about it, on the server and in the browser. The database gathers it;
/// what may be missing is an `Option`, and an absent fact satisfies no rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facts {
    /// The tag's name.
    pub tag: Tag,
    /// When the tag last changed.
    pub updated_at: Timestamp,
    /// When the facts were gathered, by the server's clock. The age of a tag counts up to here.
    pub at: Timestamp,
    /// Whether facts that only a scan finds may still come.
    pub scan: ScanState,
}

/// Whether the image of a tag is about to be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanState {
    /// Nobody is going to scan it.
    #[default]
    NotExpected,
    /// Its report will come.
    Awaited,
}

impl Facts {
    /// The facts that every tag has.
    pub const fn new(tag: Tag, updated_at: Timestamp, at: Timestamp) -> Self {
        Self { tag, updated_at, at, scan: ScanState::NotExpected }
    }
}

/// Something that rules can ask about.
#[derive(Debug)]
pub struct Field {
    /// The wire spelling.
    code: &'static str,
    /// The field in words, as a rule begins with it.
    label: &'static str,
    /// How a sentence begins that ends with the value that was found.
    found: &'static str,
    /// Values that can be used with each of its operators.
    examples: [&'static str; 2],
    /// Whether only a scan finds the value, so that it may still come where it is absent.
    needs_scan: bool,
    /// How the value is read from the facts.
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

/// Fields that DTR had or that are planned: refused by name, so that nobody believes such a rule works.
const TO_COME: &[&str] = &[
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
    /// Reads the wire spelling.
    ///
    /// # Errors
    /// Distinguishes a field that is known but not supported yet from one that does not exist.
    pub fn parse(code: &str) -> Result<&'static Self, RuleError> {
        if let Some(field) = FIELDS.iter().find(|field| field.code == code) {
            return Ok(field);
        }
        Err(match TO_COME.iter().find(|known| **known == code) {
            Some(field) => RuleError::FieldNotSupportedYet { field },
            None => RuleError::UnknownField { field: excerpt(code) },
        })
    }

    /// The wire spelling.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The field in words: "tag name".
    pub const fn label(&self) -> &'static str {
        self.label
    }

    /// Two values that can be used with each of its operators.
    pub const fn examples(&self) -> [&'static str; 2] {
        self.examples
    }

    /// The operators that fit it, in the order in which dialogs offer them; never empty.
    pub fn operators(&self) -> Vec<Operator> {
        self.reads.operators()
    }

    /// The operator with this wire spelling, if it fits.
    pub fn operator(&self, code: &str) -> Option<Operator> {
        self.operators().into_iter().find(|operator| operator.code() == code)
    }

    /// How the value is read from the facts.
    pub(crate) const fn reads(&self) -> Reads {
        self.reads
    }

    /// What was found, as a sentence.
    pub(crate) fn found(&self, value: &str) -> String {
        format!("{} {value}", self.found)
    }

    /// What brings the value, if `facts` do not have it yet.
    pub(crate) fn awaits(&self, facts: &Facts) -> Option<WaitingFor> {
        match facts.scan {
            ScanState::Awaited if self.needs_scan => Some(WaitingFor::Scan),
            ScanState::Awaited | ScanState::NotExpected => None,
        }
    }
}

/// No two fields have the same wire spelling.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Field {}

/// The wire spellings of all fields, for messages.
pub(crate) fn codes() -> String {
    FIELDS.iter().map(Field::code).collect::<Vec<_>>().join(", ")
}

/// A field that needs a scan, whose value is absent, for tests of what no field does yet.
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
    fn each_field_has_a_wire_spelling_of_its_own_and_none_is_still_to_come() {
        let codes: HashSet<&str> = FIELDS.iter().map(Field::code).collect();
        assert_eq!(codes.len(), FIELDS.len());
        for code in codes {
            assert!(!TO_COME.contains(&code), "{code} is supported; remove it from the fields to come");
        }
    }

    #[test]
    fn the_examples_of_a_field_can_be_used_with_each_operator_that_it_offers() {
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
    fn facts_travel_unchanged() {
        let facts = Facts::new("1.0".parse().unwrap(), Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let facts = Facts { scan: ScanState::Awaited, ..facts };
        let wire = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&wire).unwrap(), facts);
    }
}
