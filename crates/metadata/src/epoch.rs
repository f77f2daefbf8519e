//! How far the database has come (semantics 29): a number that only ever grows, of which a copy is kept beside
//! the data. A database with a smaller number than the copy is an older one that was put back. When it is
//! advanced, and where the copy is, is decided elsewhere.

use crate::{Conn, Error, Tx, conn::row, convert, settings};
use longshore_model::Timestamp;

const EPOCH: &str = "epoch";
/// Under this key stands, in a database that is a backup, when it was made.
const BACKUP: &str = "backup of";

/// The number; 0 when the database has none yet.
pub async fn get(conn: &mut Conn) -> Result<u64, Error> {
    let stored = settings::get(conn, EPOCH).await?;
    stored.map_or(Ok(0), |stored| convert::parse("epoch", &stored))
}

/// Advances the number, beyond `beyond` too, and answers it.
pub async fn advance(tx: &mut Tx, beyond: u64) -> Result<u64, Error> {
    let sql = "INSERT INTO settings (key, value) VALUES ($1, CAST($2 AS TEXT))
               ON CONFLICT (key) DO UPDATE SET value = CAST(
                   CASE WHEN CAST(settings.value AS BIGINT) < $2 THEN $2
                        ELSE CAST(settings.value AS BIGINT) + 1 END AS TEXT)
               RETURNING value";
    let next = beyond.saturating_add(1).cast_signed();
    let advanced: Option<(String,)> = row!(tx.conn, (String,), sql, EPOCH, next)?;
    advanced.map_or(Ok(0), |(advanced,)| convert::parse("epoch", &advanced))
}

/// Marks a database as a backup that was made at an instant.
pub async fn mark_backup(tx: &mut Tx, at: Timestamp) -> Result<(), Error> {
    settings::put(tx, BACKUP, &at.to_string()).await
}

/// When the backup was made which this database is; none where it is no backup.
pub async fn backup_made_at(conn: &mut Conn) -> Result<Option<Timestamp>, Error> {
    let stored = settings::get(conn, BACKUP).await?;
    stored.map(|stored| convert::parse("time of a backup", &stored)).transpose()
}

/// The backup serves from now on, and is none any more.
pub async fn unmark_backup(tx: &mut Tx) -> Result<(), Error> {
    settings::remove(tx, BACKUP).await
}
