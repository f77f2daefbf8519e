//! Moves a registry from one database to another, of the same kind or not: all rows of all tables, as of one instant,
//! so that a running server can be backed up. Blobs are recorded by the code that moves their bytes; unfinished uploads
//! are not copied. SQLite can write itself to another file ([`Database::write_to_file`]), which takes seconds instead
//! of minutes; [`settle_in`] turns such a copy into the database of another folder.
//! becomes another folder's by [`settle_in`].

use crate::{
    Conn, Database, Error, Priority, Tx, Vault,
    conn::{Backend, change, value},
    counters, epoch,
    line::Waiting,
    settings, work,
};
use futures::TryStreamExt;
use longshore_model::Timestamp;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Column, Connection, Database as Driver, Decode, Row, Sqlite, Type, TypeInfo};
use tokio::sync::mpsc;

/// The tables that are copied, in an order in which references point backwards.
const TABLES: &[&str] = &[
    "sequences",
    "accounts",
    "sessions",
    "repositories",
    "repository_blobs",
    "manifests",
    "repository_manifests",
    "manifest_edges",
    "tags",
    "tag_changes",
    "remotes",
    "back_offs",
    "policies",
    "baselines",
    "verdicts",
    "deliveries",
    "pauses",
    "jobs",
    "job_parts",
    "job_logs",
    "activity",
    "settings",
];
/// The tables that are not copied: `blobs` is written as bytes arrive, the counters are recounted at the end, and the
/// others concern one store only.
#[cfg(test)]
const STAY: &[&str] =
    &["blobs", "namespace_storage", "tag_totals", "blob_totals", "store_total", "uploads", "condemned_blobs"];
/// The tables whose IDs the database generates.
const NUMBERED: &[&str] = &["deliveries", "activity"];
/// The key that marks the new database as incomplete.
const UNFINISHED: &str = "unfinished move";
/// The number of rows that one transaction writes.
const AT_ONCE: usize = 500;
/// The number of rows that one statement writes: enough to share its cost, and few enough for the limit of parameters
/// of both databases.
const A_STATEMENT: usize = 50;
/// The same for manifests, which may have 4 MiB each.
const MANIFESTS_AT_ONCE: usize = 16;

/// Why a registry cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The new database contains another registry.
    #[error("the new database already contains a registry; name an empty one, or remove its contents")]
    Occupied,
    /// The numbers of rows differ at the end.
    #[error(
        "{table} has {there} rows in the new database and {here} in the old one; is a server running on the new one?"
    )]
    Differs {
        table: &'static str,
        /// The number of rows in the old database.
        here: i64,
        /// The number of rows in the new database.
        there: i64,
    },
    /// One of the databases failed.
    #[error(transparent)]
    Database(#[from] Error),
}

/// Whether a move into this database was begun and not finished, so that no server may run on it.
///
/// # Errors
/// The database.
pub async fn is_unfinished(conn: &mut Conn) -> Result<bool, Error> {
    Ok(settings::get(conn, UNFINISHED).await?.is_some())
}

/// Marks a new database as the target of a move, or continues an interrupted one.
///
/// # Errors
/// [`MoveError::Occupied`]; the database.
pub async fn begin(to: &Database) -> Result<(), MoveError> {
    if is_unfinished(&mut to.read().await?).await? {
        return Ok(());
    }
    if count(&mut to.read().await?, "accounts").await? > 0 {
        return Err(MoveError::Occupied);
    }
    begin_anew(to).await
}

/// Marks a database as the target of a move, whatever it contains: rows are replaced, blobs are kept.
///
/// # Errors
/// The database.
pub async fn begin_anew(to: &Database) -> Result<(), MoveError> {
    to.write(Priority::Normal, work!(|tx| settings::put(tx, UNFINISHED, "begun").await)).await?;
    Ok(())
}

/// Moves the content of a SQLite file's log into the file, so that the file is complete and can replace another.
///
/// # Errors
/// The database, also if it is in use.
pub async fn settle(path: &str) -> Result<(), Error> {
    let options = SqliteConnectOptions::new().filename(path);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    // A server that continued in this mode would create another log.
    sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut conn).await?;
    conn.close().await?;
    Ok(())
}

/// Turns a copy that a SQLite database wrote of itself into the rows of a backup: blobs and condemned bytes are
/// replaced by those in the file `folder`, whose blobs include all that the copy names; uploads are removed. Returns
/// the number of rows.
///
/// # Errors
/// The files.
pub async fn settle_in(copy: &str, folder: &str, vault: &Vault, made: Timestamp) -> Result<u64, Error> {
    let options = SqliteConnectOptions::new()
        .filename(copy)
        .journal_mode(SqliteJournalMode::Delete)
        // Between two statements, rows refer to blobs that do not exist.
        .foreign_keys(false);
    let pool = PoolOptions::<Sqlite>::new().max_connections(1).connect_with(options).await?;
    let mut tx =
        Tx::new(Conn::new(Backend::Sqlite(pool.acquire().await?), vault.clone()), Waiting::default());
    change!(tx.conn, "ATTACH DATABASE $1 AS folder", folder)?;
    tx.command("BEGIN").await?;
    change!(tx.conn, "DELETE FROM uploads")?;
    for (clear, fill) in [
        (
            "DELETE FROM main.blobs",
            "INSERT INTO main.blobs (digest, size, location, created_at, damaged_at)
             SELECT digest, size, location, created_at, damaged_at FROM folder.blobs",
        ),
        (
            "DELETE FROM main.condemned_blobs",
            "INSERT INTO main.condemned_blobs (location, size) SELECT location, size FROM folder.condemned_blobs",
        ),
    ] {
        change!(tx.conn, clear)?;
        change!(tx.conn, fill)?;
    }
    epoch::mark_backup(&mut tx, made).await?;
    tx.command("COMMIT; DETACH DATABASE folder").await?;
    let mut rows = 0;
    for table in TABLES.iter().copied() {
        rows += count(&mut tx, table).await?.unsigned_abs();
    }
    drop(tx);
    pool.close().await;
    // The mark of the backup is an additional row.
    Ok(rows - 1)
}

/// Removes all rows except those of blobs, from a database that only records which blobs a folder has.
///
/// # Errors
/// The database.
pub async fn clear_rows(of: &Database) -> Result<(), Error> {
    for table in TABLES.iter().rev().copied() {
        of.write(Priority::Normal, work!(|tx| clear(tx, table).await)).await?;
    }
    Ok(())
}

/// Copies all rows of a snapshot ([`Database::snapshot`]), checks that all of them arrived, and marks the new database
/// as complete. Returns the number of rows. Leftovers of an earlier attempt are replaced.
///
/// # Errors
/// [`MoveError::Differs`]; the databases.
pub async fn copy(from: &mut Conn, to: &Database) -> Result<u64, MoveError> {
    clear_rows(to).await?;
    let mut rows = 0;
    for table in TABLES.iter().copied() {
        copy_table(from, to, table).await?;
        let here = count(from, table).await?;
        // The mark of the move is an additional row.
        let mark = i64::from(table == "settings");
        let there = count(&mut to.read().await?, table).await? - mark;
        if here != there {
            return Err(MoveError::Differs { table, here, there });
        }
        rows += here.unsigned_abs();
    }
    to.write(
        Priority::Normal,
        work!(|tx| {
            for table in NUMBERED {
                number_on(tx, table).await?;
            }
            counters::recount_all(tx).await?;
            settings::remove(tx, UNFINISHED).await
        }),
    )
    .await?;
    Ok(rows)
}

async fn clear(tx: &mut Tx, table: &str) -> Result<(), Error> {
    let sql = format!(
        "DELETE FROM {table} {}",
        if table == "settings" { "WHERE key <> $1" } else { "WHERE $1 = $1" }
    );
    change!(tx.conn, AssertSqlSafe(sql), UNFINISHED)?;
    Ok(())
}

async fn count(conn: &mut Conn, table: &str) -> Result<i64, Error> {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    Ok(value!(conn, i64, AssertSqlSafe(sql))?)
}

/// Makes PostgreSQL continue after the copied IDs; SQLite does so by itself.
async fn number_on(tx: &mut Tx, table: &str) -> Result<(), Error> {
    if tx.is_postgres() {
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence($1, 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM {table}), false)"
        );
        change!(tx.conn, AssertSqlSafe(sql), table)?;
    }
    Ok(())
}

async fn copy_table(from: &mut Conn, to: &Database, table: &'static str) -> Result<(), Error> {
    let (sender, mut receiver) = mpsc::channel::<Vec<Line>>(2);
    let at_once = if table == "manifests" { MANIFESTS_AT_ONCE } else { AT_ONCE };
    let reading = async move {
        let sql = format!("SELECT * FROM {table}");
        match &mut from.backend {
            Backend::Sqlite(conn) => {
                send(sqlx::query(AssertSqlSafe(sql)).fetch(&mut **conn), at_once, sender).await
            }
            Backend::Postgres(conn) => {
                send(sqlx::query(AssertSqlSafe(sql)).fetch(&mut **conn), at_once, sender).await
            }
        }
    };
    let writing = async move {
        while let Some(lines) = receiver.recv().await {
            to.write(
                Priority::Normal,
                work!(|tx| {
                    for some in lines.chunks(A_STATEMENT) {
                        insert(tx, table, some).await?;
                    }
                    Ok::<_, Error>(())
                }),
            )
            .await?;
        }
        Ok(())
    };
    futures::try_join!(reading, writing).map(drop)
}

/// A row: its columns and their values.
type Line = Vec<(String, Value)>;

/// The value of a column; the schema uses no other types.
#[derive(Debug, Clone)]
enum Value {
    Number(Option<i64>),
    Text(Option<String>),
    Truth(Option<bool>),
    Bytes(Option<Vec<u8>>),
}

async fn send<R: Row>(
    rows: impl futures::Stream<Item = Result<R, sqlx::Error>>,
    at_once: usize,
    to: mpsc::Sender<Vec<Line>>,
) -> Result<(), Error>
where
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> bool: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    usize: sqlx::ColumnIndex<R>,
{
    let mut chunks = std::pin::pin!(rows.try_chunks(at_once));
    while let Some(chunk) = chunks.try_next().await.map_err(|broken| broken.1)? {
        let lines = chunk.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // If writing has failed, its error is reported there.
        if to.send(lines).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn read<R: Row>(row: &R) -> Result<Line, Error>
where
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> bool: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    usize: sqlx::ColumnIndex<R>,
{
    let columns = row.columns().iter().enumerate();
    columns
        .map(|(at, column)| {
            let value = match type_of::<R::Database>(column) {
                "INTEGER" | "BIGINT" | "INT8" => Value::Number(row.try_get(at)?),
                "TEXT" => Value::Text(row.try_get(at)?),
                "BOOLEAN" | "BOOL" => Value::Truth(row.try_get(at)?),
                "BLOB" | "BYTEA" => Value::Bytes(row.try_get(at)?),
                other => {
                    let why = format!("the column {} has the type {other}", column.name());
                    return Err(Error::Unreadable { what: "row", why });
                }
            };
            Ok((column.name().to_owned(), value))
        })
        .collect()
}

fn type_of<D: Driver>(column: &D::Column) -> &str {
    column.type_info().name()
}

async fn insert(tx: &mut Tx, table: &str, lines: &[Line]) -> Result<(), Error> {
    let Some(first) = lines.first() else { return Ok(()) };
    let columns: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let width = columns.len();
    let row = |number: usize| {
        let places: Vec<String> = (1..=width).map(|column| format!("${}", number * width + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..lines.len()).map(row).collect();
    let overriding =
        if tx.is_postgres() && NUMBERED.contains(&table) { "OVERRIDING SYSTEM VALUE" } else { "" };
    let sql = format!("INSERT INTO {table} ({}) {overriding} VALUES {}", columns.join(", "), rows.join(", "));
    macro_rules! bound {
        ($conn:expr) => {{
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (_, value) in lines.iter().flatten().cloned() {
                query = match value {
                    Value::Number(number) => query.bind(number),
                    Value::Text(text) => query.bind(text),
                    Value::Truth(truth) => query.bind(truth),
                    Value::Bytes(bytes) => query.bind(bytes),
                };
            }
            query.execute(&mut **$conn).await.map(drop)
        }};
    }
    match &mut tx.conn.backend {
        Backend::Sqlite(conn) => bound!(conn)?,
        Backend::Postgres(conn) => bound!(conn)?,
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::conn::rows;
    use std::fs;
    use std::path::{Path, PathBuf};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_settled_file_contains_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("longshore.db"), folder.path().join("copy.db"));
        let log = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
        let db = Database::open(path.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        db.write(Priority::Normal, work!(|tx| settings::put(tx, "key", "value").await)).await.unwrap();
        fs::copy(&path, &copy).unwrap();
        assert!(fs::copy(log(&path), log(&copy)).unwrap() > 0, "the value is in the log");
        settle(copy.to_str().unwrap()).await.unwrap();
        assert!(!log(&copy).exists());
        let settled =
            Database::open_as_it_is(copy.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let read = settings::get(&mut settled.read().await.unwrap(), "key").await.unwrap();
        assert_eq!(read.as_deref(), Some("value"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_table_is_either_copied_or_listed_as_an_exception() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("longshore.db");
        let db = Database::open(path.to_str().unwrap(), Vault::from_key([7; 32])).await.unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '_sqlx%'";
        let conn = &mut db.read().await.unwrap();
        let mut there: Vec<String> =
            rows!(conn, (String,), sql).unwrap().into_iter().map(|(name,)| name).collect();
        let mut known: Vec<&str> = TABLES.iter().chain(STAY).copied().collect();
        there.sort();
        known.sort_unstable();
        assert_eq!(there, known);
    }
}
