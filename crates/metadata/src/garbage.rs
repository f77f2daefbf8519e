//! What nothing needs any more (semantics 23): manifests that no tag leads to, blobs that no manifest
//! names, repositories that cannot be brought back. Finding reads only, a page at a time; removing looks
//! again, in the transaction that removes. In which order, and what becomes of the bytes, is `content`'s business.

use crate::{
    Conn, Error, Tx,
    blobs::BlobRow,
    conn::{change, row, rows, value},
    convert::{id, instant, json, maybe_instant, micros, parse},
};
use jiff::SignedDuration;
use longshore_model::{RepositoryId, Timestamp, UploadId, job_actions};
use longshore_oci::Digest;

/// How many rows of one table one statement removes of a repository that is purged.
const PURGED_AT_ONCE: i64 = 50;

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
    /// It is being removed for good.
    Purged,
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

/// How a repository stands now. Asked in a transaction behind [`crate::tags::lock_changes`], it stays so until that
/// ends.
pub async fn standing(conn: &mut Conn, repository: RepositoryId) -> Result<Standing, Error> {
    let sql = "SELECT deleted_at, purged FROM repositories WHERE id = $1";
    Ok(match row!(conn, (Option<i64>, bool), sql, repository.to_string())? {
        None => Standing::Gone,
        Some((_, true)) => Standing::Purged,
        Some((None, false)) => Standing::Present,
        Some((Some(deleted_at), false)) => Standing::Deleted(instant(deleted_at)?),
    })
}

/// What a transfer finds in place may have come so long before it without anybody noting that it is relied upon.
const FOUND: SignedDuration = SignedDuration::from_hours(6);

/// Since when a repository's unfinished polls have brought content in, or relied on what is there: all of that
/// stays until they end, however long they take. One lookup of the repository's unfinished jobs.
async fn transfers_since(conn: &mut Conn, repository: RepositoryId) -> Result<Option<Timestamp>, Error> {
    let sql = concat!(
        "SELECT MIN(created_at) FROM jobs WHERE repository = $1 AND action IN (",
        job_actions!(fills_repository),
        ") AND status IN ('waiting', 'running')"
    );
    let since = value!(conn, Option<i64>, sql, repository.to_string())?;
    Ok(maybe_instant(since)?.map(|since| since - FOUND))
}

/// Manifests of a repository behind `after`, in the order of digests, at most `limit`; those that were deleted too.
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

/// Which of these manifests of a repository no root leads to. Roots are its tags, the tags that can still be
/// brought back, what has only just come or came by a poll that has not ended and was not deleted, and what an
/// unfinished job is about; children live as long as a parent does, referrers as long as their subject.
///
/// Begins at the manifests that are asked about and goes up to what would keep them, so it grows with their parents
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
    // What nobody deleted stays for ever where no time is set.
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

/// Takes a manifest from a repository, and before it the indexes there that name it as a part: whatever a repository
/// has, it has all parts of. Answers those that it had.
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

/// Blobs of a repository behind some digest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlobsBehind {
    /// Those that may go.
    pub loose: Vec<Digest>,
    /// The last that was looked at; none: there are no more.
    pub last: Option<Digest>,
}

/// Since when a repository's blobs are too young to go. What a poll that has not ended has brought will be named by
/// the manifest that comes last.
async fn parts_since(
    conn: &mut Conn,
    repository: RepositoryId,
    cutoffs: &Cutoffs,
) -> Result<Timestamp, Error> {
    Ok(transfers_since(conn, repository).await?.map_or(cutoffs.parts, |since| since.min(cutoffs.parts)))
}

/// Looks at the blobs of a repository behind `after`, at most `limit`, for those that none of its manifests names,
/// the manifests `but` left aside.
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

/// Takes those of these blobs from a repository that none of its manifests names; answers how many.
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

/// Gives the name of a deleted repository free and lets nobody bring it back; whether it is deleted. What it holds
/// goes by [`purge`].
pub async fn begin_purge(tx: &mut Tx, repository: RepositoryId) -> Result<bool, Error> {
    // Its identifier is a name that nobody else has.
    let sql = "UPDATE repositories SET name = namespace || '/' || id, purged = TRUE
               WHERE id = $1 AND deleted_at IS NOT NULL";
    Ok(change!(tx.conn, sql, repository.to_string())? > 0)
}

/// What was removed of a repository that is being purged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    /// Its manifests.
    pub manifests: u64,
    /// Nothing of it is left.
    pub is_gone: bool,
}

/// Removes some of what a repository holds whose purge was begun, and in the end the repository, until the turn is
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

/// The size of a blob that came long enough ago to go, and how many repositories have it.
pub async fn holders(conn: &mut Conn, blob: &Digest, cutoffs: &Cutoffs) -> Result<Option<(u64, u64)>, Error> {
    let sql = "SELECT b.size, (SELECT COUNT(*) FROM repository_blobs l WHERE l.digest = b.digest)
               FROM blobs b WHERE b.digest = $1 AND b.created_at < $2";
    let found: Option<(i64, i64)> = row!(conn, (i64, i64), sql, blob.as_str(), micros(cutoffs.parts))?;
    Ok(found.map(|(size, holders)| (size.unsigned_abs(), holders.unsigned_abs())))
}

/// What may be without a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Manifests.
    Manifest,
    /// Blobs.
    Blob,
}

/// Blobs or manifests behind some digest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behind {
    /// Those that no repository has, and their sizes in bytes.
    pub unheld: Vec<(Digest, u64)>,
    /// The last that was looked at; none: there are no more.
    pub last: Option<Digest>,
}

/// Looks at the manifests or blobs behind `after`, at most `limit`, for those that no repository has and that came
/// long enough ago to go.
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

/// Forgets a manifest that no repository has.
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

/// Forgets a blob that no repository has, and condemns its bytes.
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
