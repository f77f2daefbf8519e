//! The kinds of value that a field may have. Operators belong to kinds: each kind lists those that fit it, with the
//! test that each makes of the values of a rule. A new kind is a variant of [`Reads`] and of [`Test`], and a list of
//! operators such as [`TEXT`].

use crate::{
    field::Facts,
    regex::{RegexError, TagRegex},
    rule::{MAX_VALUE_LENGTH, MAX_VALUES, RuleError},
};

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
    /// The name in REST.
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

    /// The name in sentences: "ends with".
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

    /// Whether a rule with this operator takes a list of values instead of exactly one.
    pub const fn takes_several_values(self) -> bool {
        matches!(self, Self::IsOneOf | Self::IsNotOneOf)
    }
}

/// How the value of a field is read from the facts, if they have it. The variant is the kind of the value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reads {
    /// Text, compared case-sensitively.
    Text(fn(&Facts) -> Option<&str>),
}

/// A comparison of a field with values of its kind.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Text(fn(&Facts) -> Option<&str>, TextTest),
}

impl Reads {
    /// The operators that fit, in the order in which dialogs offer them.
    pub(crate) fn operators(self) -> Vec<Operator> {
        fn listed<T>(operators: &Operators<T>) -> Vec<Operator> {
            operators.iter().map(|(operator, _)| *operator).collect()
        }
        match self {
            Self::Text(_) => listed(TEXT),
        }
    }

    /// The operator with this REST name, and the test that it makes of `values`; `None` if it does not fit.
    pub(crate) fn test(
        self,
        operator: &str,
        values: &[String],
    ) -> Option<Result<(Operator, Test), RuleError>> {
        fn made<T>(
            operators: &Operators<T>,
            operator: &str,
            values: &[String],
            test: impl FnOnce(T) -> Test,
        ) -> Option<Result<(Operator, Test), RuleError>> {
            let (operator, make) = operators.iter().find(|(known, _)| known.code() == operator)?;
            let made = check(*operator, values).and_then(|()| Ok(make(values)?));
            Some(made.map(|made| (*operator, test(made))))
        }
        match self {
            Self::Text(read) => made(TEXT, operator, values, |test| Test::Text(read, test)),
        }
    }
}

impl Test {
    /// Whether the facts satisfy the test, and the value found; `None` if the value is absent.
    pub(crate) fn run(&self, facts: &Facts) -> Option<(bool, String)> {
        match self {
            Self::Text(read, test) => read(facts).map(|text| (test.holds(text), format!("“{text}”"))),
        }
    }
}

/// Why a value is not valid for the kind of its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The regular expression is not valid.
    #[error(transparent)]
    Regex(#[from] RegexError),
}

/// The operators of one kind, each with the test that it makes of the validated values of a rule.
type Operators<T> = [(Operator, fn(&[String]) -> Result<T, ValueError>)];

/// Validates the number and the length of values, which do not depend on the kind.
fn check(operator: Operator, values: &[String]) -> Result<(), RuleError> {
    let count = values.len();
    if count == 0 {
        return Err(RuleError::NoValue { operator });
    }
    if count > MAX_VALUES {
        return Err(RuleError::TooManyValues { count });
    }
    if !operator.takes_several_values() && count > 1 {
        return Err(RuleError::SeveralValues { operator, count });
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
    Ok(())
}

/// The value of an operator that takes exactly one.
fn only(values: &[String]) -> String {
    values.first().expect("no rule without a value passes the check").clone()
}

/// The operators for text.
const TEXT: &Operators<TextTest> = &[
    (Operator::Equals, |values| Ok(TextTest::Equals(only(values)))),
    (Operator::StartsWith, |values| Ok(TextTest::StartsWith(only(values)))),
    (Operator::EndsWith, |values| Ok(TextTest::EndsWith(only(values)))),
    (Operator::Contains, |values| Ok(TextTest::Contains(only(values)))),
    (Operator::IsOneOf, |values| Ok(TextTest::IsOneOf(values.to_vec()))),
    (Operator::IsNotOneOf, |values| Ok(TextTest::IsNotOneOf(values.to_vec()))),
    (Operator::Matches, |values| Ok(TextTest::Matches(TagRegex::parse(&only(values))?))),
];

/// A comparison of text.
#[derive(Debug, Clone)]
pub(crate) enum TextTest {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    IsOneOf(Vec<String>),
    IsNotOneOf(Vec<String>),
    Matches(TagRegex),
}

impl TextTest {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Equals(value) => text == value,
            Self::StartsWith(value) => text.starts_with(value.as_str()),
            Self::EndsWith(value) => text.ends_with(value.as_str()),
            Self::Contains(value) => text.contains(value.as_str()),
            Self::IsOneOf(values) => values.iter().any(|value| value == text),
            Self::IsNotOneOf(values) => values.iter().all(|value| value != text),
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}
