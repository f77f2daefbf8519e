//! Lists that do not fit one answer. A page begins behind a key of the page before, never at a number of items to
//! skip, so that the last page of a long list costs what the first one does.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many items come before this page. The list may have changed since its first page was read, so it is for
    /// people to read, not to count with.
    pub start: u64,
    /// Where the page before this one begins, when there is one.
    pub previous: Option<Cursor>,
    /// Where the next page begins, when there is one. A page may be short and still have a next one.
    pub next: Option<Cursor>,
    /// How many items there are on all pages.
    pub total: Total,
}

impl<T> Page<T> {
    /// The only page of a list without items.
    #[must_use]
    pub fn empty() -> Self {
        Self { items: Vec::new(), start: 0, previous: None, next: None, total: Total::Exactly(0) }
    }

    /// The same page with these items in place of its own.
    pub fn with<U>(self, items: Vec<U>) -> Page<U> {
        Page { items, start: self.start, previous: self.previous, next: self.next, total: self.total }
    }

    /// The same page without its items, and the items.
    #[must_use]
    pub fn split(mut self) -> (Vec<T>, Self) {
        (std::mem::take(&mut self.items), self)
    }

    /// The same page with each item turned into another.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        let (items, page) = self.split();
        page.with(items.into_iter().map(turn).collect())
    }
}

/// How many items a list has. Nobody counts a long list for each of its pages: what is beyond
/// [`Total::COUNTED`] is only known to be more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Total {
    /// So many.
    Exactly(u64),
    /// More than so many.
    MoreThan(u64),
}

impl Total {
    /// Lists are counted up to this.
    pub const COUNTED: u64 = 1_000;

    /// The number, where it is known.
    #[must_use]
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exactly(number) => Some(number),
            Self::MoreThan(_) => None,
        }
    }
}

impl PartialEq<u64> for Total {
    fn eq(&self, number: &u64) -> bool {
        self.exact() == Some(*number)
    }
}

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// `next` or `previous` of another page; none: the first page.
    pub start: Option<Cursor>,
    /// How many items, 1 to [`PageRequest::MAX`].
    pub size: u32,
}

impl PageRequest {
    /// Larger pages are cut to this.
    pub const MAX: u32 = 500;

    /// The first page of `size` items.
    #[must_use]
    pub fn first(size: u32) -> Self {
        Self { start: None, size }
    }

    /// The size within its bounds.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.size.clamp(1, Self::MAX) as usize
    }
}

/// Where a page begins. To all but the list that made it, it is a word without meaning; it consists of letters and
/// digits alone, so that it can stand in an address and in a header as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// Whether the page is the one before the key, and not the one behind it.
    pub back: bool,
    /// How many items come before the page; with `back`, before the page that it precedes. People read it.
    pub position: u64,
    /// The key of an item, in JSON.
    pub key: String,
}

impl Cursor {
    /// No cursor is longer, for the longest key is a name of 255 bytes with an identifier.
    const LONGEST: usize = 1_024;
}

impl Display for Cursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let direction = if self.back { 'b' } else { 'n' };
        write!(f, "{direction}{}x{}", self.position, hex::encode(&self.key))
    }
}

/// What is given as the beginning of a page is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not where a page begins")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        if text.len() > Self::LONGEST {
            return Err(NoCursor);
        }
        let (back, rest) = match text.strip_prefix('b') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('n').ok_or(NoCursor)?),
        };
        let (position, key) = rest.split_once('x').ok_or(NoCursor)?;
        if !position.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoCursor);
        }
        let key = hex::decode(key).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(NoCursor)?;
        Ok(Self { back, position: position.parse().map_err(|_| NoCursor)?, key })
    }
}

impl TryFrom<String> for Cursor {
    type Error = NoCursor;
    fn try_from(text: String) -> Result<Self, NoCursor> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_an_address_and_a_header() {
        for (back, key) in [(false, "\"0190c0de\""), (true, "[\"Ünïcode & more\",\"7\"]")] {
            let cursor = Cursor { back, position: 25, key: key.to_owned() };
            let text = cursor.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            assert_eq!(text.parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let long = format!("n0x{}", "61".repeat(600));
        for text in ["", "25", "-1", "n", "n25", "nx61", "n+1x61", "n1x6", "n1xzz", "n1xff", "q1x61", &long] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
        assert!(serde_json::from_str::<PageRequest>(r#"{"start":"25","size":10}"#).is_err());
    }
}
