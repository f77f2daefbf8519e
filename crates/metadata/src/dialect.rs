//! Where SQLite and PostgreSQL need different words. Everything else in this crate is one text for
//! both.

use crate::conn::{Backend, Conn, Statement, sql};
use crate::error::Error;
use longshore_model::{RepositoryId, Revision};
use longshore_oci::Tag;

/// `before IN (the list) after`, where `list` is a parameter (or other literal) with a JSON array of
/// texts as `column::list` makes it.
macro_rules! among {
    ($before:expr, $list:literal, $after:expr) => {
        $crate::conn::Statement {
            sqlite: concat!($before, " IN (SELECT value FROM json_each(", $list, ")) ", $after),
            postgres: concat!(
                $before,
                " IN (SELECT jsonb_array_elements_text(CAST(",
                $list,
                " AS jsonb))) ",
                $after
            ),
        }
    };
}
pub(crate) use among;

/// Keeps the rows that a statement reads from being changed by others until the transaction ends.
/// SQLite has one writer, which needs no words for it.
macro_rules! for_update {
    ($statement:literal) => {
        $crate::conn::Statement { sqlite: $statement, postgres: concat!($statement, " FOR UPDATE") }
    };
}
pub(crate) use for_update;

/// Jobs that could be claimed; the parameters are those of `jobs::claim`.
pub(crate) const CLAIMABLE: Statement = {
    macro_rules! claimable {
        ($among:expr, $lock:literal) => {
            concat!(
                "SELECT id, serial_key FROM jobs
                 WHERE status = 'waiting' AND action IN (", $among, ") AND scheduled_at <= $2
                   AND (serial_key IS NULL OR NOT EXISTS (
                        SELECT 1 FROM jobs AS busy
                        WHERE busy.serial_key = jobs.serial_key AND busy.status = 'running'))
                 ORDER BY scheduled_at, id LIMIT $3",
                $lock
            )
        };
    }
    Statement {
        sqlite: claimable!("SELECT value FROM json_each($1)", ""),
        postgres: claimable!(
            "SELECT jsonb_array_elements_text(CAST($1 AS jsonb))",
            " FOR UPDATE SKIP LOCKED"
        ),
    }
};

/// Makes the claims of several servers follow each other, so that two jobs with one serial key can
/// never be taken at once.
pub(crate) async fn lock_claims(conn: &mut Conn) -> Result<(), Error> {
    // The number means nothing; it only has to differ from other advisory locks.
    advisory_lock(conn, "longshore:claims").await
}

/// Makes transactions on one tag follow each other until they end.
pub(crate) async fn lock_tag(conn: &mut Conn, repository: RepositoryId, name: &Tag) -> Result<(), Error> {
    advisory_lock(conn, &format!("{repository}:{name}")).await
}

async fn advisory_lock(conn: &mut Conn, key: &str) -> Result<(), Error> {
    if let Backend::Postgres(conn) = &mut conn.backend {
        sqlx::query::<sqlx::Postgres>("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(key)
            .execute(&mut **conn)
            .await?;
    }
    Ok(())
}

/// The next number of the sequence of tag changes (semantics 1).
pub(crate) async fn next_revision(conn: &mut Conn) -> Result<Revision, Error> {
    const NEXT: Statement = Statement {
        sqlite: "UPDATE tag_revision SET last = last + 1 RETURNING last",
        postgres: "SELECT nextval('tag_revision')",
    };
    Ok(Revision(sql!(value i64, conn, NEXT)?))
}

/// A pattern for `LOWER(column) LIKE $n ESCAPE '\'` that finds `text` anywhere, ASCII letters in
/// either case.
pub(crate) fn contains(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_signs_that_mean_something_to_like_as_themselves() {
        assert_eq!(contains("100%_A\\"), "%100\\%\\_a\\\\%");
    }
}
