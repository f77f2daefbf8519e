//! Pages of lists that are paged by offset.

use crate::Error;
use longshore_model::{Page, PageRequest};

/// The page that was asked for, out of its rows and the number of all.
pub(crate) fn of<R, T>(rows: Vec<R>, asked: &PageRequest, total: i64) -> Result<Page<T>, Error>
where
    T: TryFrom<R, Error = Error>,
{
    made(rows.into_iter().map(T::try_from).collect::<Result<_, _>>()?, asked, total)
}

/// The page that was asked for, out of its items and the number of all.
pub(crate) fn made<T>(items: Vec<T>, asked: &PageRequest, total: i64) -> Result<Page<T>, Error> {
    let end = asked.offset() + i64::try_from(items.len()).unwrap_or(i64::MAX);
    Ok(Page {
        next: (end < total && !items.is_empty()).then(|| end.to_string()),
        items,
        total: total.unsigned_abs(),
    })
}
