//! What nothing needs any more (semantics 23): manifests that no tag leads to, blobs that no manifest
//! names, repositories that cannot be brought back. Here such rows are found and removed, some at a
//! time; in which order, and what becomes of the bytes, is `content`'s business.

use crate::{
    Conn, Error, Tx,
    blobs::BlobRow,
    conn::{change, row, rows, value},
    convert::{from_json, id, json, maybe_instant, micros, parse},
};
use jiff::SignedDuration;
use longshore_model::{
    RepositoryId, Timestamp, UploadId,
    job::{Action, Parameters},
};
use longshore_oci::Digest;

/// Before which instants things without a root may go.
#[derive(Debug, Clone, Copy)]
pub struct Cutoffs {
    /// Manifests that came, and lost their last tag, before; none: they stay for ever.
    pub untagged: Option<Timestamp>,
    /// Tags that were moved or deleted before, and repositories that were deleted before, cannot be
    /// brought back.
    pub undo: Timestamp,
    /// Blobs and manifests that came before and that nothing names were forgotten by who pushed them.
    pub parts: Timestamp,
    /// Uploads that have not grown since then are nobody's.
    pub uploads: Timestamp,
}

/// How a repository stands, as the collection of garbage sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is in use.
    Present,
    /// It was deleted then.
    Deleted(Timestamp),
    /// It is no more.
    Gone,
}

/// The first repository behind `after`, deleted ones too.
pub async fn next_repository(
    conn: &mut Conn,
    after: Option<RepositoryId>,
) -> Result<Option<RepositoryId>, Error> {
    let sql = "SELECT id FROM repositories WHERE id > $1 ORDER BY id LIMIT 1";
    let found = row!(conn, (String,), sql, after.map(|after| after.to_string()).unwrap_or_default())?;
    found.map(|(next,)| id(RepositoryId, &next)).transpose()
}

/// How a repository stands now. Asked behind [`crate::tags::lock_changes`], it stays so until the transaction ends.
pub async fn standing(tx: &mut Tx, repository: RepositoryId) -> Result<Standing, Error> {
    let sql = "SELECT deleted_at FROM repositories WHERE id = $1";
    Ok(match row!(tx.conn, (Option<i64>,), sql, repository.to_string())? {
        None => Standing::Gone,
        Some((deleted_at,)) => maybe_instant(deleted_at)?.map_or(Standing::Present, Standing::Deleted),
    })
}

/// What a transfer finds in place may have come so long before it without anybody noting that it is relied upon.
const FOUND: SignedDuration = SignedDuration::from_hours(6);

/// Since when a repository's unfinished polls have brought content in, or relied on what is there: all of that
/// stays until they end, however long they take. One lookup of the repository's unfinished jobs.
async fn transfers_since(conn: &mut Conn, repository: RepositoryId) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT MIN(created_at) FROM jobs
               WHERE repository = $1 AND action = $2 AND status IN ('waiting', 'running')";
    let since = value!(conn, Option<i64>, sql, repository.to_string(), Action::PollMirror.as_str())?;
    Ok(maybe_instant(since)?.map(|since| since - FOUND))
}

/// The manifests of a repository that no root leads to. Roots are its tags, the tags that can still be
/// brought back, what has only just come or came by a poll that has not ended and was not deleted, and what an
/// unfinished job is about; children live as long as a parent does, referrers as long as their subject.
pub async fn rootless_manifests(
    conn: &mut Conn,
    repository: RepositoryId,
    cutoffs: &Cutoffs,
) -> Result<Vec<Digest>, Error> {
    // What nobody deleted stays for ever where no time is set.
    let untagged = cutoffs.untagged.unwrap_or(Timestamp::MIN);
    let came = transfers_since(conn, repository).await?.map_or(untagged, |since| since.min(untagged));
    let in_jobs = json(&in_jobs(conn, repository).await?);
    let found = rows!(
        conn,
        (String,),
        r#"WITH RECURSIVE live (digest) AS (
               SELECT roots.digest FROM (
                   SELECT t.digest FROM tags t WHERE t.repository = $1
                   UNION
                   SELECT l.digest FROM repository_manifests l
                   WHERE l.repository = $1
                     AND (l.linked_at >= $2 AND l.removed_at IS NULL
                          OR REPLACE($4, '"' || l.digest || '"', '') <> $4)
                   UNION
                   SELECT c.digest FROM tag_changes c
                   JOIN repository_manifests l ON l.repository = c.repository AND l.digest = c.digest
                   WHERE c.repository = $1
                     AND (SELECT n.at FROM tag_changes n
                          WHERE n.repository = c.repository AND n.name = c.name AND n.revision > c.revision
                          ORDER BY n.revision LIMIT 1) >= CASE WHEN l.removed_at IS NULL THEN $3 ELSE $5 END
               ) roots
               UNION
               SELECT CASE WHEN e.parent = v.digest THEN e.child ELSE e.parent END
               FROM live v JOIN manifest_edges e
                 ON (e.parent = v.digest AND e.role = 'child') OR (e.child = v.digest AND e.role = 'subject')
           )
           SELECT l.digest FROM repository_manifests l
           WHERE l.repository = $1 AND l.digest NOT IN (SELECT digest FROM live WHERE digest IS NOT NULL)
           ORDER BY l.digest"#,
        repository.to_string(),
        micros(came),
        micros(untagged.min(cutoffs.undo)),
        in_jobs,
        micros(cutoffs.undo)
    )?;
    found.iter().map(|(digest,)| parse("digest", digest)).collect()
}

/// What the unfinished jobs of a repository are about.
async fn in_jobs(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<Digest>, Error> {
    let sql = "SELECT parameters FROM jobs WHERE repository = $1 AND status IN ('waiting', 'running')";
    let found = rows!(conn, (String,), sql, repository.to_string())?;
    let mut digests = Vec::new();
    for (parameters,) in found {
        match from_json("job parameters", &parameters)? {
            Parameters::EvaluateTag { digest, .. } | Parameters::PushTag { digest, .. } => {
                digests.push(digest)
            }
            Parameters::FollowSubject { referrer, subject, .. } => digests.extend([referrer, subject]),
            Parameters::ApplyPolicy { .. }
            | Parameters::Poll { .. }
            | Parameters::PollAll
            | Parameters::CollectGarbage { .. }
            | Parameters::Scrub => {}
        }
    }
    Ok(digests)
}

/// Takes a manifest from a repository.
pub async fn unlink_manifest(tx: &mut Tx, repository: RepositoryId, digest: &Digest) -> Result<(), Error> {
    let sql = "DELETE FROM repository_manifests WHERE repository = $1 AND digest = $2";
    change!(tx.conn, sql, repository.to_string(), digest.as_str())?;
    Ok(())
}

/// Takes from a repository the blobs that none of its manifests names, and answers which. What a poll that has not
/// ended has brought will be named by the manifest that comes last.
pub async fn unlink_loose_blobs(
    tx: &mut Tx,
    repository: RepositoryId,
    cutoffs: &Cutoffs,
) -> Result<Vec<Digest>, Error> {
    let parts =
        transfers_since(tx, repository).await?.map_or(cutoffs.parts, |since| since.min(cutoffs.parts));
    let taken = rows!(
        tx.conn,
        (String,),
        "DELETE FROM repository_blobs
         WHERE repository = $1 AND linked_at < $2 AND NOT EXISTS (
             SELECT 1 FROM manifest_edges e
             JOIN repository_manifests l ON l.repository = $1 AND l.digest = e.parent
             WHERE e.child = repository_blobs.digest AND e.role IN ('config', 'layer'))
         RETURNING digest",
        repository.to_string(),
        micros(parts)
    )?;
    taken.iter().map(|(digest,)| parse("digest", digest)).collect()
}

/// Empties a deleted repository and gives its name free: answers its manifests and its blobs.
pub async fn purge(tx: &mut Tx, repository: RepositoryId) -> Result<(u64, Vec<Digest>), Error> {
    let id = repository.to_string();
    change!(tx.conn, "DELETE FROM tags WHERE repository = $1", id.as_str())?;
    change!(tx.conn, "DELETE FROM tag_changes WHERE repository = $1", id.as_str())?;
    change!(tx.conn, "DELETE FROM uploads WHERE repository = $1", id.as_str())?;
    change!(tx.conn, "DELETE FROM verdicts WHERE repository = $1", id.as_str())?;
    let sql = "DELETE FROM repository_manifests WHERE repository = $1";
    let manifests = change!(tx.conn, sql, id.as_str())?;
    let sql = "DELETE FROM repository_blobs WHERE repository = $1 RETURNING digest";
    let blobs = rows!(tx.conn, (String,), sql, id.as_str())?;
    change!(tx.conn, "DELETE FROM policies WHERE repository = $1 OR target = $1", id.as_str())?;
    change!(tx.conn, "DELETE FROM repositories WHERE id = $1 AND deleted_at IS NOT NULL", id.as_str())?;
    let blobs = blobs.iter().map(|(digest,)| parse("digest", digest)).collect::<Result<_, _>>()?;
    Ok((manifests, blobs))
}

/// The size of a blob that came long enough ago to go, and how many repositories have it.
pub async fn holders(conn: &mut Conn, blob: &Digest, cutoffs: &Cutoffs) -> Result<Option<(u64, u64)>, Error> {
    let sql = "SELECT b.size, (SELECT COUNT(*) FROM repository_blobs l WHERE l.digest = b.digest)
               FROM blobs b WHERE b.digest = $1 AND b.created_at < $2";
    let found: Option<(i64, i64)> = row!(conn, (i64, i64), sql, blob.as_str(), micros(cutoffs.parts))?;
    Ok(found.map(|(size, holders)| (size.unsigned_abs(), holders.unsigned_abs())))
}

/// Forgets manifests that no repository has, at most `limit`; how many these were.
pub async fn forget_manifests(tx: &mut Tx, cutoffs: &Cutoffs, limit: i64) -> Result<u64, Error> {
    let loose = rows!(
        tx.conn,
        (String,),
        "SELECT m.digest FROM manifests m
         WHERE m.created_at < $1 AND NOT EXISTS (SELECT 1 FROM repository_manifests l WHERE l.digest = m.digest)
         LIMIT $2",
        micros(cutoffs.parts),
        limit
    )?;
    for (digest,) in &loose {
        change!(tx.conn, "DELETE FROM manifest_edges WHERE parent = $1", digest.as_str())?;
        change!(tx.conn, "DELETE FROM manifests WHERE digest = $1", digest.as_str())?;
    }
    Ok(loose.len() as u64)
}

/// How many blobs [`condemn_blobs`] would find, and how many bytes they have.
pub async fn loose_blobs(conn: &mut Conn, cutoffs: &Cutoffs) -> Result<(u64, u64), Error> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(b.size), 0) AS BIGINT) FROM blobs b
               WHERE b.created_at < $1 AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = b.digest)";
    let (count, bytes): (i64, i64) = row!(conn, (i64, i64), sql, micros(cutoffs.parts))?.unwrap_or_default();
    Ok((count.unsigned_abs(), bytes.unsigned_abs()))
}

/// Forgets blobs that no repository has, at most `limit`, and condemns their bytes. How many.
pub async fn condemn_blobs(tx: &mut Tx, cutoffs: &Cutoffs, limit: i64) -> Result<u64, Error> {
    let loose = rows!(
        tx.conn,
        (String, String, i64),
        "SELECT b.digest, b.location, b.size FROM blobs b
         WHERE b.created_at < $1 AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = b.digest)
         LIMIT $2",
        micros(cutoffs.parts),
        limit
    )?;
    for (digest, location, size) in &loose {
        change!(tx.conn, "DELETE FROM blobs WHERE digest = $1", digest.as_str())?;
        condemn(tx, location, size.unsigned_abs()).await?;
    }
    Ok(loose.len() as u64)
}

/// Condemns bytes: they are removed with the next garbage, unless they are a blob by then.
pub async fn condemn(tx: &mut Tx, location: &str, size: u64) -> Result<(), Error> {
    let sql = "INSERT INTO condemned_blobs (location, size) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    change!(tx.conn, sql, location, size.cast_signed())?;
    Ok(())
}

/// Bytes that are condemned, at most `limit`.
pub async fn condemned(conn: &mut Conn, limit: i64) -> Result<Vec<BlobRow>, Error> {
    let sql = "SELECT size, location FROM condemned_blobs ORDER BY location LIMIT $1";
    let found = rows!(conn, (i64, String), sql, limit)?;
    Ok(found.into_iter().map(|(size, location)| BlobRow { size: size.unsigned_abs(), location }).collect())
}

/// Whether a blob is at this place of the store: one that was pushed again may be.
pub async fn is_used(conn: &mut Conn, location: &str) -> Result<bool, Error> {
    Ok(value!(conn, i64, "SELECT COUNT(*) FROM blobs WHERE location = $1", location)? > 0)
}

/// Whether a row names this place of the store, or an upload is under way that may come to it.
pub async fn is_known(conn: &mut Conn, location: &str) -> Result<bool, Error> {
    let sql = "SELECT (SELECT COUNT(*) FROM blobs WHERE location = $1)
                    + (SELECT COUNT(*) FROM condemned_blobs WHERE location = $1)
                    + (SELECT COUNT(*) FROM uploads WHERE $1 LIKE '%' || id || '%')";
    Ok(value!(conn, i64, sql, location)? > 0)
}

/// Strikes bytes that are gone, or in use again, from the list of the condemned.
pub async fn spare(tx: &mut Tx, location: &str) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM condemned_blobs WHERE location = $1", location)?;
    Ok(())
}

/// Uploads that have not grown for long.
pub async fn stale_uploads(conn: &mut Conn, cutoffs: &Cutoffs) -> Result<Vec<UploadId>, Error> {
    let sql = "SELECT id FROM uploads WHERE updated_at < $1";
    let found = rows!(conn, (String,), sql, micros(cutoffs.uploads))?;
    found.iter().map(|(upload,)| id(UploadId, upload)).collect()
}
