//! Between the words of the model and what columns hold.

use crate::Error;
use longshore_model::{Message, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, str::FromStr};
use uuid::Uuid;

/// An instant as a column keeps it.
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

/// A text column read as what it stands for.
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

/// A value as a JSON column keeps it.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the model's types have string keys and no failing parts")
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|why| Error::Unreadable { what, why: why.to_string() })
}

/// A value of the model that serialises to one word, read from that word.
pub(crate) fn word<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|why| Error::Unreadable { what, why: why.to_string() })
}

/// The one word of such a value.
pub(crate) fn as_word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => unreachable!("only values that serialise to one word are asked for it"),
    }
}

/// The things that rows stand for. One that cannot be read, as a newer version or a damaged disk leaves it, does not
/// hide the others: it is left out, and the log says which it was, as `name` names it.
pub(crate) fn readable<R, T>(
    what: &'static str,
    rows: Vec<R>,
    name: impl Fn(&R) -> String,
    read: impl Fn(R) -> Result<T, Error>,
) -> Vec<T> {
    let read = |row: R| {
        let name = name(&row);
        read(row)
            .inspect_err(|error| tracing::warn!(what, name, %error, "a row cannot be read, and is left out"))
            .ok()
    };
    rows.into_iter().filter_map(read).collect()
}

/// What a column says in words, where it says something.
pub(crate) fn maybe_message(text: Option<&str>) -> Option<Message> {
    text.map(Message::read)
}

/// A pattern for LIKE that finds `text` anywhere, with `\` as its escape.
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
