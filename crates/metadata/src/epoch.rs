//! The epoch of the database (semantics 29): a number that only grows. A copy of it, the mark, is kept beside the data;
//! a database with a smaller epoch than the mark is an older one that was restored. Other modules decide when the epoch
//! is advanced and where the mark is kept.

use crate::{Conn, Error, Tx, conn::row, convert, settings};
use longshore_model::Timestamp;

const EPOCH: &str = "epoch";
/// The key of the time at which the backup was made; set only in a backup.
const BACKUP: &str = "backup of";

/// The epoch; 0 if the database has none yet.
pub async fn get(conn: &mut Conn) -> Result<u64, Error> {
    let stored = settings::get(conn, EPOCH).await?;
    stored.map_or(Ok(0), |stored| convert::parse("epoch", &stored))
}

/// Advances the epoch, to more than `beyond`; returns the new one.
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

/// Marks the database as a backup that was made at this instant.
pub async fn mark_backup(tx: &mut Tx, at: Timestamp) -> Result<(), Error> {
    settings::put(tx, BACKUP, &at.to_string()).await
}

/// When this backup was made; `None` if the database is not a backup.
pub async fn backup_made_at(conn: &mut Conn) -> Result<Option<Timestamp>, Error> {
    let stored = settings::get(conn, BACKUP).await?;
    stored.map(|stored| convert::parse("time of a backup", &stored)).transpose()
}

/// Removes the mark of a backup, because a server starts on it.
pub async fn unmark_backup(tx: &mut Tx) -> Result<(), Error> {
    settings::remove(tx, BACKUP).await
}
