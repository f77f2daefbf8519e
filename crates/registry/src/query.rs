//! Query strings and form bodies, whose parameters may be repeated.

use crate::error::Failure;
use longshore_oci::ErrorCode;
use std::str::FromStr;

pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The first value of a parameter that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, parsed.
    pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
        code: ErrorCode,
    ) -> Result<Option<T>, Failure> {
        self.get(name).map(|text| read(name, text, code)).transpose()
    }

    /// All values of a parameter, parsed.
    pub(crate) fn all_parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
        code: ErrorCode,
    ) -> Result<Vec<T>, Failure> {
        self.all(name).map(|text| read(name, text, code.clone())).collect()
    }
}

fn read<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str, code: ErrorCode) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::new(code, format!("the parameter {name} is invalid: {error}")))
}
