//! The stored blobs, and the repositories that link them. The bytes are in `content`.

use crate::{
    Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{instant, micros, parse},
    visible::{Visible, visible},
};
use longshore_model::{RepositoryId, Timestamp};
use longshore_oci::{Digest, RepositoryName};

/// A stored blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// In bytes.
    pub size: u64,
    /// Where the store has it.
    pub location: String,
}

fn blob((size, location): (i64, String)) -> BlobRow {
    BlobRow { size: size.unsigned_abs(), location }
}

/// Records a stored blob; returns its location. A blob that is already recorded keeps its location.
pub async fn record(
    tx: &mut Tx,
    digest: &Digest,
    size: u64,
    location: &str,
    now: Timestamp,
) -> Result<String, Error> {
    // Bytes that were just stored at the location of a damaged blob are intact.
    Ok(value!(
        tx.conn,
        String,
        "INSERT INTO blobs (digest, size, location, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (digest) DO UPDATE
         SET damaged_at = CASE WHEN blobs.location = excluded.location THEN NULL ELSE blobs.damaged_at END
         RETURNING location",
        digest.as_str(),
        size.cast_signed(),
        location,
        micros(now)
    )?)
}

/// A blob, whichever repository has it.
pub async fn find(conn: &mut Conn, digest: &Digest) -> Result<Option<BlobRow>, Error> {
    let sql = "SELECT size, location FROM blobs WHERE digest = $1";
    Ok(row!(conn, (i64, String), sql, digest.as_str())?.map(blob))
}

/// A blob that is not recorded as damaged, whichever repository has it.
pub async fn find_sound(conn: &mut Conn, digest: &Digest) -> Result<Option<BlobRow>, Error> {
    let sql = "SELECT size, location FROM blobs WHERE digest = $1 AND damaged_at IS NULL";
    Ok(row!(conn, (i64, String), sql, digest.as_str())?.map(blob))
}

/// The first blob after `after`, ordered by digest.
pub async fn next(conn: &mut Conn, after: Option<&Digest>) -> Result<Option<(Digest, BlobRow)>, Error> {
    let sql = "SELECT digest, size, location FROM blobs WHERE digest > $1 ORDER BY digest LIMIT 1";
    let found: Option<(String, i64, String)> =
        row!(conn, (String, i64, String), sql, after.map_or("", Digest::as_str))?;
    found.map(|(digest, size, location)| Ok((parse("digest", &digest)?, blob((size, location))))).transpose()
}

/// The number of blobs, and the sum of their bytes.
pub async fn totals(conn: &mut Conn) -> Result<(u64, u64), Error> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs";
    let (count, bytes): (i64, i64) = row!(conn, (i64, i64), sql)?.unwrap_or_default();
    Ok((count.unsigned_abs(), bytes.unsigned_abs()))
}

/// The repositories that have a blob, by name.
pub async fn repositories_with(conn: &mut Conn, digest: &Digest) -> Result<Vec<RepositoryName>, Error> {
    let sql = "SELECT r.name FROM repository_blobs l JOIN repositories r ON r.id = l.repository
               WHERE l.digest = $1 AND r.deleted_at IS NULL ORDER BY 1";
    let names = rows!(conn, (String,), sql, digest.as_str())?;
    names.iter().map(|(name,)| parse("repository name", name)).collect()
}

/// Removes the row of a blob that no repository has. The caller removes its bytes.
pub async fn forget(tx: &mut Tx, digest: &Digest) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM blobs WHERE digest = $1", digest.as_str())?;
    Ok(())
}

/// Records that a blob is damaged, or intact again. A damaged blob is in no repository until it is pushed again:
/// clients skip existing blobs, so they would never push it.
pub async fn note_damage(tx: &mut Tx, digest: &Digest, since: Option<Timestamp>) -> Result<(), Error> {
    let sql = "UPDATE blobs SET damaged_at = $2 WHERE digest = $1";
    change!(tx.conn, sql, digest.as_str(), since.map(micros))?;
    Ok(())
}

/// The blobs that are recorded as damaged.
pub async fn damaged(conn: &mut Conn) -> Result<Vec<Digest>, Error> {
    let found = rows!(conn, (String,), "SELECT digest FROM blobs WHERE damaged_at IS NOT NULL")?;
    found.iter().map(|(digest,)| parse("digest", digest)).collect()
}

/// Records that a blob is now at another location and intact, and condemns the bytes at the old one.
pub async fn relocate(tx: &mut Tx, digest: &Digest, location: &str) -> Result<(), Error> {
    let old = "INSERT INTO condemned_blobs (location, size)
               SELECT location, size FROM blobs WHERE digest = $1 AND location <> $2 ON CONFLICT DO NOTHING";
    change!(tx.conn, old, digest.as_str(), location)?;
    change!(
        tx.conn,
        "UPDATE blobs SET location = $2, damaged_at = NULL WHERE digest = $1",
        digest.as_str(),
        location
    )?;
    Ok(())
}

/// Links a recorded blob into a repository. If it is already linked, the time is updated, so that it is kept until a
/// manifest names it.
pub async fn link(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
    now: Timestamp,
) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO repository_blobs (repository, digest, linked_at, namespace, size)
         VALUES ($1, $2, $3, COALESCE((SELECT r.namespace FROM repositories r WHERE r.id = $1), ''),
                 COALESCE((SELECT b.size FROM blobs b WHERE b.digest = $2), 0))
         ON CONFLICT (repository, digest) DO UPDATE SET linked_at = excluded.linked_at",
        repository.to_string(),
        digest.as_str(),
        micros(now)
    )?;
    Ok(())
}

/// A blob and the time it was last linked, if the repository has it and it is not recorded as damaged.
pub async fn linked(
    conn: &mut Conn,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<(BlobRow, Timestamp)>, Error> {
    let sql =
        "SELECT b.size, b.location, l.linked_at FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
               WHERE l.repository = $1 AND l.digest = $2 AND b.damaged_at IS NULL";
    let found: Option<(i64, String, i64)> =
        row!(conn, (i64, String, i64), sql, repository.to_string(), digest.as_str())?;
    found.map(|(size, location, at)| Ok((blob((size, location)), instant(at)?))).transpose()
}

/// A blob, if any of the repositories in `visible` has it and it is not recorded as damaged.
pub async fn linked_in_any(
    conn: &mut Conn,
    visible: &Visible,
    digest: &Digest,
) -> Result<Option<BlobRow>, Error> {
    let (everything, public, namespaces) = visible.columns();
    let sql = concat!(
        "SELECT b.size, b.location
         FROM repository_blobs l JOIN repositories r ON r.id = l.repository JOIN blobs b ON b.digest = l.digest
         WHERE l.digest = $4 AND r.deleted_at IS NULL AND b.damaged_at IS NULL AND ",
        visible!("r", "$1", "$2", "$3"),
        " LIMIT 1"
    );
    let found = row!(conn, (i64, String), sql, everything, public, namespaces, digest.as_str())?;
    Ok(found.map(blob))
}

/// Updates the time of a link as if the blob had just been pushed; returns whether the repository still has it.
pub async fn touch(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE repository_blobs SET linked_at = $3 WHERE repository = $1 AND digest = $2";
    Ok(change!(tx.conn, sql, repository.to_string(), digest.as_str(), micros(now))? > 0)
}

/// Unlinks a blob from a repository; returns whether the repository had it.
pub async fn unlink(tx: &mut Tx, repository: RepositoryId, digest: &Digest) -> Result<bool, Error> {
    let sql = "DELETE FROM repository_blobs WHERE repository = $1 AND digest = $2";
    Ok(change!(tx.conn, sql, repository.to_string(), digest.as_str())? > 0)
}
