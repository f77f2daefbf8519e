//! Unfinished uploads: their offsets, and the states of their hashes.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{id, instant, micros, parse},
};
use longshore_model::{BootId, RepositoryId, Timestamp, UploadId};
use longshore_oci::{Algorithm, Namespace};

/// An unfinished upload.
#[derive(Debug, Clone)]
pub struct Upload {
    pub id: UploadId,
    pub repository: RepositoryId,
    pub algorithm: Algorithm,
    /// The number of durable bytes.
    pub offset: u64,
    /// The state of the hash of these bytes.
    pub hash_state: Vec<u8>,
    /// What the store needs, besides the ID, to find the bytes.
    pub bookmark: Option<String>,
    pub created_at: Timestamp,
    /// When it last grew.
    pub updated_at: Timestamp,
    /// The quota of its namespace in bytes, if any.
    pub quota: Option<u64>,
}

from_row! {
    struct Row {
        id: String,
        repository: String,
        algorithm: String,
        received: i64,
        hash_state: Vec<u8>,
        bookmark: Option<String>,
        created_at: i64,
        updated_at: i64,
        quota: Option<i64>,
    }
}

/// Creates an upload at offset 0.
pub async fn create(
    tx: &mut Tx,
    upload: UploadId,
    repository: RepositoryId,
    algorithm: Algorithm,
    hash_state: &[u8],
    now: Timestamp,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO uploads (id, repository, algorithm, received, hash_state, created_at, updated_at)
         VALUES ($1, $2, $3, 0, $4, $5, $5)",
        upload.to_string(),
        repository.to_string(),
        algorithm.to_string(),
        hash_state,
        micros(now)
    )?;
    Ok(())
}

/// The upload with this ID.
pub async fn get(conn: &mut Conn, upload: UploadId) -> Result<Option<Upload>, Error> {
    let sql = "SELECT u.id, u.repository, u.algorithm, u.received, u.hash_state, u.bookmark, u.created_at, u.updated_at,
                      (SELECT a.quota FROM repositories r JOIN accounts a ON a.name = r.namespace
                       WHERE r.id = u.repository) AS quota
               FROM uploads u WHERE u.id = $1";
    let Some(row) = row!(conn, Row, sql, upload.to_string())? else { return Ok(None) };
    Ok(Some(Upload {
        id: id(UploadId, &row.id)?,
        repository: id(RepositoryId, &row.repository)?,
        algorithm: parse("digest algorithm", &row.algorithm)?,
        offset: row.received.unsigned_abs(),
        hash_state: row.hash_state,
        bookmark: row.bookmark,
        created_at: instant(row.created_at)?,
        updated_at: instant(row.updated_at)?,
        quota: row.quota.map(i64::unsigned_abs),
    }))
}

/// The sum of the bytes of unfinished uploads to a namespace.
pub async fn bytes_in_namespace(conn: &mut Conn, namespace: &Namespace) -> Result<u64, Error> {
    let sql = "SELECT CAST(COALESCE(SUM(u.received), 0) AS BIGINT)
               FROM uploads u JOIN repositories r ON r.id = u.repository WHERE r.namespace = $1";
    Ok(value!(conn, i64, sql, namespace.as_str())?.unsigned_abs())
}

/// The number of unfinished uploads to a repository, counted up to `most`.
pub async fn count_in(conn: &mut Conn, repository: RepositoryId, most: i64) -> Result<u64, Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM uploads WHERE repository = $1 LIMIT $2) pending";
    Ok(value!(conn, i64, sql, repository.to_string(), most)?.unsigned_abs())
}

/// Unfinished uploads to a namespace that have not grown since an instant, oldest first, at most `limit`.
pub async fn idle_in_namespace(
    conn: &mut Conn,
    namespace: &Namespace,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<UploadId>, Error> {
    let sql = "SELECT u.id FROM uploads u JOIN repositories r ON r.id = u.repository
               WHERE r.namespace = $1 AND u.updated_at < $2 AND u.received > 0
               ORDER BY u.updated_at LIMIT $3";
    let found = rows!(conn, (String,), sql, namespace.as_str(), micros(since), limit)?;
    found.iter().map(|(upload,)| id(UploadId, upload)).collect()
}

/// Claims an upload for one server until an instant, or extends the claim; returns false if another server has claimed
/// it.
pub async fn claim(
    tx: &mut Tx,
    upload: UploadId,
    by: BootId,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, Error> {
    let claimed = change!(
        tx.conn,
        "UPDATE uploads SET claimed_by = $2, claimed_until = $4
         WHERE id = $1 AND (claimed_by IS NULL OR claimed_by = $2 OR claimed_until < $3)",
        upload.to_string(),
        by.to_string(),
        micros(now),
        micros(until)
    )?;
    Ok(claimed > 0)
}

/// Releases the claim of an upload, so that another server need not wait.
pub async fn release(tx: &mut Tx, upload: UploadId, by: BootId) -> Result<(), Error> {
    let sql = "UPDATE uploads SET claimed_by = NULL, claimed_until = NULL WHERE id = $1 AND claimed_by = $2";
    change!(tx.conn, sql, upload.to_string(), by.to_string())?;
    Ok(())
}

/// The saved progress of an upload.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The offset before.
    pub from: u64,
    /// The offset now.
    pub to: u64,
    /// The state of the hash of these bytes.
    pub hash_state: Vec<u8>,
    /// What the store needs, besides the ID, to find the bytes.
    pub bookmark: Option<String>,
}

/// Advances an upload and releases its claim; returns false if it has another offset, or another server has claimed it.
pub async fn advance(
    tx: &mut Tx,
    upload: UploadId,
    by: BootId,
    saved: &Saved,
    now: Timestamp,
) -> Result<bool, Error> {
    let moved = change!(
        tx.conn,
        "UPDATE uploads SET received = $3, hash_state = $4, bookmark = $5, updated_at = $6, claimed_by = NULL,
                claimed_until = NULL
         WHERE id = $1 AND received = $2 AND (claimed_by IS NULL OR claimed_by = $7)",
        upload.to_string(),
        saved.from.cast_signed(),
        saved.to.cast_signed(),
        saved.hash_state.as_slice(),
        saved.bookmark.as_deref(),
        micros(now),
        by.to_string()
    )?;
    Ok(moved > 0)
}

/// Removes an upload that became a blob; returns false if it has already ended, or another server has claimed it.
pub async fn finish(tx: &mut Tx, upload: UploadId, by: BootId) -> Result<bool, Error> {
    let sql = "DELETE FROM uploads WHERE id = $1 AND (claimed_by IS NULL OR claimed_by = $2)";
    Ok(change!(tx.conn, sql, upload.to_string(), by.to_string())? > 0)
}

/// Removes an upload, finished or not.
pub async fn delete(tx: &mut Tx, upload: UploadId) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM uploads WHERE id = $1", upload.to_string())?;
    Ok(())
}
