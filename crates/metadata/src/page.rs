//! Pages of lists: where one begins, which of its rows are read, and what leads to the others.
//!
//! A list has an order, by a key that no two of its rows share and that an index holds. A page is what follows a
//! key, or what comes before one; no row is read to be skipped. One row more than the page holds is read, which
//! tells whether there is another page.

use crate::{
    Error,
    convert::{json, readable},
};
use longshore_model::{Cursor, Page, PageRequest, Total};
use serde::{Serialize, de::DeserializeOwned};

/// More rows than this are not counted: one more than are told of.
pub(crate) const COUNTED: i64 = Total::COUNTED.cast_signed() + 1;

/// The statement for a page that follows a key, and the one for a page that comes before it. What is selected ends
/// within a `WHERE`; the list is ordered by the columns, down or up, which are compared with the key as one. `key`,
/// `edge` and `limit` name parameters: rows beyond the edge, where one is given, are not looked at.
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

/// Where the rows end that a page looks at which leaves some of them out: so many rows behind its key. An index leads
/// from one to the next, and none is read.
macro_rules! window {
    () => {
        "1 OFFSET 20000"
    };
}

pub(crate) use {pages, window};

/// A text that is greater than every identifier, which has hexadecimal digits and hyphens, however a database sorts.
pub(crate) const LAST: &str = "g";

/// Which rows a page reads.
pub(crate) struct Reading<K> {
    /// The key that the page follows, or comes before.
    pub(crate) key: K,
    /// Whether it comes before the key.
    pub(crate) back: bool,
    /// Whether it is the first page.
    pub(crate) first: bool,
    size: usize,
    position: u64,
}

impl<K: Clone + Serialize + DeserializeOwned> Reading<K> {
    /// How to read the page that was asked for, of a list that begins behind `beginning`.
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

    /// Of the statements for a page, the one for this.
    pub(crate) fn choose(&self, (onward, back): (&'static str, &'static str)) -> &'static str {
        if self.back { back } else { onward }
    }

    /// How many rows to read.
    pub(crate) fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX - 1) + 1
    }

    /// Whether the page is full, of so many rows.
    pub(crate) fn is_filled_by(&self, rows: usize) -> bool {
        rows > self.size
    }

    /// Whether so many rows are the whole list, which then need not be counted.
    pub(crate) fn is_whole(&self, rows: usize) -> bool {
        self.first && !self.is_filled_by(rows)
    }

    /// The page, out of its rows as they were read.
    pub(crate) fn page<R>(&self, rows: Vec<R>, key: impl Fn(&R) -> K, total: Total) -> Page<R> {
        self.page_within(rows, key, total, None)
    }

    /// As [`Reading::page`], where no row beyond `edge` was looked at: others may be there.
    pub(crate) fn page_within<R>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        total: Total,
        edge: Option<K>,
    ) -> Page<R> {
        let more = self.is_filled_by(rows.len());
        rows.truncate(self.size);
        // Where what is behind these rows begins, in the direction in which they were read.
        let ahead = if more { rows.last().map(&key) } else { edge };
        // What they were read away from.
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

/// What counting rows up to [`COUNTED`] says.
pub(crate) fn counted(rows: i64) -> Total {
    match rows.unsigned_abs() {
        number if number > Total::COUNTED => Total::MoreThan(Total::COUNTED),
        number => Total::Exactly(number),
    }
}

/// The page with its rows read. What cannot be read is left out, and the log names it by `name`.
pub(crate) fn read<R, T>(what: &'static str, page: Page<R>, name: impl Fn(&R) -> String) -> Page<T>
where
    T: TryFrom<R, Error = Error>,
{
    let (rows, page) = page.split();
    page.with(readable(what, rows, name, T::try_from))
}
