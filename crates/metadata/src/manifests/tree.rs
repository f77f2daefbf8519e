//! The tree of a manifest: the parts that it names, and the parts of these. It can be listed, or linked into another
//! repository.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows},
    convert::{json, parse},
};
use longshore_model::RepositoryId;
use longshore_oci::Digest;
use std::collections::{HashMap, HashSet};

/// The kind of a part of a tree.
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
    pub digest: Digest,
    pub kind: TreeKind,
    /// As named by its parent.
    pub media_type: String,
    /// In bytes, as named by its parent.
    pub size: u64,
    /// As named by an index.
    pub platform: Option<String>,
    /// Why it need not be stored; `None` if it must be.
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
        root: String,
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

/// The parts that a manifest itself names, in its order, without its subject.
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

/// The subject of a manifest, if it is a referrer.
pub async fn subject(conn: &mut Conn, manifest: &Digest) -> Result<Option<Digest>, Error> {
    let sql = "SELECT subject FROM manifests WHERE digest = $1 AND subject IS NOT NULL";
    let found = row!(conn, (String,), sql, manifest.as_str())?;
    found.map(|(subject,)| parse("digest", &subject)).transpose()
}

/// Everything that a manifest needs, each part once: first itself, and each manifest before its parts. Empty if it is
/// not stored.
pub async fn tree(conn: &mut Conn, root: &Digest) -> Result<Vec<TreeEntry>, Error> {
    let mut found = trees(conn, &[root]).await?;
    Ok(found.remove(root).map(|tree| tree.entries).unwrap_or_default())
}

/// A stored manifest with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeOf {
    pub artifact_type: Option<String>,
    /// The entries, as in [`tree`].
    pub entries: Vec<TreeEntry>,
}

impl TreeOf {
    /// Its platforms, such as `linux/amd64`, each once: for an index those that it names for its children, for an image
    /// the one in its config.
    #[must_use]
    pub fn platforms(&self) -> Vec<String> {
        let of = |kind| {
            let mut platforms: Vec<String> = Vec::new();
            let said = self.entries.iter().filter(|entry| entry.kind == kind);
            for platform in said.filter_map(|entry| entry.platform.as_ref()) {
                if platform != "unknown/unknown" && !platforms.contains(platform) {
                    platforms.push(platform.clone());
                }
            }
            platforms
        };
        let of_children = of(TreeKind::Manifest);
        if of_children.is_empty() { of(TreeKind::Blob) } else { of_children }
    }
}

from_row! {
    struct RootRow {
        digest: String,
        media_type: String,
        artifact_type: Option<String>,
        size: i64,
    }
}

/// The [`tree`]s of those of several manifests that are stored, in two statements.
pub async fn trees(conn: &mut Conn, roots: &[&Digest]) -> Result<HashMap<Digest, TreeOf>, Error> {
    if roots.is_empty() {
        return Ok(HashMap::new());
    }
    let asked = json(&roots.iter().collect::<HashSet<_>>());
    macro_rules! of {
        ($roots:literal) => {
            (
                concat!(
                    "SELECT m.digest, m.media_type, m.artifact_type, m.size FROM manifests m
                     WHERE m.digest IN (SELECT r.root FROM (",
                    $roots,
                    ") r)"
                ),
                // A part that is reached by paths of different lengths is found once for each length.
                concat!(
                    "WITH RECURSIVE tree (root, digest, depth) AS (
                         SELECT r.root, r.root, 0 FROM (",
                    $roots,
                    ") r UNION
                         SELECT t.root, e.child, t.depth + 1 FROM manifest_edges e JOIN tree t ON e.parent = t.digest
                         WHERE e.role = 'child')
                     SELECT t.root, CAST(t.depth AS BIGINT) AS depth, e.child, e.role, e.media_type, e.size, e.platform,
                            e.absent
                     FROM tree t JOIN manifest_edges e ON e.parent = t.digest
                     WHERE e.role <> 'subject' ORDER BY t.root, t.depth DESC, t.digest, e.position"
                ),
            )
        };
    }
    let (of_roots, of_parts) = match conn.is_postgres() {
        false => of!("SELECT value AS root FROM json_each($1)"),
        true => of!("SELECT json_array_elements_text($1::json) AS root"),
    };
    let mut trees = HashMap::new();
    for row in rows!(conn, RootRow, of_roots, asked.as_str())? {
        let digest: Digest = parse("digest", &row.digest)?;
        let root = TreeEntry {
            digest: digest.clone(),
            kind: TreeKind::Manifest,
            media_type: row.media_type,
            size: row.size.unsigned_abs(),
            platform: None,
            absent: None,
        };
        trees.insert(digest, TreeOf { artifact_type: row.artifact_type, entries: vec![root] });
    }
    let mut edges = rows!(conn, TreeRow, of_parts, asked.as_str())?.into_iter().peekable();
    while let Some(root) = edges.peek().map(|row| row.root.clone()) {
        // Each part is placed at its greatest depth, which is after all manifests that need it.
        let mut seen = HashSet::new();
        let mut parts = Vec::new();
        while let Some(TreeRow { depth, edge, .. }) = edges.next_if(|row| row.root == root) {
            let part = TreeEntry::try_from(edge)?;
            if seen.insert(part.digest.clone()) {
                parts.push((depth, part));
            }
        }
        parts.sort_by_key(|(depth, _)| *depth);
        if let Some(tree) = trees.get_mut(root.as_str()) {
            tree.entries.extend(parts.into_iter().map(|(_, part)| part));
        }
    }
    Ok(trees)
}

/// These manifests and all manifests below them, each once, in one query.
pub async fn members(conn: &mut Conn, roots: &[&Digest]) -> Result<Vec<Digest>, Error> {
    macro_rules! members {
        ($roots:literal) => {
            concat!(
                "WITH RECURSIVE tree (digest) AS (",
                $roots,
                " UNION SELECT e.child FROM manifest_edges e JOIN tree t ON e.parent = t.digest
                  WHERE e.role = 'child')
                 SELECT digest FROM tree"
            )
        };
    }
    let sql = match conn.is_postgres() {
        false => members!("SELECT value FROM json_each($1)"),
        true => members!("SELECT json_array_elements_text($1::json)"),
    };
    let roots: Vec<&str> = roots.iter().map(|root| root.as_str()).collect();
    let found = rows!(conn, (String,), sql, json(&roots))?;
    found.iter().map(|(digest,)| parse("digest", digest)).collect()
}

/// What a [`link_tree`] has newly linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkOutcome {
    pub manifests: u64,
    pub blobs: u64,
}

/// Links a manifest of `from` into `to`, with everything that it needs; no bytes are copied. Parts that `from` does not
/// have (absent ones) are left out.
pub async fn link_tree(
    tx: &mut Tx,
    from: RepositoryId,
    to: RepositoryId,
    root: &Digest,
) -> Result<LinkOutcome, Error> {
    let (from, to) = (from.to_string(), to.to_string());
    // Blobs first: they are found through the manifests. CROSS JOIN prevents SQLite from starting with everything that
    // the repository has, which would make a promotion slower with each push.
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
