//! Which blobs are stored, and which repositories have them. The bytes are `content`'s.

use crate::{
    Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{instant, micros, parse},
    repositories::{Visible, visible},
};
use longshore_model::{RepositoryId, Timestamp};
use longshore_oci::{Digest, RepositoryName};

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

/// Records a blob that is stored, and answers where the store has it: one that is known already
/// stays where it is.
pub async fn record(
    tx: &mut Tx,
    digest: &Digest,
    size: u64,
    location: &str,
    now: Timestamp,
) -> Result<String, Error> {
    // What was stored in the place of a damaged one is sound.
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

/// A blob that is not known to be damaged, whichever repository has it.
pub async fn find_sound(conn: &mut Conn, digest: &Digest) -> Result<Option<BlobRow>, Error> {
    let sql = "SELECT size, location FROM blobs WHERE digest = $1 AND damaged_at IS NULL";
    Ok(row!(conn, (i64, String), sql, digest.as_str())?.map(blob))
}

/// The first blob behind `after`, in the order of digests.
pub async fn next(conn: &mut Conn, after: Option<&Digest>) -> Result<Option<(Digest, BlobRow)>, Error> {
    let sql = "SELECT digest, size, location FROM blobs WHERE digest > $1 ORDER BY digest LIMIT 1";
    let found: Option<(String, i64, String)> =
        row!(conn, (String, i64, String), sql, after.map_or("", Digest::as_str))?;
    found.map(|(digest, size, location)| Ok((parse("digest", &digest)?, blob((size, location))))).transpose()
}

/// How many blobs there are, and how many bytes they have together.
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

/// Forgets a blob that no repository has. Its bytes are the caller's to remove.
pub async fn forget(tx: &mut Tx, digest: &Digest) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM blobs WHERE digest = $1", digest.as_str())?;
    Ok(())
}

/// Notes that a blob is damaged, or that it is sound again. A damaged one is in no repository until it comes
/// again: clients skip what is there, and would never push it.
pub async fn note_damage(tx: &mut Tx, digest: &Digest, since: Option<Timestamp>) -> Result<(), Error> {
    let sql = "UPDATE blobs SET damaged_at = $2 WHERE digest = $1";
    change!(tx.conn, sql, digest.as_str(), since.map(micros))?;
    Ok(())
}

/// The blobs that are known to be damaged.
pub async fn damaged(conn: &mut Conn) -> Result<Vec<Digest>, Error> {
    let found = rows!(conn, (String,), "SELECT digest FROM blobs WHERE damaged_at IS NOT NULL")?;
    found.iter().map(|(digest,)| parse("digest", digest)).collect()
}

/// Records that a blob is elsewhere now, and sound; the bytes at the old place are to be removed.
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

/// Gives a repository a blob that is recorded. That it came is noted anew, so that it stays until a
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

/// A blob, if the repository has it and it is not known to be damaged, and when it last came there.
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

/// A blob, if any of the repositories in `visible` has it and it is not known to be damaged.
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

/// Notes that a blob of a repository is relied upon, as if it had just come; whether it is still there.
pub async fn touch(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE repository_blobs SET linked_at = $3 WHERE repository = $1 AND digest = $2";
    Ok(change!(tx.conn, sql, repository.to_string(), digest.as_str(), micros(now))? > 0)
}

/// Takes a blob from a repository; whether it had it.
pub async fn unlink(tx: &mut Tx, repository: RepositoryId, digest: &Digest) -> Result<bool, Error> {
    let sql = "DELETE FROM repository_blobs WHERE repository = $1 AND digest = $2";
    Ok(change!(tx.conn, sql, repository.to_string(), digest.as_str())? > 0)
}
