//! Uploads that are under way: how far each is, and the state of its hash.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{id, instant, micros, parse},
};
use longshore_model::{BootId, RepositoryId, Timestamp, UploadId};
use longshore_oci::{Algorithm, Namespace};

/// An upload under way.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its identifier.
    pub id: UploadId,
    /// Where to.
    pub repository: RepositoryId,
    /// What it is hashed with.
    pub algorithm: Algorithm,
    /// How many bytes are durable.
    pub offset: u64,
    /// The state of the hash over them.
    pub hash_state: Vec<u8>,
    /// By what the store finds them, besides the identifier.
    pub bookmark: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last grew.
    pub updated_at: Timestamp,
    /// How many bytes its namespace may hold, where that is limited.
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

/// Begins an upload at offset 0.
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

/// An upload.
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

/// How many bytes the unfinished uploads to a namespace have together.
pub async fn bytes_in_namespace(conn: &mut Conn, namespace: &Namespace) -> Result<u64, Error> {
    let sql = "SELECT CAST(COALESCE(SUM(u.received), 0) AS BIGINT)
               FROM uploads u JOIN repositories r ON r.id = u.repository WHERE r.namespace = $1";
    Ok(value!(conn, i64, sql, namespace.as_str())?.unsigned_abs())
}

/// How many uploads to a repository are not finished, counted up to `most`.
pub async fn count_in(conn: &mut Conn, repository: RepositoryId, most: i64) -> Result<u64, Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM uploads WHERE repository = $1 LIMIT $2) pending";
    Ok(value!(conn, i64, sql, repository.to_string(), most)?.unsigned_abs())
}

/// Unfinished uploads to a namespace that have not grown since an instant, the oldest first, at most
/// `limit`.
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

/// Takes an upload for one server until an instant, or prolongs that; false while another has it.
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

/// Lets go of an upload, so that another server need not wait.
pub async fn release(tx: &mut Tx, upload: UploadId, by: BootId) -> Result<(), Error> {
    let sql = "UPDATE uploads SET claimed_by = NULL, claimed_until = NULL WHERE id = $1 AND claimed_by = $2";
    change!(tx.conn, sql, upload.to_string(), by.to_string())?;
    Ok(())
}

/// What was saved of an upload.
#[derive(Debug, Clone)]
pub struct Saved {
    /// How many bytes it had before,
    pub from: u64,
    /// and has now.
    pub to: u64,
    /// The state of the hash over them.
    pub hash_state: Vec<u8>,
    /// By what the store finds them, besides the identifier.
    pub bookmark: Option<String>,
}

/// Moves an upload on, and lets go of it; false when it is elsewhere, because somebody else did or has it now.
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

/// Ends an upload that became a blob; false when it has ended already, or another server has it.
pub async fn finish(tx: &mut Tx, upload: UploadId, by: BootId) -> Result<bool, Error> {
    let sql = "DELETE FROM uploads WHERE id = $1 AND (claimed_by IS NULL OR claimed_by = $2)";
    Ok(change!(tx.conn, sql, upload.to_string(), by.to_string())? > 0)
}

/// Ends an upload, finished or not.
pub async fn delete(tx: &mut Tx, upload: UploadId) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM uploads WHERE id = $1", upload.to_string())?;
    Ok(())
}
