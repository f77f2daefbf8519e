//! Content that is no longer needed (semantics 23): manifests that no tag leads to, blobs that no manifest names, and
//! repositories that can no longer be restored. Candidates are found by reading, a page at a time; removing checks
//! again, in the same transaction. `content` decides the order, and removes the bytes.

use crate::{
    Conn, Error, Tx,
    blobs::BlobRow,
    conn::{change, row, rows, value},
    convert::{id, instant, json, maybe_instant, micros, parse},
};
use jiff::SignedDuration;
use longshore_model::{RepositoryId, Timestamp, UploadId, job_actions};
use longshore_oci::Digest;

/// The number of rows of one table that one statement removes from a repository that is being purged.
const PURGED_AT_ONCE: i64 = 50;

/// The instants before which things without a root may be removed.
#[derive(Debug, Clone, Copy)]
pub struct Cutoffs {
    /// Manifests that were pushed, and lost their last tag, before this; `None` keeps them forever.
    pub untagged: Option<Timestamp>,
    /// Tags that were moved or deleted before this, and repositories that were deleted before it, can no longer be
    /// restored.
    pub undo: Timestamp,
    /// Blobs and manifests that were linked before this and that nothing names are leftovers of a push.
    pub parts: Timestamp,
    /// Uploads that have not grown since this are abandoned.
    pub uploads: Timestamp,
}

/// The state of a repository, for garbage collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is in use.
    Present,
    /// It was deleted at this instant.
    Deleted(Timestamp),
    /// It is being purged.
    Purged,
    /// It no longer exists.
    Gone,
}

/// The first repository after `after`, including deleted ones.
pub async fn next_repository(
    conn: &mut Conn,
    after: Option<RepositoryId>,
) -> Result<Option<RepositoryId>, Error> {
    let sql = "SELECT id FROM repositories WHERE id > $1 ORDER BY id LIMIT 1";
    let found = row!(conn, (String,), sql, after.map(|after| after.to_string()).unwrap_or_default())?;
    found.map(|(next,)| id(RepositoryId, &next)).transpose()
}

/// The current state of a repository. In a transaction, after [`crate::tags::lock_changes`], it stays the same until
/// the transaction ends.
pub async fn standing(conn: &mut Conn, repository: RepositoryId) -> Result<Standing, Error> {
    let sql = "SELECT deleted_at, purged FROM repositories WHERE id = $1";
    Ok(match row!(conn, (Option<i64>, bool), sql, repository.to_string())? {
        None => Standing::Gone,
        Some((_, true)) => Standing::Purged,
        Some((None, false)) => Standing::Present,
        Some((Some(deleted_at), false)) => Standing::Deleted(instant(deleted_at)?),
    })
}

/// Content that a transfer relies on may have been linked this long before the transfer without a recorded lookup.
const FOUND: SignedDuration = SignedDuration::from_hours(6);

/// The instant since which a repository's unfinished polls have fetched content or relied on existing content: all of
/// that is kept until they end, however long they take. One lookup of the repository's unfinished jobs.
async fn transfers_since(conn: &mut Conn, repository: RepositoryId) -> Result<Option<Timestamp>, Error> {
    let sql = concat!(
        "SELECT MIN(created_at) FROM jobs WHERE repository = $1 AND action IN (",
        job_actions!(fills_repository),
        ") AND status IN ('waiting', 'running')"
    );
    let since = value!(conn, Option<i64>, sql, repository.to_string())?;
    Ok(maybe_instant(since)?.map(|since| since - FOUND))
}

/// Manifests of a repository after `after`, ordered by digest, at most `limit`, including deleted ones.
pub async fn manifests_behind(
    conn: &mut Conn,
    repository: RepositoryId,
    after: Option<&Digest>,
    limit: i64,
) -> Result<Vec<Digest>, Error> {
    let sql = "SELECT digest FROM repository_manifests WHERE repository = $1 AND digest > $2 ORDER BY digest LIMIT $3";
    let found = rows!(conn, (String,), sql, repository.to_string(), after.map_or("", Digest::as_str), limit)?;
    digests(&found)
}

/// Those of these manifests of a repository that no root leads to. Roots are its tags, tags that can still be restored,
/// manifests that were linked recently or by an unfinished poll and were not deleted, and the manifests that unfinished
/// jobs concern. Children are kept as long as a parent, referrers as long as their subject.
///
/// Starts at the given manifests and goes up to what would keep them, so the cost grows with their parents and subjects
/// and not with the repository; each step uses an index.
/// and subjects and not with the repository; each question on the way is answered by an index.
pub async fn rootless(
    conn: &mut Conn,
    repository: RepositoryId,
    cutoffs: &Cutoffs,
    asked: &[Digest],
) -> Result<Vec<Digest>, Error> {
    macro_rules! rootless {
        ($asked:literal) => {
            concat!(
                "WITH RECURSIVE asked (digest) AS (",
                $asked,
                "), above (start, digest) AS (
                     SELECT a.digest, a.digest FROM asked a
                     JOIN repository_manifests l ON l.repository = $1 AND l.digest = a.digest
                     WHERE NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository = $1 AND t.digest = a.digest)
                     UNION
                     SELECT a.start, CASE WHEN e.parent = a.digest THEN e.child ELSE e.parent END
                     FROM above a JOIN manifest_edges e
                       ON (e.child = a.digest AND e.role = 'child') OR (e.parent = a.digest AND e.role = 'subject')
                 )
                 SELECT a.start FROM above a GROUP BY a.start HAVING MAX(CASE
                     WHEN EXISTS (SELECT 1 FROM tags t WHERE t.repository = $1 AND t.digest = a.digest)
                       OR EXISTS (SELECT 1 FROM repository_manifests l
                                  WHERE l.repository = $1 AND l.digest = a.digest
                                    AND l.linked_at >= $3 AND l.removed_at IS NULL)
                       OR EXISTS (SELECT 1 FROM jobs j WHERE j.repository = $1 AND j.manifest = a.digest
                                    AND j.finished_at IS NULL)
                       OR EXISTS (SELECT 1 FROM jobs j WHERE j.repository = $1 AND j.subject = a.digest
                                    AND j.finished_at IS NULL)
                       OR EXISTS (SELECT 1 FROM tag_changes c
                                  JOIN repository_manifests l ON l.repository = $1 AND l.digest = c.digest
                                  WHERE c.repository = $1 AND c.digest = a.digest
                                    AND (SELECT n.at FROM tag_changes n
                                         WHERE n.repository = $1 AND n.name = c.name AND n.revision > c.revision
                                         ORDER BY n.revision LIMIT 1)
                                        >= CASE WHEN l.removed_at IS NULL THEN $4 ELSE $5 END)
                     THEN 1 ELSE 0 END) = 0
                 ORDER BY a.start"
            )
        };
    }
    let sql = match conn.is_postgres() {
        false => rootless!("SELECT value FROM json_each($2)"),
        true => rootless!("SELECT json_array_elements_text($2::json)"),
    };
    // If `untagged` is `None`, manifests that were not deleted are kept forever.
    let untagged = cutoffs.untagged.unwrap_or(Timestamp::MIN);
    let came = transfers_since(conn, repository).await?.map_or(untagged, |since| since.min(untagged));
    let found = rows!(
        conn,
        (String,),
        sql,
        repository.to_string(),
        json(&asked),
        micros(came),
        micros(untagged.min(cutoffs.undo)),
        micros(cutoffs.undo)
    )?;
    digests(&found)
}

/// Unlinks a manifest from a repository, together with the indexes there that name it as a part, because a repository
/// has all parts of its manifests. Returns the digests of the manifests that were unlinked.
pub async fn unlink_manifest(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Vec<Digest>, Error> {
    let taken = rows!(
        tx.conn,
        (String,),
        "DELETE FROM repository_manifests WHERE repository = $1 AND digest IN (
             WITH RECURSIVE above (digest) AS (
                 SELECT CAST($2 AS TEXT) UNION
                 SELECT e.parent FROM above a JOIN manifest_edges e ON e.child = a.digest AND e.role = 'child')
             SELECT digest FROM above)
         RETURNING digest",
        repository.to_string(),
        digest.as_str()
    )?;
    tx.conn.note_changed(taken.len() as u64);
    digests(&taken)
}

/// Blobs of a repository after some digest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlobsBehind {
    /// The blobs that may be removed.
    pub loose: Vec<Digest>,
    /// The last blob of the page; `None` if there are no more.
    pub last: Option<Digest>,
}

/// The instant since which a repository's blobs are too young to be removed. Blobs that an unfinished poll has fetched
/// will be named by the manifest that it stores last.
async fn parts_since(
    conn: &mut Conn,
    repository: RepositoryId,
    cutoffs: &Cutoffs,
) -> Result<Timestamp, Error> {
    Ok(transfers_since(conn, repository).await?.map_or(cutoffs.parts, |since| since.min(cutoffs.parts)))
}

/// Of the blobs of a repository after `after`, at most `limit`, those that none of its manifests names, not counting
/// the manifests in `but`.
pub async fn loose_blobs_behind(
    conn: &mut Conn,
    repository: RepositoryId,
    cutoffs: &Cutoffs,
    but: &[Digest],
    after: Option<&Digest>,
    limit: i64,
) -> Result<BlobsBehind, Error> {
    macro_rules! behind {
        ($but:literal) => {
            concat!(
                "SELECT p.digest, p.linked_at < $5 AND NOT EXISTS (
                     SELECT 1 FROM manifest_edges e
                     JOIN repository_manifests l ON l.repository = $1 AND l.digest = e.parent
                     WHERE e.child = p.digest AND e.role IN ('config', 'layer') AND l.digest NOT IN (",
                $but,
                ")) FROM (SELECT digest, linked_at FROM repository_blobs WHERE repository = $1 AND digest > $3
                         ORDER BY digest LIMIT $4) p ORDER BY p.digest"
            )
        };
    }
    let sql = match conn.is_postgres() {
        false => behind!("SELECT value FROM json_each($2)"),
        true => behind!("SELECT json_array_elements_text($2::json)"),
    };
    let parts = parts_since(conn, repository, cutoffs).await?;
    let found = rows!(
        conn,
        (String, bool),
        sql,
        repository.to_string(),
        json(&but),
        after.map_or("", Digest::as_str),
        limit,
        micros(parts)
    )?;
    let mut behind = BlobsBehind::default();
    for (digest, is_loose) in found {
        let digest: Digest = parse("digest", &digest)?;
        behind.last = Some(digest.clone());
        behind.loose.extend(is_loose.then_some(digest));
    }
    Ok(behind)
}

/// Unlinks those of these blobs from a repository that none of its manifests names; returns the number of them.
pub async fn unlink_loose_blobs(
    tx: &mut Tx,
    repository: RepositoryId,
    cutoffs: &Cutoffs,
    blobs: &[Digest],
) -> Result<u64, Error> {
    macro_rules! unlinking {
        ($blobs:literal) => {
            concat!(
                "DELETE FROM repository_blobs
                 WHERE repository = $1 AND linked_at < $3 AND digest IN (",
                $blobs,
                ") AND NOT EXISTS (
                     SELECT 1 FROM manifest_edges e
                     JOIN repository_manifests l ON l.repository = $1 AND l.digest = e.parent
                     WHERE e.child = repository_blobs.digest AND e.role IN ('config', 'layer'))"
            )
        };
    }
    let sql = match tx.is_postgres() {
        false => unlinking!("SELECT value FROM json_each($2)"),
        true => unlinking!("SELECT json_array_elements_text($2::json)"),
    };
    let parts = parts_since(tx, repository, cutoffs).await?;
    Ok(change!(tx.conn, sql, repository.to_string(), json(&blobs), micros(parts))?)
}

/// Makes the name of a deleted repository available and prevents its restoration; returns whether it was deleted.
/// [`purge`] removes its content.
pub async fn begin_purge(tx: &mut Tx, repository: RepositoryId) -> Result<bool, Error> {
    // Its ID makes the name unique.
    let sql = "UPDATE repositories SET name = namespace || '/' || id, purged = TRUE
               WHERE id = $1 AND deleted_at IS NOT NULL";
    Ok(change!(tx.conn, sql, repository.to_string())? > 0)
}

/// What was removed from a repository that is being purged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    pub manifests: u64,
    /// Whether nothing of it is left.
    pub is_gone: bool,
}

/// Removes some of the content of a repository whose purge was begun, and finally the repository, until the turn is
/// over.
pub async fn purge(tx: &mut Tx, repository: RepositoryId) -> Result<Purged, Error> {
    let turn = tx.begin_turn();
    macro_rules! some_of {
        ($table:literal, $key:literal) => {
            concat!(
                "DELETE FROM ",
                $table,
                " WHERE repository = $1 AND ",
                $key,
                " IN (SELECT ",
                $key,
                " FROM ",
                $table,
                " WHERE repository = $1 LIMIT $2)"
            )
        };
    }
    let id = repository.to_string();
    let mut purged = Purged::default();
    for sql in [
        some_of!("tags", "name"),
        some_of!("tag_changes", "revision"),
        some_of!("uploads", "id"),
        some_of!("verdicts", "revision"),
    ] {
        while change!(tx.conn, sql, id.as_str(), PURGED_AT_ONCE)? > 0 {
            if turn.is_over() {
                return Ok(purged);
            }
        }
    }
    loop {
        let sql = some_of!("repository_manifests", "digest");
        let manifests = change!(tx.conn, sql, id.as_str(), PURGED_AT_ONCE)?;
        purged.manifests += manifests;
        match manifests {
            0 => break,
            _ if turn.is_over() => return Ok(purged),
            _ => {}
        }
    }
    let baselines = "DELETE FROM baselines WHERE (policy, tag) IN (
                         SELECT b.policy, b.tag FROM policies p JOIN baselines b ON b.policy = p.id
                         WHERE p.repository = $1 LIMIT $2)";
    for sql in [some_of!("repository_blobs", "digest"), baselines] {
        while change!(tx.conn, sql, id.as_str(), PURGED_AT_ONCE)? > 0 {
            if turn.is_over() {
                return Ok(purged);
            }
        }
    }
    change!(tx.conn, "DELETE FROM policies WHERE repository = $1 OR target = $1", id.as_str())?;
    change!(tx.conn, "DELETE FROM repositories WHERE id = $1 AND purged", id.as_str())?;
    Ok(Purged { is_gone: true, ..purged })
}

/// The size of a blob that is old enough to be removed, and the number of repositories that have it.
pub async fn holders(conn: &mut Conn, blob: &Digest, cutoffs: &Cutoffs) -> Result<Option<(u64, u64)>, Error> {
    let sql = "SELECT b.size, (SELECT COUNT(*) FROM repository_blobs l WHERE l.digest = b.digest)
               FROM blobs b WHERE b.digest = $1 AND b.created_at < $2";
    let found: Option<(i64, i64)> = row!(conn, (i64, i64), sql, blob.as_str(), micros(cutoffs.parts))?;
    Ok(found.map(|(size, holders)| (size.unsigned_abs(), holders.unsigned_abs())))
}

/// The kind of content that may be in no repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Manifest,
    Blob,
}

/// Blobs or manifests after some digest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behind {
    /// Those that no repository has, with their sizes in bytes.
    pub unheld: Vec<(Digest, u64)>,
    /// The last one of the page; `None` if there are no more.
    pub last: Option<Digest>,
}

/// Of the manifests or blobs after `after`, at most `limit`, those that no repository has and that are old enough to be
/// removed.
pub async fn unheld_behind(
    conn: &mut Conn,
    kind: Kind,
    cutoffs: &Cutoffs,
    after: Option<&Digest>,
    limit: i64,
) -> Result<Behind, Error> {
    macro_rules! behind {
        ($of:literal, $links:literal) => {
            concat!(
                "SELECT p.digest, (SELECT m.size FROM ",
                $of,
                " m WHERE m.digest = p.digest AND m.created_at < $3
                     AND NOT EXISTS (SELECT 1 FROM ",
                $links,
                " l WHERE l.digest = p.digest))
                 FROM (SELECT digest FROM ",
                $of,
                " WHERE digest > $1 ORDER BY digest LIMIT $2) p ORDER BY p.digest"
            )
        };
    }
    let sql = match kind {
        Kind::Manifest => behind!("manifests", "repository_manifests"),
        Kind::Blob => behind!("blobs", "repository_blobs"),
    };
    let (after, parts) = (after.map_or("", Digest::as_str), micros(cutoffs.parts));
    let mut behind = Behind::default();
    for (digest, size) in rows!(conn, (String, Option<i64>), sql, after, limit, parts)? {
        let digest: Digest = parse("digest", &digest)?;
        behind.last = Some(digest.clone());
        behind.unheld.extend(size.map(|size| (digest, size.unsigned_abs())));
    }
    Ok(behind)
}

/// Removes the row of a manifest that no repository has.
pub async fn forget_manifest(tx: &mut Tx, digest: &Digest, cutoffs: &Cutoffs) -> Result<(), Error> {
    let loose = value!(
        tx.conn,
        i64,
        "SELECT COUNT(*) FROM manifests m WHERE m.digest = $1 AND m.created_at < $2
         AND NOT EXISTS (SELECT 1 FROM repository_manifests l WHERE l.digest = $1)",
        digest.as_str(),
        micros(cutoffs.parts)
    )?;
    if loose > 0 {
        change!(tx.conn, "DELETE FROM manifest_edges WHERE parent = $1", digest.as_str())?;
        change!(tx.conn, "DELETE FROM manifests WHERE digest = $1", digest.as_str())?;
    }
    Ok(())
}

/// Removes the row of a blob that no repository has, and condemns its bytes.
pub async fn condemn_blob(tx: &mut Tx, digest: &Digest, cutoffs: &Cutoffs) -> Result<(), Error> {
    let loose = row!(
        tx.conn,
        (String, i64),
        "DELETE FROM blobs WHERE digest = $1 AND created_at < $2
         AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = $1) RETURNING location, size",
        digest.as_str(),
        micros(cutoffs.parts)
    )?;
    match loose {
        Some((location, size)) => condemn(tx, &location, size.unsigned_abs()).await,
        None => Ok(()),
    }
}

fn digests(found: &[(String,)]) -> Result<Vec<Digest>, Error> {
    found.iter().map(|(digest,)| parse("digest", digest)).collect()
}

/// Condemns bytes: the next garbage collection removes them, unless they have become a blob again.
pub async fn condemn(tx: &mut Tx, location: &str, size: u64) -> Result<(), Error> {
    let sql = "INSERT INTO condemned_blobs (location, size) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    change!(tx.conn, sql, location, size.cast_signed())?;
    Ok(())
}

/// Condemned bytes, at most `limit`.
pub async fn condemned(conn: &mut Conn, limit: i64) -> Result<Vec<BlobRow>, Error> {
    let sql = "SELECT size, location FROM condemned_blobs ORDER BY location LIMIT $1";
    let found = rows!(conn, (i64, String), sql, limit)?;
    Ok(found.into_iter().map(|(size, location)| BlobRow { size: size.unsigned_abs(), location }).collect())
}

/// Whether a blob is stored at this location, because it was pushed again.
pub async fn is_used(conn: &mut Conn, location: &str) -> Result<bool, Error> {
    Ok(value!(conn, i64, "SELECT COUNT(*) FROM blobs WHERE location = $1", location)? > 0)
}

/// Whether a row names this location of the store, or an unfinished upload may be stored there.
pub async fn is_known(conn: &mut Conn, location: &str) -> Result<bool, Error> {
    let sql = "SELECT (SELECT COUNT(*) FROM blobs WHERE location = $1)
                    + (SELECT COUNT(*) FROM condemned_blobs WHERE location = $1)
                    + (SELECT COUNT(*) FROM uploads WHERE $1 LIKE '%' || id || '%')";
    Ok(value!(conn, i64, sql, location)? > 0)
}

/// Removes bytes from the list of condemned ones, because they were removed or are in use again.
pub async fn spare(tx: &mut Tx, location: &str) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM condemned_blobs WHERE location = $1", location)?;
    Ok(())
}

/// Uploads that have not grown since the cutoff.
pub async fn stale_uploads(conn: &mut Conn, cutoffs: &Cutoffs) -> Result<Vec<UploadId>, Error> {
    let sql = "SELECT id FROM uploads WHERE updated_at < $1";
    let found = rows!(conn, (String,), sql, micros(cutoffs.uploads))?;
    found.iter().map(|(upload,)| id(UploadId, upload)).collect()
}
