//! Pages of lists: where a page starts, which of its rows are read, and the cursors of the neighbouring pages.
//!
//! A list is ordered by a key that is unique and that an index has. A page has the rows after a key, or those before
//! one; no rows are read only to be skipped. One row more than the page has is read, which shows whether there is
//! another page.

use crate::{
    Error,
    convert::{json, readable},
};
use longshore_model::{Cursor, Page, PageRequest, Total};
use serde::{Serialize, de::DeserializeOwned};

/// The limit of counting: one more than is reported.
pub(crate) const COUNTED: i64 = Total::COUNTED.cast_signed() + 1;

/// The statement for the page after a key, and the one for the page before it. The selection ends within a `WHERE`; the
/// list is ordered by the columns, down or up, which are compared with the key as a row value. `key`, `edge` and
/// `limit` name parameters; rows beyond the edge, if given, are not looked at.
macro_rules! pages {
    ({ $($select:tt)* } down [$($column:literal),+], key $key:literal $(, edge $edge:literal)?, limit $limit:expr) => {
        ($crate::page::pages!(@one { $($select)* } [$($column),+], "<", $key, [$(">=", $edge)?], " DESC", $limit),
         $crate::page::pages!(@one { $($select)* } [$($column),+], ">", $key, [$("<=", $edge)?], "", $limit))
    };
    ({ $($select:tt)* } up [$($column:literal),+], key $key:literal, limit $limit:expr) => {
        ($crate::page::pages!(@one { $($select)* } [$($column),+], ">", $key, [], "", $limit),
         $crate::page::pages!(@one { $($select)* } [$($column),+], "<", $key, [], " DESC", $limit))
    };
    (@one { $($select:tt)* } [$column:literal $(, $more:literal)*], $beyond:literal, $key:literal,
     [$($within:literal, $edge:literal)?], $direction:literal, $limit:expr) => {
        concat!($($select)*, " AND (", $column, $(", ", $more,)* ") ", $beyond, " (", $key, ")",
                $(" AND ", $column, " ", $within, " ", $edge,)?
                " ORDER BY ", $column, $direction, $(", ", $more, $direction,)* " LIMIT ", $limit)
    };
}

/// The size of the window of a page that leaves rows out: the number of rows after its key that it looks at. An index
/// leads from one to the next without reading the rows.
macro_rules! window {
    () => {
        "1 OFFSET 20000"
    };
}

pub(crate) use {pages, window};

/// A text that is greater than every ID, which has only hexadecimal digits and hyphens, in any collation.
pub(crate) const LAST: &str = "g";

/// Which rows to read for a page.
pub(crate) struct Reading<K> {
    /// The key that the page follows or precedes.
    pub(crate) key: K,
    /// Whether the page precedes the key.
    pub(crate) back: bool,
    /// Whether it is the first page.
    pub(crate) first: bool,
    size: usize,
    position: u64,
}

impl<K: Clone + Serialize + DeserializeOwned> Reading<K> {
    /// How to read the requested page of a list whose first page follows `beginning`.
    pub(crate) fn of(asked: &PageRequest, beginning: K) -> Result<Self, Error> {
        let size = asked.limit();
        Ok(match &asked.start {
            None => Self { key: beginning, back: false, first: true, size, position: 0 },
            Some(Cursor { back, position, key }) => {
                let key = serde_json::from_str(key).map_err(|_| Error::NoSuchPage)?;
                Self { key, back: *back, first: false, size, position: *position }
            }
        })
    }

    /// Chooses the statement for this page.
    pub(crate) fn choose(&self, (onward, back): (&'static str, &'static str)) -> &'static str {
        if self.back { back } else { onward }
    }

    /// The number of rows to read.
    pub(crate) fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX - 1) + 1
    }

    /// Whether this number of rows fills the page.
    pub(crate) fn is_filled_by(&self, rows: usize) -> bool {
        rows > self.size
    }

    /// Whether this number of rows is the whole list, so that it need not be counted.
    pub(crate) fn is_whole(&self, rows: usize) -> bool {
        self.first && !self.is_filled_by(rows)
    }

    /// The page of these rows, in the order in which they were read.
    pub(crate) fn page<R>(&self, rows: Vec<R>, key: impl Fn(&R) -> K, total: Total) -> Page<R> {
        self.page_within(rows, key, total, None)
    }

    /// Like [`Reading::page`], but rows beyond `edge` were not looked at: there may be more.
    pub(crate) fn page_within<R>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        total: Total,
        edge: Option<K>,
    ) -> Page<R> {
        let more = self.is_filled_by(rows.len());
        rows.truncate(self.size);
        // Where the next rows begin, in the direction of reading.
        let ahead = if more { rows.last().map(&key) } else { edge };
        // Where the rows in the opposite direction begin.
        let behind = (!self.first).then(|| rows.first().map_or_else(|| self.key.clone(), &key));
        if self.back {
            rows.reverse();
        }
        let found = rows.len() as u64;
        let start = match (self.back, &ahead) {
            (false, _) => self.position,
            (true, Some(_)) => self.position.saturating_sub(found),
            (true, None) => 0,
        };
        let (before, after) = if self.back { (ahead, behind) } else { (behind, ahead) };
        let previous = before.map(|key| Cursor { back: true, position: start, key: json(&key) });
        let next = after.map(|key| Cursor { back: false, position: start + found, key: json(&key) });
        let total = match total {
            _ if previous.is_none() && next.is_none() => Total::Exactly(found),
            Total::MoreThan(number) => Total::MoreThan(number.max(start + found)),
            exactly => exactly,
        };
        Page { items: rows, start, previous, next, total }
    }
}

/// The total for a count that ends at [`COUNTED`].
pub(crate) fn counted(rows: i64) -> Total {
    match rows.unsigned_abs() {
        number if number > Total::COUNTED => Total::MoreThan(Total::COUNTED),
        number => Total::Exactly(number),
    }
}

/// The page with its rows converted. Rows that cannot be read are left out and logged under the name that `name`
/// returns.
pub(crate) fn read<R, T>(what: &'static str, page: Page<R>, name: impl Fn(&R) -> String) -> Page<T>
where
    T: TryFrom<R, Error = Error>,
{
    let (rows, page) = page.split();
    page.with(readable(what, rows, name, T::try_from))
}
