//! Pages of lists that are paged by offset.

use crate::{Error, convert::readable};
use longshore_model::{Page, PageRequest};

/// The page that was asked for, out of its rows and the number of all. What cannot be read is left out, and the log
/// names it by `name`.
pub(crate) fn of<R, T>(
    what: &'static str,
    rows: Vec<R>,
    name: impl Fn(&R) -> String,
    asked: &PageRequest,
    total: i64,
) -> Page<T>
where
    T: TryFrom<R, Error = Error>,
{
    let found = rows.len();
    made(readable(what, rows, name, T::try_from), found, asked, total)
}

/// The page that was asked for, out of its items, the number of its rows, and that of all rows. There are fewer items
/// than rows where some cannot be read.
pub(crate) fn made<T>(items: Vec<T>, found: usize, asked: &PageRequest, total: i64) -> Page<T> {
    let end = asked.offset() + i64::try_from(found).unwrap_or(i64::MAX);
    Page { next: (end < total && found > 0).then(|| end.to_string()), items, total: total.unsigned_abs() }
}
