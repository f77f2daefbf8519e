//! Conversions between the types of the model and the values of columns.

use crate::Error;
use longshore_model::{Message, Timestamp, pause::Pause};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, str::FromStr};
use uuid::Uuid;

/// An instant as it is stored in a column.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(crate) fn instant(micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros)
        .map_err(|why| Error::Unreadable { what: "instant", why: why.to_string() })
}

pub(crate) fn maybe_instant(micros: Option<i64>) -> Result<Option<Timestamp>, Error> {
    micros.map(instant).transpose()
}

/// Parses a text column.
pub(crate) fn parse<T: FromStr>(what: &'static str, text: &str) -> Result<T, Error>
where
    T::Err: Display,
{
    text.parse().map_err(|why: T::Err| Error::Unreadable { what, why: format!("{text}: {why}") })
}

pub(crate) fn maybe_parse<T: FromStr>(what: &'static str, text: Option<&str>) -> Result<Option<T>, Error>
where
    T::Err: Display,
{
    text.map(|text| parse(what, text)).transpose()
}

pub(crate) fn id<T>(make: impl FnOnce(Uuid) -> T, text: &str) -> Result<T, Error> {
    parse::<Uuid>("identifier", text).map(make)
}

pub(crate) fn maybe_id<T>(make: impl FnOnce(Uuid) -> T, text: Option<&str>) -> Result<Option<T>, Error> {
    text.map(|text| id(make, text)).transpose()
}

/// A value as it is stored in a JSON column.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the model's types have string keys and no failing parts")
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|why| Error::Unreadable { what, why: why.to_string() })
}

/// Reads a value of the model that serialises to a single word from that word.
pub(crate) fn word<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|why| Error::Unreadable { what, why: why.to_string() })
}

/// The single word that such a value serialises to.
pub(crate) fn as_word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => unreachable!("only values that serialise to one word are asked for it"),
    }
}

/// Converts rows. A row that cannot be read, as a newer version or a damaged disk leaves it, does not hide the others:
/// it is left out and logged under the name that `name` returns.
pub(crate) fn readable<R, T>(
    what: &'static str,
    rows: Vec<R>,
    name: impl Fn(&R) -> String,
    read: impl Fn(R) -> Result<T, Error>,
) -> Vec<T> {
    let read = |row: R| {
        let name = name(&row);
        read(row)
            .inspect_err(|error| tracing::warn!(what, name, %error, "a row cannot be read and is left out"))
            .ok()
    };
    rows.into_iter().filter_map(read).collect()
}

/// The message in a column, if any.
pub(crate) fn maybe_message(text: Option<&str>) -> Option<Message> {
    text.map(Message::read)
}

/// A pause from its columns.
pub(crate) fn pause(scope: &str, at: i64, author: &str, reason: &str) -> Result<Pause, Error> {
    Ok(Pause {
        scope: parse("scope of a pause", scope)?,
        at: instant(at)?,
        author: from_json("author", author)?,
        reason: word("reason of a pause", reason)?,
    })
}

/// A LIKE pattern that finds `text` anywhere, with `\` as its escape character.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars().take(256) {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.extend(letter.to_lowercase());
    }
    pattern.push('%');
    pattern
}
