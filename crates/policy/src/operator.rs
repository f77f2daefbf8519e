//! The fields a rule may ask about and the operators it may ask with, in their wire spelling and in words.
//! What the operators do to a value is in `rule`.

use crate::rule::RuleError;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The tag's name, compared case-sensitively.
    Tag,
}

/// Fields that DTR had or that are planned: refused by name, so that nobody believes such a rule works.
const FIELDS_TO_COME: [&str; 14] = [
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
    /// Every supported field, in the order in which the site offers them.
    pub const ALL: [Self; 1] = [Self::Tag];

    /// The wire spelling.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tag => "tag",
        }
    }

    /// The field in words.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tag => "tag name",
        }
    }

    /// Reads the wire spelling.
    ///
    /// # Errors
    /// Distinguishes a field that is known but not supported yet from one that does not exist.
    pub fn parse(code: &str) -> Result<Self, RuleError> {
        if let Some(field) = Self::ALL.into_iter().find(|field| field.code() == code) {
            return Ok(field);
        }
        Err(match FIELDS_TO_COME.into_iter().find(|known| *known == code) {
            Some(field) => RuleError::FieldNotSupportedYet { field },
            None => RuleError::UnknownField { field: crate::rule::excerpt(code) },
        })
    }
}

/// How a rule compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `eq`
    Equals,
    /// `sw`
    StartsWith,
    /// `ew`
    EndsWith,
    /// `c`
    Contains,
    /// `oo`
    IsOneOf,
    /// `noo`
    IsNotOneOf,
    /// `m`, a regular expression that may match anywhere in the text
    Matches,
}

impl Operator {
    /// Every operator, in the order in which the site offers them.
    pub const ALL: [Self; 7] = [
        Self::Equals,
        Self::StartsWith,
        Self::EndsWith,
        Self::Contains,
        Self::IsOneOf,
        Self::IsNotOneOf,
        Self::Matches,
    ];

    /// The wire spelling.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Equals => "eq",
            Self::StartsWith => "sw",
            Self::EndsWith => "ew",
            Self::Contains => "c",
            Self::IsOneOf => "oo",
            Self::IsNotOneOf => "noo",
            Self::Matches => "m",
        }
    }

    /// The operator in words: "ends with".
    pub const fn label(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::StartsWith => "starts with",
            Self::EndsWith => "ends with",
            Self::Contains => "contains",
            Self::IsOneOf => "is one of",
            Self::IsNotOneOf => "is not one of",
            Self::Matches => "matches",
        }
    }

    /// Whether a rule with this operator takes a list of values rather than exactly one.
    pub const fn takes_several_values(self) -> bool {
        matches!(self, Self::IsOneOf | Self::IsNotOneOf)
    }

    /// Reads the wire spelling.
    ///
    /// # Errors
    /// An unknown operator; the message lists the known ones.
    pub fn parse(code: &str) -> Result<Self, RuleError> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.code() == code)
            .ok_or_else(|| RuleError::UnknownOperator { operator: crate::rule::excerpt(code) })
    }
}
