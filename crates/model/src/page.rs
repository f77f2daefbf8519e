//! Pages of long lists. A page starts at a key of the neighbouring page, never after a number of items to skip, so
//! the last page of a long list costs no more than the first.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The number of items before this page, for display only: the list may have changed since its first page was
    /// read.
    pub start: u64,
    /// The start of the previous page, if there is one.
    pub previous: Option<Cursor>,
    /// The start of the next page, if there is one. Even a short page may have one.
    pub next: Option<Cursor>,
    pub total: Total,
}

impl<T> Page<T> {
    /// The only page of an empty list.
    #[must_use]
    pub fn empty() -> Self {
        Self { items: Vec::new(), start: 0, previous: None, next: None, total: Total::Exactly(0) }
    }

    /// The same page with other items.
    pub fn with<U>(self, items: Vec<U>) -> Page<U> {
        Page { items, start: self.start, previous: self.previous, next: self.next, total: self.total }
    }

    /// The items, and the page without them.
    #[must_use]
    pub fn split(mut self) -> (Vec<T>, Self) {
        (std::mem::take(&mut self.items), self)
    }

    /// Converts each item of the page.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        let (items, page) = self.split();
        page.with(items.into_iter().map(turn).collect())
    }
}

/// The number of items in a list. Long lists are not counted for each page: beyond [`Total::COUNTED`], the exact
/// number is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Total {
    Exactly(u64),
    MoreThan(u64),
}

impl Total {
    /// Lists are counted up to this number.
    pub const COUNTED: u64 = 1_000;

    /// The number, if it is known.
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

/// A request for one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// [`Page::next`] or [`Page::previous`] of another page; `None` for the first page.
    pub start: Option<Cursor>,
    /// The number of items, 1 to [`PageRequest::MAX`].
    pub size: u32,
}

impl PageRequest {
    /// A larger size is reduced to this.
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

/// The start of a page. It is opaque to everything but the list that made it, and consists of letters and digits
/// only, so that it needs no escaping in URLs and headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// Whether the page ends before the key instead of starting after it.
    pub back: bool,
    /// The number of items before the page; with `back`, before the page that it precedes. For display.
    pub position: u64,
    /// The key of an item, as JSON.
    pub key: String,
}

impl Cursor {
    /// No cursor is longer, since the longest key is a name of 255 bytes with an identifier.
    const LONGEST: usize = 1_024;
}

impl Display for Cursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let direction = if self.back { 'b' } else { 'n' };
        write!(f, "{direction}{}x{}", self.position, hex::encode(&self.key))
    }
}

/// The text is not a valid cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the start of a page")]
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
    fn a_cursor_needs_no_escaping_in_urls_and_headers() {
        for (back, key) in [(false, "\"0190c0de\""), (true, "[\"Ünïcode & more\",\"7\"]")] {
            let cursor = Cursor { back, position: 25, key: key.to_owned() };
            let text = cursor.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            assert_eq!(text.parse(), Ok(cursor));
        }
    }

    #[test]
    fn an_invalid_cursor_is_rejected() {
        let long = format!("n0x{}", "61".repeat(600));
        for text in ["", "25", "-1", "n", "n25", "nx61", "n+1x61", "n1x6", "n1xzz", "n1xff", "q1x61", &long] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
        assert!(serde_json::from_str::<PageRequest>(r#"{"start":"25","size":10}"#).is_err());
    }
}
