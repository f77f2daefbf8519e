//! How values of the model stand in columns: identifiers and names as text, enumerations by their
//! word on the wire, structures as JSON, instants as microseconds since 1970.

use crate::error::Error;
use longshore_model::Timestamp;
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer};
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Type};
use std::str::FromStr;

/// A column of text that a type's `FromStr` reads.
pub(crate) struct Text<T>(pub(crate) T);

/// A column with the word of an enumeration, as serde spells it.
pub(crate) struct Word<T>(pub(crate) T);

/// A column of JSON.
pub(crate) struct Json<T>(pub(crate) T);

/// A column of microseconds.
pub(crate) struct Micros(pub(crate) Timestamp);

/// A column of a number that is never negative.
pub(crate) struct Count<T>(pub(crate) T);

macro_rules! stored_as {
    ($stored:ty, $wrapper:ident $(<$t:ident>)?) => {
        impl<DB: Database $(, $t)?> Type<DB> for $wrapper $(<$t>)?
        where
            $stored: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$stored as Type<DB>>::type_info()
            }
            fn compatible(info: &DB::TypeInfo) -> bool {
                <$stored as Type<DB>>::compatible(info)
            }
        }
    };
}
stored_as!(String, Text<T>);
stored_as!(String, Word<T>);
stored_as!(String, Json<T>);
stored_as!(i64, Micros);
stored_as!(i64, Count<T>);

impl<'r, DB: Database, T> Decode<'r, DB> for Text<T>
where
    &'r str: Decode<'r, DB>,
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<&str>::decode(value)?.parse()?))
    }
}

impl<'r, DB: Database, T: DeserializeOwned> Decode<'r, DB> for Word<T>
where
    &'r str: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let word: StrDeserializer<'_, serde::de::value::Error> = <&str>::decode(value)?.into_deserializer();
        Ok(Self(T::deserialize(word)?))
    }
}

impl<'r, DB: Database, T: DeserializeOwned> Decode<'r, DB> for Json<T>
where
    &'r str: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(<&str>::decode(value)?)?))
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Micros
where
    i64: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(Timestamp::from_microsecond(i64::decode(value)?)?))
    }
}

impl<'r, DB: Database, T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>> Decode<'r, DB>
    for Count<T>
where
    i64: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(T::try_from(i64::decode(value)?)?))
    }
}

/// The JSON that [`Json`] reads.
pub(crate) fn json<T: Serialize>(what: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unreadable { what, reason: error.to_string() })
}

/// A list as JSON, for `dialect::among!`.
pub(crate) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    serde_json::Value::from_iter(items.into_iter().map(|item| item.to_string())).to_string()
}

/// The number that [`Micros`] reads.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A size or count as the databases keep it; nothing real is beyond `i64`.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
