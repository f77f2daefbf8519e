//! The bytes of repositories and namespaces, and the quota of a namespace. Each blob counts once, and as long as its
//! bytes must be kept: restorable content counts too. In a namespace, each manifest counts as well, with its own bytes,
//! whether tagged or not. The sums are kept in [`crate::counters`]; the shares of others are computed on request, up to
//! a number of blobs and manifests for which that is fast.

use crate::{
    Conn, Error, Tx,
    conn::{change, row, value},
    uploads,
};
use longshore_model::{
    RepositoryId,
    repository::{NamespaceStorage, Storage},
    size,
};
use longshore_oci::{Digest, Namespace};

/// A namespace would exceed its quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the namespace {namespace} may hold {}, holds {} and would need {} more; delete what is not needed and \
     purge deleted repositories, or ask an administrator for a larger quota",
    size(*.quota), size(*.used), size(*.needed)
)]
pub struct QuotaExceeded {
    pub namespace: Namespace,
    /// In bytes.
    pub quota: u64,
    /// The bytes that it has.
    pub used: u64,
    /// The bytes that would be added.
    pub needed: u64,
}

/// The bytes of all blobs of a repository. Reads one row, as in [`used`].
pub(crate) async fn bytes_of_repository(conn: &mut Conn, repository: &str) -> Result<u64, Error> {
    let sql = "SELECT bytes FROM blob_totals WHERE repository = $1";
    let found = row!(conn, (i64,), sql, repository)?;
    Ok(found.map_or(0, |(bytes,)| bytes.max(0).unsigned_abs()))
}

/// Counts blobs and manifests, up to a limit. `$rest` selects them; `l` is their link.
macro_rules! counted {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM ",
            $from,
            "repository_blobs l WHERE ",
            $rest,
            " UNION ALL SELECT 1 FROM ",
            $from,
            "repository_manifests l WHERE ",
            $rest,
            " LIMIT $2) AS counted"
        )
    };
}
const HELD_BY_REPOSITORY: &str = counted!("", "l.repository = $1");
const HELD_BY_NAMESPACE: &str = counted!("", "l.namespace = $1");
const HELD_BY_DELETED: &str = counted!(
    "repositories r CROSS JOIN ",
    "r.namespace = $1 AND r.deleted_at IS NOT NULL AND l.repository = r.id"
);

/// A sum that needs a lookup of each blob and manifest; `None` if there are more than [`Storage::MOST_LOOKED_UP`] of
/// them.
async fn looked_up(
    conn: &mut Conn,
    how_many: &'static str,
    sum: &'static str,
    key: &str,
) -> Result<Option<u64>, Error> {
    let most = Storage::MOST_LOOKED_UP.cast_signed();
    if value!(conn, i64, how_many, key, most + 1)? > most {
        return Ok(None);
    }
    Ok(Some(value!(conn, i64, sum, key)?.unsigned_abs()))
}

/// The storage of a repository, alone and shared.
pub async fn of_repository(conn: &mut Conn, repository: RepositoryId) -> Result<Storage, Error> {
    let repository = repository.to_string();
    let total = bytes_of_repository(conn, &repository).await?;
    let unique = "SELECT CAST(COALESCE(SUM(l.size), 0) AS BIGINT) FROM repository_blobs l
                  WHERE l.repository = $1 AND NOT EXISTS (
                      SELECT 1 FROM repository_blobs o WHERE o.digest = l.digest AND o.repository <> l.repository)";
    Ok(Storage { total, unique: looked_up(conn, HELD_BY_REPOSITORY, unique, &repository).await? })
}

/// The bytes that only deleted repositories of a namespace have. The size, which is unique for a digest, makes the
/// databases choose the index of the namespace: other namespaces may have the digest a thousand times.
pub(crate) const DELETED_IN_NAMESPACE: &str =
    "WITH gone (id) AS (SELECT id FROM repositories WHERE namespace = $1 AND deleted_at IS NOT NULL)
    SELECT CAST(COALESCE(SUM(h.size), 0) AS BIGINT) FROM (
        SELECT h.size FROM (SELECT DISTINCT l.digest, l.size
                            FROM gone g CROSS JOIN repository_blobs l WHERE l.repository = g.id) h
        WHERE NOT EXISTS (
            SELECT 1 FROM repository_blobs o JOIN repositories r ON r.id = o.repository
            WHERE o.namespace = $1 AND o.digest = h.digest AND o.size = h.size
              AND r.deleted_at IS NULL)
        UNION ALL
        SELECT h.size FROM (SELECT DISTINCT l.digest, l.size
                            FROM gone g CROSS JOIN repository_manifests l WHERE l.repository = g.id) h
        WHERE NOT EXISTS (
            SELECT 1 FROM repository_manifests o JOIN repositories r ON r.id = o.repository
            WHERE o.namespace = $1 AND o.digest = h.digest AND o.size = h.size
              AND r.deleted_at IS NULL)) h";

/// The storage and the quota of a namespace.
pub async fn of_namespace(conn: &mut Conn, namespace: &Namespace) -> Result<NamespaceStorage, Error> {
    let total = used(conn, namespace).await?;
    let unique = "SELECT CAST(COALESCE(SUM(h.size), 0) AS BIGINT) FROM (
                      SELECT h.size FROM (SELECT DISTINCT digest, size FROM repository_blobs WHERE namespace = $1) h
                      WHERE NOT EXISTS (
                          SELECT 1 FROM repository_blobs o WHERE o.digest = h.digest AND o.namespace <> $1)
                      UNION ALL
                      SELECT h.size FROM (SELECT DISTINCT digest, size FROM repository_manifests WHERE namespace = $1) h
                      WHERE NOT EXISTS (
                          SELECT 1 FROM repository_manifests o WHERE o.digest = h.digest AND o.namespace <> $1)) h";
    let unique = looked_up(conn, HELD_BY_NAMESPACE, unique, namespace.as_str()).await?;
    let deleted = looked_up(conn, HELD_BY_DELETED, DELETED_IN_NAMESPACE, namespace.as_str()).await?;
    Ok(NamespaceStorage {
        namespace: namespace.clone(),
        storage: Storage { total, unique },
        deleted,
        quota: quota(conn, namespace).await?,
    })
}

/// The bytes of all blobs and manifests of the repositories of a namespace. Reads one row.
async fn used(conn: &mut Conn, namespace: &Namespace) -> Result<u64, Error> {
    let sql = "SELECT bytes FROM namespace_storage WHERE namespace = $1";
    let found = row!(conn, (i64,), sql, namespace.as_str())?;
    Ok(found.map_or(0, |(bytes,)| bytes.max(0).unsigned_abs()))
}

/// The quota of a namespace in bytes; `None` means unlimited.
pub async fn quota(conn: &mut Conn, namespace: &Namespace) -> Result<Option<u64>, Error> {
    let sql = "SELECT quota FROM accounts WHERE name = $1";
    let found: Option<(Option<i64>,)> = row!(conn, (Option<i64>,), sql, namespace.as_str())?;
    Ok(found.and_then(|(quota,)| quota).map(i64::unsigned_abs))
}

/// Sets the quota of a namespace; `None` means unlimited. Existing content is kept. Returns whether the namespace
/// exists.
pub async fn set_quota(tx: &mut Tx, namespace: &Namespace, quota: Option<u64>) -> Result<bool, Error> {
    let quota = quota.map(|quota| i64::try_from(quota).unwrap_or(i64::MAX));
    let sql = "UPDATE accounts SET quota = $2 WHERE name = $1";
    Ok(change!(tx.conn, sql, namespace.as_str(), quota)? > 0)
}

/// The error if a blob would exceed the quota of a namespace. A blob that the namespace already has needs no room. To
/// be called after [`hold_quota`] if the blob is then linked.
pub async fn obstacle_to_blob(
    conn: &mut Conn,
    namespace: &Namespace,
    blob: &Digest,
    size: u64,
) -> Result<Option<QuotaExceeded>, Error> {
    let Some(quota) = quota(conn, namespace).await? else { return Ok(None) };
    match held_blob(conn, namespace, blob).await? {
        Some(_) => Ok(None),
        None => exceeded(conn, namespace, quota, size).await,
    }
}

/// The size in bytes of a blob, if some repository of the namespace has it.
pub async fn held_blob(conn: &mut Conn, namespace: &Namespace, blob: &Digest) -> Result<Option<u64>, Error> {
    let sql = "SELECT size FROM repository_blobs WHERE namespace = $1 AND digest = $2 LIMIT 1";
    let found = row!(conn, (i64,), sql, namespace.as_str(), blob.as_str())?;
    Ok(found.map(|(size,)| size.unsigned_abs()))
}

/// Like [`obstacle_to_blob`], for a manifest itself; its parts are checked with each blob.
pub async fn obstacle_to_manifest(
    conn: &mut Conn,
    namespace: &Namespace,
    manifest: &Digest,
    size: u64,
) -> Result<Option<QuotaExceeded>, Error> {
    let Some(quota) = quota(conn, namespace).await? else { return Ok(None) };
    let sql = "SELECT 1 FROM repository_manifests WHERE namespace = $1 AND digest = $2 LIMIT 1";
    if row!(conn, (i32,), sql, namespace.as_str(), manifest.as_str())?.is_some() {
        return Ok(None);
    }
    exceeded(conn, namespace, quota, size).await
}

/// The used part of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// In bytes.
    pub quota: u64,
    /// The bytes that the namespace has.
    pub used: u64,
    /// The bytes of its unfinished uploads.
    pub unfinished: u64,
}

/// The used part of a namespace's quota; `None` if it has no quota.
pub async fn taken(conn: &mut Conn, namespace: &Namespace) -> Result<Option<Taken>, Error> {
    let Some(quota) = quota(conn, namespace).await? else { return Ok(None) };
    // An upload that finishes in the meantime is counted twice rather than not at all.
    let unfinished = uploads::bytes_in_namespace(conn, namespace).await?;
    Ok(Some(Taken { quota, used: used(conn, namespace).await?, unfinished }))
}

/// Like [`obstacle_to_blob`], for everything that a manifest of the repository `from` needs.
pub async fn obstacle_to_tree(
    conn: &mut Conn,
    namespace: &Namespace,
    from: RepositoryId,
    root: &Digest,
) -> Result<Option<QuotaExceeded>, Error> {
    let Some(quota) = quota(conn, namespace).await? else { return Ok(None) };
    let needed = value!(
        conn,
        i64,
        "WITH RECURSIVE tree (digest) AS (
             SELECT CAST($3 AS TEXT) UNION
             SELECT e.child FROM manifest_edges e JOIN tree t ON e.parent = t.digest WHERE e.role = 'child')
         SELECT CAST((SELECT COALESCE(SUM(size), 0) FROM (
             SELECT DISTINCT l.digest, l.size
             FROM tree t CROSS JOIN manifest_edges e CROSS JOIN repository_blobs l
             WHERE e.parent = t.digest AND e.role IN ('config', 'layer')
               AND l.repository = $2 AND l.digest = e.child
               AND NOT EXISTS (SELECT 1 FROM repository_blobs h WHERE h.namespace = $1 AND h.digest = l.digest)
         ) new_blobs) + (SELECT COALESCE(SUM(size), 0) FROM (
             SELECT l.digest, l.size
             FROM tree t CROSS JOIN repository_manifests l
             WHERE l.repository = $2 AND l.digest = t.digest AND l.removed_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM repository_manifests h WHERE h.namespace = $1 AND h.digest = l.digest)
         ) new_manifests) AS BIGINT)",
        namespace.as_str(),
        from.to_string(),
        root.as_str()
    )?;
    match needed.unsigned_abs() {
        0 => Ok(None),
        needed => exceeded(conn, namespace, quota, needed).await,
    }
}

/// Locks the quota of a namespace, if it has one, until the transaction ends, so that two transactions that both find
/// room do not use the same room. To be called before rows of blobs are locked.
pub async fn hold_quota(tx: &mut Tx, namespace: &Namespace) -> Result<(), Error> {
    if tx.is_postgres() {
        let sql = "SELECT quota FROM accounts WHERE name = $1 AND quota IS NOT NULL FOR NO KEY UPDATE";
        row!(tx.conn, (Option<i64>,), sql, namespace.as_str())?;
    }
    Ok(())
}

async fn exceeded(
    conn: &mut Conn,
    namespace: &Namespace,
    quota: u64,
    needed: u64,
) -> Result<Option<QuotaExceeded>, Error> {
    let used = used(conn, namespace).await?;
    let fits = used.saturating_add(needed) <= quota;
    Ok((!fits).then(|| QuotaExceeded { namespace: namespace.clone(), quota, used, needed }))
}
