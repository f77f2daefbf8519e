//! What a manifest names, and what that names in turn: read as a list, or given to another repository
//! whole.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows},
    convert::parse,
};
use longshore_model::RepositoryId;
use longshore_oci::Digest;
use std::collections::HashSet;

/// What a part of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TreeKind {
    /// A manifest or index.
    Manifest,
    /// A config or layer.
    Blob,
}

/// A part of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub kind: TreeKind,
    /// Its media type, as the one that names it says.
    pub media_type: String,
    /// Its length in bytes, as the one that names it says.
    pub size: u64,
    /// Its platform, as an index says.
    pub platform: Option<String>,
    /// Why it need not be stored, where it need not.
    pub absent: Option<String>,
}

impl TreeEntry {
    /// Whether it is a manifest or index.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        self.kind == TreeKind::Manifest
    }
}

from_row! {
    struct EdgeRow {
        child: String,
        role: String,
        media_type: String,
        size: i64,
        platform: Option<String>,
        absent: Option<String>,
    }
}

from_row! {
    struct TreeRow {
        depth: i64,
    } and edge: EdgeRow
}

impl TryFrom<EdgeRow> for TreeEntry {
    type Error = Error;
    fn try_from(row: EdgeRow) -> Result<Self, Error> {
        Ok(Self {
            digest: parse("digest", &row.child)?,
            kind: if row.role == "child" { TreeKind::Manifest } else { TreeKind::Blob },
            media_type: row.media_type,
            size: row.size.unsigned_abs(),
            platform: row.platform,
            absent: row.absent,
        })
    }
}

/// The parts that one manifest names itself, in its order; a subject is none.
pub async fn parts(conn: &mut Conn, manifest: &Digest) -> Result<Vec<TreeEntry>, Error> {
    let found = rows!(
        conn,
        EdgeRow,
        "SELECT child, role, media_type, size, platform, absent FROM manifest_edges
         WHERE parent = $1 AND role <> 'subject' ORDER BY position",
        manifest.as_str()
    )?;
    found.into_iter().map(TreeEntry::try_from).collect()
}

/// What a manifest refers to, when it is a referrer.
pub async fn subject(conn: &mut Conn, manifest: &Digest) -> Result<Option<Digest>, Error> {
    let sql = "SELECT subject FROM manifests WHERE digest = $1 AND subject IS NOT NULL";
    let found = row!(conn, (String,), sql, manifest.as_str())?;
    found.map(|(subject,)| parse("digest", &subject)).transpose()
}

/// Everything that a manifest needs, each once: itself first, each manifest before its parts. Empty
/// when it is not stored.
pub async fn tree(conn: &mut Conn, root: &Digest) -> Result<Vec<TreeEntry>, Error> {
    let found: Option<(String, i64)> =
        row!(conn, (String, i64), "SELECT media_type, size FROM manifests WHERE digest = $1", root.as_str())?;
    let Some((media_type, size)) = found else { return Ok(Vec::new()) };
    // A part that is reached on ways of different length is met once for each length.
    let edges = rows!(
        conn,
        TreeRow,
        "WITH RECURSIVE tree (digest, depth) AS (
             SELECT CAST($1 AS TEXT), 0 UNION
             SELECT e.child, t.depth + 1 FROM manifest_edges e JOIN tree t ON e.parent = t.digest
             WHERE e.role = 'child')
         SELECT CAST(t.depth AS BIGINT) AS depth, e.child, e.role, e.media_type, e.size, e.platform, e.absent
         FROM tree t JOIN manifest_edges e ON e.parent = t.digest
         WHERE e.role <> 'subject' ORDER BY t.depth DESC, t.digest, e.position",
        root.as_str()
    )?;
    // Each part is taken where it is deepest, which is behind all that need it.
    let mut seen = HashSet::new();
    let mut parts = Vec::with_capacity(edges.len());
    for TreeRow { depth, edge } in edges {
        let part = TreeEntry::try_from(edge)?;
        if seen.insert(part.digest.clone()) {
            parts.push((depth, part));
        }
    }
    parts.sort_by_key(|(depth, _)| *depth);
    let root = TreeEntry {
        digest: root.clone(),
        kind: TreeKind::Manifest,
        media_type,
        size: size.unsigned_abs(),
        platform: None,
        absent: None,
    };
    Ok(std::iter::once(root).chain(parts.into_iter().map(|(_, part)| part)).collect())
}

/// How much a [`link_tree`] gave to the other repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkOutcome {
    /// Manifests that it had not.
    pub manifests: u64,
    /// Blobs that it had not.
    pub blobs: u64,
}

/// Gives `to` a manifest of `from` with all that it needs; no byte is copied. What `from` itself
/// does not have (an absent part) is left out.
pub async fn link_tree(
    tx: &mut Tx,
    from: RepositoryId,
    to: RepositoryId,
    root: &Digest,
) -> Result<LinkOutcome, Error> {
    let (from, to) = (from.to_string(), to.to_string());
    // Blobs first: they are found through the manifests. CROSS JOIN keeps SQLite from beginning with
    // everything that the repository has, which a promotion would take longer over with each push.
    let blobs = change!(
        tx.conn,
        "INSERT INTO repository_blobs (repository, digest, linked_at, namespace, size)
         WITH RECURSIVE tree (digest) AS (
             SELECT CAST($3 AS TEXT) UNION
             SELECT e.child FROM manifest_edges e JOIN tree t ON e.parent = t.digest WHERE e.role = 'child')
         SELECT DISTINCT CAST($2 AS TEXT), e.child, l.linked_at,
                         (SELECT r.namespace FROM repositories r WHERE r.id = $2), l.size
         FROM tree t CROSS JOIN manifest_edges e CROSS JOIN repository_blobs l
         WHERE e.parent = t.digest AND e.role IN ('config', 'layer') AND l.repository = $1 AND l.digest = e.child
         ON CONFLICT DO NOTHING",
        from.as_str(),
        to.as_str(),
        root.as_str()
    )?;
    let manifests = change!(
        tx.conn,
        "INSERT INTO repository_manifests (repository, digest, linked_at, namespace, size)
         WITH RECURSIVE tree (digest) AS (
             SELECT CAST($3 AS TEXT) UNION
             SELECT e.child FROM manifest_edges e JOIN tree t ON e.parent = t.digest WHERE e.role = 'child')
         SELECT DISTINCT CAST($2 AS TEXT), t.digest, l.linked_at,
                         (SELECT r.namespace FROM repositories r WHERE r.id = $2), l.size
         FROM tree t CROSS JOIN repository_manifests l
         WHERE l.repository = $1 AND l.digest = t.digest AND l.removed_at IS NULL
         ON CONFLICT (repository, digest) DO UPDATE SET removed_at = NULL
         WHERE repository_manifests.removed_at IS NOT NULL",
        from.as_str(),
        to.as_str(),
        root.as_str()
    )?;
    Ok(LinkOutcome { manifests, blobs })
}
