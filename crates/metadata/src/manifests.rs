//! Manifests: their bytes exactly as received, and which repositories link them. `edges` has the parts that a manifest
//! names, `tree` everything that it needs, and `referrers` the manifests that refer to it.

use crate::{
    Conn, Error, Tx,
    conn::{change, row, rows, value},
    convert::{json, micros, parse},
    jobs,
};
use longshore_model::{Author, RepositoryId, Timestamp, job::orders};
use longshore_oci::{Digest, Manifest, Platform, RepositoryName};

mod edges;
mod referrers;
mod tree;

pub use edges::{has_all, lacking_layers};
#[cfg(test)]
pub(crate) use referrers::{REFERRERS, REFERRERS_PAGE};
pub use referrers::{ReferrersPage, ReferrersWanted, referrers, referrers_page};
pub use tree::{LinkOutcome, TreeEntry, TreeKind, TreeOf, link_tree, members, parts, subject, tree, trees};

/// A stored manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl StoredManifest {
    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// A manifest to store.
#[derive(Debug, Clone, Copy)]
pub struct NewManifest<'a> {
    pub digest: &'a Digest,
    pub media_type: &'a str,
    pub artifact_type: Option<&'a str>,
    pub bytes: &'a [u8],
    /// The parsed bytes.
    pub parsed: &'a Manifest,
    /// The platform in its config; `None` for indexes, which name those of their children.
    pub platform: Option<&'a Platform>,
    /// Parts that it needs but that are not stored, because it was accepted as a sparse manifest.
    pub absent: &'a [Digest],
}

/// Stores a manifest and links it into a repository. Either may already be done.
pub async fn insert(
    tx: &mut Tx,
    repository: RepositoryId,
    new: &NewManifest<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let subject = new.parsed.subject().map(|subject| subject.digest.as_str());
    let inserted = change!(
        tx.conn,
        "INSERT INTO manifests (digest, media_type, artifact_type, subject, annotations, size, bytes, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (digest) DO NOTHING",
        new.digest.as_str(),
        new.media_type,
        new.artifact_type,
        subject,
        json(new.parsed.annotations()),
        (new.bytes.len() as u64).cast_signed(),
        new.bytes,
        micros(now)
    )?;
    match inserted {
        // The bytes were just verified; the stored ones may have been damaged since.
        0 => mend(tx, new.digest, new.bytes).await?,
        _ => edges::insert(tx, new).await?,
    }
    for part in new.absent {
        change!(
            tx.conn,
            "UPDATE manifest_edges SET absent = 'the manifest was pushed without it'
             WHERE parent = $1 AND child = $2 AND absent IS NULL",
            new.digest.as_str(),
            part.as_str()
        )?;
    }
    let is_new = link(tx, repository, new.digest, new.bytes.len() as u64, now).await?;
    match new.parsed.subject() {
        // A referrer follows its subject to all places where that was delivered (semantics 7).
        Some(subject) if is_new => {
            let (referrer, subject) = (new.digest.clone(), subject.digest.clone());
            let order = orders::follow(repository, referrer, subject, None, Author::System, now);
            jobs::enqueue(tx, order, now).await.map(drop)
        }
        _ => Ok(()),
    }
}

/// Links a stored manifest into a repository; returns whether that is new.
async fn link(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
    size: u64,
    now: Timestamp,
) -> Result<bool, Error> {
    let linked = change!(
        tx.conn,
        "INSERT INTO repository_manifests (repository, digest, linked_at, namespace, size)
         VALUES ($1, $2, $3, COALESCE((SELECT r.namespace FROM repositories r WHERE r.id = $1), ''), $4)
         ON CONFLICT DO NOTHING",
        repository.to_string(),
        digest.as_str(),
        micros(now),
        size.cast_signed()
    )?;
    if linked > 0 {
        return Ok(true);
    }
    let sql = "UPDATE repository_manifests SET removed_at = NULL
               WHERE repository = $1 AND digest = $2 AND removed_at IS NOT NULL";
    let back = change!(tx.conn, sql, repository.to_string(), digest.as_str())?;
    // It was pushed again, and an index that is about to name it may rely on it.
    let sql = "UPDATE repository_manifests SET linked_at = $3 WHERE repository = $1 AND digest = $2";
    change!(tx.conn, sql, repository.to_string(), digest.as_str(), micros(now))?;
    Ok(back > 0)
}

/// Whether the repository has a manifest, and so all its parts.
pub async fn is_present(conn: &mut Conn, repository: RepositoryId, digest: &Digest) -> Result<bool, Error> {
    let sql = "SELECT COUNT(*) FROM repository_manifests
               WHERE repository = $1 AND digest = $2 AND removed_at IS NULL";
    Ok(value!(conn, i64, sql, repository.to_string(), digest.as_str())? > 0)
}

/// A manifest, if the repository has it.
pub async fn get(
    conn: &mut Conn,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<StoredManifest>, Error> {
    let found: Option<(String, Vec<u8>)> = row!(
        conn,
        (String, Vec<u8>),
        "SELECT m.media_type, m.bytes FROM repository_manifests l JOIN manifests m ON m.digest = l.digest
         WHERE l.repository = $1 AND l.digest = $2 AND l.removed_at IS NULL",
        repository.to_string(),
        digest.as_str()
    )?;
    Ok(found.map(|(media_type, bytes)| StoredManifest { digest: digest.clone(), media_type, bytes }))
}

/// Manifests after `after` with their bytes, ordered by digest, at most `limit`.
pub async fn page(
    conn: &mut Conn,
    after: Option<&Digest>,
    limit: i64,
) -> Result<Vec<(Digest, Vec<u8>)>, Error> {
    let sql = "SELECT digest, bytes FROM manifests WHERE digest > $1 ORDER BY digest LIMIT $2";
    let found = rows!(conn, (String, Vec<u8>), sql, after.map_or("", Digest::as_str), limit)?;
    found.into_iter().map(|(digest, bytes)| Ok((parse("digest", &digest)?, bytes))).collect()
}

/// Replaces the bytes of a manifest by verified ones.
pub async fn mend(tx: &mut Tx, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
    let sql = "UPDATE manifests SET bytes = $2, size = $3 WHERE digest = $1 AND bytes <> $2";
    change!(tx.conn, sql, digest.as_str(), bytes, (bytes.len() as u64).cast_signed())?;
    Ok(())
}

/// The repositories that have a manifest, by name.
pub async fn repositories_with(conn: &mut Conn, digest: &Digest) -> Result<Vec<RepositoryName>, Error> {
    let sql = "SELECT r.name FROM repository_manifests l JOIN repositories r ON r.id = l.repository
               WHERE l.digest = $1 AND r.deleted_at IS NULL ORDER BY 1";
    let names = rows!(conn, (String,), sql, digest.as_str())?;
    names.iter().map(|(name,)| parse("repository name", name)).collect()
}

/// The indexes of the repository that have this manifest as a child.
pub async fn parents(
    conn: &mut Conn,
    repository: RepositoryId,
    child: &Digest,
) -> Result<Vec<Digest>, Error> {
    let found = rows!(
        conn,
        (String,),
        "SELECT DISTINCT e.parent FROM manifest_edges e
         JOIN repository_manifests l ON l.digest = e.parent AND l.repository = $1 AND l.removed_at IS NULL
         WHERE e.child = $2 AND e.role = 'child'",
        repository.to_string(),
        child.as_str()
    )?;
    found.iter().map(|(parent,)| parse("digest", parent)).collect()
}

/// A manifest of the repository that needs this part (child, config or layer), so that it must be kept.
pub async fn naming(
    conn: &mut Conn,
    repository: RepositoryId,
    part: &Digest,
) -> Result<Option<Digest>, Error> {
    let found = row!(
        conn,
        (String,),
        "SELECT e.parent FROM manifest_edges e
         JOIN repository_manifests l ON l.digest = e.parent AND l.repository = $1 AND l.removed_at IS NULL
         WHERE e.child = $2 AND e.role <> 'subject' LIMIT 1",
        repository.to_string(),
        part.as_str()
    )?;
    found.map(|(parent,)| parse("digest", &parent)).transpose()
}

/// Restores a deleted manifest with everything that it needs, if all of that still exists; returns whether it does.
pub(crate) async fn bring_back(tx: &mut Tx, repository: RepositoryId, root: &Digest) -> Result<bool, Error> {
    let repository = repository.to_string();
    let missing = value!(
        tx.conn,
        i64,
        "WITH RECURSIVE tree (digest) AS (
             SELECT CAST($2 AS TEXT) UNION
             SELECT e.child FROM manifest_edges e JOIN tree t ON e.parent = t.digest
             WHERE e.role = 'child' AND e.absent IS NULL)
         SELECT (SELECT COUNT(*) FROM tree t WHERE NOT EXISTS (
                    SELECT 1 FROM repository_manifests l WHERE l.repository = $1 AND l.digest = t.digest))
              + (SELECT COUNT(*) FROM tree t JOIN manifest_edges e ON e.parent = t.digest
                 WHERE e.role IN ('config', 'layer') AND e.absent IS NULL AND NOT EXISTS (
                    SELECT 1 FROM repository_blobs l WHERE l.repository = $1 AND l.digest = e.child))",
        repository.as_str(),
        root.as_str()
    )?;
    if missing > 0 {
        return Ok(false);
    }
    change!(
        tx.conn,
        "UPDATE repository_manifests SET removed_at = NULL
         WHERE repository = $1 AND removed_at IS NOT NULL AND digest IN (
             WITH RECURSIVE tree (digest) AS (
                 SELECT CAST($2 AS TEXT) UNION
                 SELECT e.child FROM manifest_edges e JOIN tree t ON e.parent = t.digest WHERE e.role = 'child')
             SELECT digest FROM tree)",
        repository.as_str(),
        root.as_str()
    )?;
    Ok(true)
}
