//! Counters of numbers that pages, lists and quotas need all the time and that would be expensive to compute. Triggers
//! keep them, in the transactions that add and remove rows. They are read where they are shown; this module compares
//! them with the rows and recounts them.

use crate::{
    Conn, Error, Tx,
    conn::{change, row, rows},
    convert::parse,
    tags,
};
use longshore_oci::{Namespace, RepositoryName};

/// A counted number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// The bytes of all blobs of the server.
    Store,
    /// The bytes of the blobs and manifests of a namespace, each counted once.
    Namespace(Namespace),
    /// The bytes of the blobs of a repository.
    Blobs(RepositoryName),
    /// The tags of a repository, without digest tags.
    Tags(RepositoryName),
}

/// A wrong counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miscount {
    pub counter: Counter,
    /// The value of the counter.
    pub counted: i64,
    /// The value computed from the rows.
    pub held: i64,
}

/// Counters that are compared and recounted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The counter of the whole server.
    Server,
    /// The counters of a namespace and of its repositories.
    Namespace(Namespace),
}

/// The bytes of a namespace, computed from the rows.
macro_rules! sum {
    ($namespace:literal) => {
        concat!(
            "CAST((SELECT COALESCE(SUM(size), 0) FROM (
                 SELECT DISTINCT digest, size FROM repository_blobs WHERE namespace = ",
            $namespace,
            ") b) + (SELECT COALESCE(SUM(size), 0) FROM (
                 SELECT DISTINCT digest, size FROM repository_manifests WHERE namespace = ",
            $namespace,
            ") m) AS BIGINT)"
        )
    };
}

/// Statements that recount the blobs and tags of the repositories for which the condition holds.
macro_rules! of_repositories {
    ($condition:literal) => {
        [
            concat!(
                "DELETE FROM blob_totals WHERE repository IN (SELECT r.id FROM repositories r ",
                $condition,
                ")"
            ),
            concat!(
                "INSERT INTO blob_totals (repository, bytes)
                 SELECT b.repository, CAST(SUM(b.size) AS BIGINT)
                 FROM repositories r JOIN repository_blobs b ON b.repository = r.id ",
                $condition,
                " GROUP BY b.repository"
            ),
            concat!(
                "DELETE FROM tag_totals WHERE repository IN (SELECT r.id FROM repositories r ",
                $condition,
                ")"
            ),
            concat!(
                "INSERT INTO tag_totals (repository, tags)
                 SELECT t.repository, COUNT(*)
                 FROM repositories r JOIN tags t ON t.repository = r.id AND NOT t.digest_tag ",
                $condition,
                " GROUP BY t.repository"
            ),
        ]
    };
}

/// Recounts the bytes of all blobs.
const COUNT_STORE: &str =
    "UPDATE store_total SET bytes = (SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs)";

/// The scope after `after`: first the server, then the namespaces that have a counter.
pub async fn next(conn: &mut Conn, after: Option<&Scope>) -> Result<Option<Scope>, Error> {
    let after = match after {
        None => return Ok(Some(Scope::Server)),
        Some(Scope::Server) => "",
        Some(Scope::Namespace(namespace)) => namespace.as_str(),
    };
    let sql = "SELECT namespace FROM namespace_storage WHERE namespace > $1 ORDER BY namespace LIMIT 1";
    let found = row!(conn, (String,), sql, after)?;
    found.map(|(namespace,)| parse("namespace", &namespace).map(Scope::Namespace)).transpose()
}

/// Compares the counters with the rows, and returns the differences. The cost grows with the number of rows. Only
/// reads.
pub async fn miscounts(conn: &mut Conn, scope: &Scope) -> Result<Vec<Miscount>, Error> {
    let mut wrong = Vec::new();
    let mut compare = |counter: Counter, counted: i64, held: i64| {
        if counted != held {
            wrong.push(Miscount { counter, counted, held });
        }
    };
    match scope {
        Scope::Server => {
            let sql =
                "SELECT bytes, (SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs) FROM store_total";
            if let Some((counted, held)) = row!(conn, (i64, i64), sql)? {
                compare(Counter::Store, counted, held);
            }
        }
        Scope::Namespace(namespace) => {
            let sql =
                concat!("SELECT s.bytes, ", sum!("$1"), " FROM namespace_storage s WHERE s.namespace = $1");
            if let Some((counted, held)) = row!(conn, (i64, i64), sql, namespace.as_str())? {
                compare(Counter::Namespace(namespace.clone()), counted, held);
            }
            let sql = "SELECT name, blobs_counted, blobs_held, tags_counted, tags_held FROM (
                           SELECT r.name,
                                  COALESCE(b.bytes, 0) AS blobs_counted,
                                  (SELECT CAST(COALESCE(SUM(x.size), 0) AS BIGINT) FROM repository_blobs x
                                   WHERE x.repository = r.id) AS blobs_held,
                                  COALESCE(t.tags, 0) AS tags_counted,
                                  (SELECT COUNT(*) FROM tags x
                                   WHERE x.repository = r.id AND NOT x.digest_tag) AS tags_held
                           FROM repositories r LEFT JOIN blob_totals b ON b.repository = r.id
                                               LEFT JOIN tag_totals t ON t.repository = r.id
                           WHERE r.namespace = $1) c
                       WHERE blobs_counted <> blobs_held OR tags_counted <> tags_held
                       ORDER BY name";
            for (name, blobs_counted, blobs_held, tags_counted, tags_held) in
                rows!(conn, (String, i64, i64, i64, i64), sql, namespace.as_str())?
            {
                let name: RepositoryName = parse("repository name", &name)?;
                compare(Counter::Blobs(name.clone()), blobs_counted, blobs_held);
                compare(Counter::Tags(name), tags_counted, tags_held);
            }
        }
    }
    Ok(wrong)
}

/// Recounts the counters that [`miscounts`] compares.
pub async fn recount(tx: &mut Tx, scope: &Scope) -> Result<(), Error> {
    match scope {
        Scope::Server => {
            if tx.is_postgres() {
                // Transactions that have stored a blob and are about to count it wait here.
                row!(tx.conn, (i64,), "SELECT bytes FROM store_total FOR UPDATE")?;
            }
            change!(tx.conn, COUNT_STORE)?;
        }
        Scope::Namespace(namespace) => {
            if tx.is_postgres() {
                // Transactions that link or unlink blobs wait here; the locks are taken in the order that all use.
                tags::lock_changes(tx).await?;
                let sql = "SELECT bytes FROM namespace_storage WHERE namespace = $1 FOR UPDATE";
                row!(tx.conn, (i64,), sql, namespace.as_str())?;
            }
            let sql = concat!("UPDATE namespace_storage SET bytes = ", sum!("$1"), " WHERE namespace = $1");
            change!(tx.conn, sql, namespace.as_str())?;
            for sql in of_repositories!("WHERE r.namespace = $1") {
                change!(tx.conn, sql, namespace.as_str())?;
            }
        }
    }
    Ok(())
}

/// Recounts all counters, after whole tables were copied.
pub(crate) async fn recount_all(tx: &mut Tx) -> Result<(), Error> {
    change!(tx.conn, "DELETE FROM namespace_storage")?;
    change!(
        tx.conn,
        "INSERT INTO namespace_storage (namespace, bytes)
         SELECT namespace, CAST(SUM(size) AS BIGINT) FROM (
             SELECT DISTINCT namespace, digest, size FROM repository_blobs
             UNION ALL
             SELECT DISTINCT namespace, digest, size FROM repository_manifests) held
         GROUP BY namespace"
    )?;
    for sql in of_repositories!("") {
        change!(tx.conn, sql)?;
    }
    change!(tx.conn, COUNT_STORE)?;
    Ok(())
}
