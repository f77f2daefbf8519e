//! Which blobs are stored, and which repositories have them. The bytes are `content`'s.

use crate::{
    Conn, Error, Tx,
    conn::{change, row},
    convert::micros,
};
use longshore_model::{RepositoryId, Timestamp};
use longshore_oci::Digest;

/// A stored blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// Its length in bytes.
    pub size: u64,
    /// Where the store keeps it.
    pub location: String,
}

fn blob((size, location): (i64, String)) -> BlobRow {
    BlobRow { size: size.unsigned_abs(), location }
}

/// Records a blob that is stored; one that is known already stays as it is.
pub async fn record(
    tx: &mut Tx,
    digest: &Digest,
    size: u64,
    location: &str,
    now: Timestamp,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO blobs (digest, size, location, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO NOTHING",
        digest.as_str(),
        size.cast_signed(),
        location,
        micros(now)
    )?;
    Ok(())
}

/// A blob, whichever repository has it.
pub async fn find(conn: &mut Conn, digest: &Digest) -> Result<Option<BlobRow>, Error> {
    let sql = "SELECT size, location FROM blobs WHERE digest = $1";
    Ok(row!(conn, (i64, String), sql, digest.as_str())?.map(blob))
}

/// Gives a repository a blob that is recorded.
pub async fn link(tx: &mut Tx, repository: RepositoryId, digest: &Digest) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO repository_blobs (repository, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        repository.to_string(),
        digest.as_str()
    )?;
    Ok(())
}

/// A blob, if the repository has it.
pub async fn linked(
    conn: &mut Conn,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<BlobRow>, Error> {
    let sql = "SELECT b.size, b.location FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
               WHERE l.repository = $1 AND l.digest = $2";
    Ok(row!(conn, (i64, String), sql, repository.to_string(), digest.as_str())?.map(blob))
}

/// Takes a blob from a repository; whether it had it.
pub async fn unlink(tx: &mut Tx, repository: RepositoryId, digest: &Digest) -> Result<bool, Error> {
    let sql = "DELETE FROM repository_blobs WHERE repository = $1 AND digest = $2";
    Ok(change!(tx.conn, sql, repository.to_string(), digest.as_str())? > 0)
}
