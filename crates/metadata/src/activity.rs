//! The activity: who did what.

use crate::{
    Change, Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{as_word, from_json, instant, json, maybe_id, maybe_parse, micros, readable, word},
    page::{COUNTED, Reading, counted, pages, window},
    repositories,
    visible::{Visible, visible},
};
use longshore_model::{
    Author, JobId, Message, Page, PageRequest, PolicyId, RepositoryId, Timestamp, Total,
    activity::{ActivityFilter, ActivityKind},
    stored::Activity,
};
use longshore_oci::{Digest, Namespace, Tag};
use std::cmp::Reverse;

/// An entry to add to the activity.
#[derive(Debug, Clone)]
pub struct NewActivity {
    pub at: Timestamp,
    pub author: Author,
    pub kind: ActivityKind,
    pub repository: Option<RepositoryId>,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
    pub policy: Option<PolicyId>,
    pub job: Option<JobId>,
    /// An additional sentence.
    pub detail: Message,
}

impl NewActivity {
    /// An entry without a repository or any other reference.
    #[must_use]
    pub fn new(at: Timestamp, author: Author, kind: ActivityKind) -> Self {
        let (repository, tag, digest, policy, job) = (None, None, None, None, None);
        Self { at, author, kind, repository, tag, digest, policy, job, detail: Message::Nothing }
    }
}

from_row! {
    struct Row {
        id: i64,
        at: i64,
        author: String,
        kind: String,
        repository_name: Option<String>,
        tag: Option<String>,
        digest: Option<String>,
        policy: Option<String>,
        job: Option<String>,
        detail: String,
    }
}

impl TryFrom<Row> for Activity {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            at: instant(row.at)?,
            author: from_json("author", &row.author)?,
            kind: word("kind of activity", &row.kind)?,
            repository: maybe_parse("repository name", row.repository_name.as_deref())?,
            tag: maybe_parse("tag", row.tag.as_deref())?,
            digest: maybe_parse("digest", row.digest.as_deref())?,
            policy: maybe_id(PolicyId, row.policy.as_deref())?,
            job: maybe_id(JobId, row.job.as_deref())?,
            detail: Message::read(&row.detail),
        })
    }
}

/// Adds an entry, and announces a change of settings if lists of repositories, policies or accounts may have changed.
pub async fn add(tx: &mut Tx, entry: &NewActivity) -> Result<(), Error> {
    if changes_settings(entry.kind) {
        tx.announce(Change::Settings);
    }
    change!(
        tx.conn,
        "INSERT INTO activity (at, author, kind, repository, tag, digest, policy, job, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        micros(entry.at),
        json(&entry.author),
        as_word(&entry.kind),
        entry.repository.map(|repository| repository.to_string()),
        entry.tag.as_ref().map(Tag::as_str),
        entry.digest.as_ref().map(Digest::as_str),
        entry.policy.map(|policy| policy.to_string()),
        entry.job.map(|job| job.to_string()),
        entry.detail.stored()
    )?;
    Ok(())
}

/// Whether the lists of repositories, policies or accounts may change with it. Changes of tags, pauses and remotes are
/// announced where they are made.
fn changes_settings(kind: ActivityKind) -> bool {
    match kind {
        ActivityKind::RepositoryCreated
        | ActivityKind::RepositoryChanged
        | ActivityKind::RepositoryDeleted
        | ActivityKind::RepositoryRestored
        | ActivityKind::RepositoryPurged
        | ActivityKind::PolicyCreated
        | ActivityKind::PolicyChanged
        | ActivityKind::PolicyDeleted
        | ActivityKind::PolicyStopped
        | ActivityKind::AccountCreated
        | ActivityKind::QuotaChanged => true,
        ActivityKind::TagPushed
        | ActivityKind::TagPromoted
        | ActivityKind::TagMirrored
        | ActivityKind::TagSent
        | ActivityKind::TagDeleted
        | ActivityKind::TagRestored
        | ActivityKind::TagReleased
        | ActivityKind::Paused
        | ActivityKind::Resumed
        | ActivityKind::RemoteChanged => false,
    }
}

/// The statements of a list. Each starts with the condition that finds its rows by an index and takes `$1`.
struct Statements {
    /// The IDs on a page: after `$2`, not beyond `$3`, at most `$4`; the other parameters are the reader's visibility
    /// and a namespace.
    keys: (&'static str, &'static str),
    /// The last ID in the window of a page after `$2`.
    edge: (&'static str, &'static str),
    /// The number of rows, at most `$4`. Its parameters are those of the keys of the first page.
    count: &'static str,
}

macro_rules! listed {
    ($found_by:literal) => {
        Statements {
            keys: pages!({ "SELECT a.id FROM activity a WHERE ", $found_by, listed!(@conditions) }
                         down ["a.id"], key "$2", edge "$3", limit "$4"),
            edge: pages!({ "SELECT a.id FROM activity a WHERE ", $found_by }
                         down ["a.id"], key "$2", limit window!()),
            count: concat!(
                "SELECT COUNT(*) FROM (SELECT 1 FROM activity a WHERE ", $found_by, listed!(@conditions),
                " AND a.id < $2 AND a.id >= $3 LIMIT $4) AS counted"
            ),
        }
    };
    (@conditions) => {
        concat!(
            " AND ($5 OR a.repository IN (SELECT v.id FROM repositories v WHERE ", visible!("v", "$6", "$7"), "))
              AND ($8 IS NULL OR a.repository IN (SELECT w.id FROM repositories w WHERE w.namespace = $8))"
        )
    };
}

/// The entries of visible repositories (`$4` to `$6`), of the namespace `$1` or of any: after `$2`, at most `$3`, and
/// no more in each repository.
macro_rules! by_repository {
    ($database:ident) => {
        (by_repository!($database "<" " DESC"), by_repository!($database ">" ""))
    };
    (sqlite $beyond:literal $direction:literal) => {
        by_repository!($beyond $direction "SELECT a.id AS id FROM repositories v CROSS JOIN activity a WHERE a.id IN (" ")")
    };
    (postgres $beyond:literal $direction:literal) => {
        by_repository!($beyond $direction "SELECT top.id AS id FROM repositories v CROSS JOIN LATERAL (" ") AS top WHERE TRUE")
    };
    ($beyond:literal $direction:literal $before:literal $behind:literal) => {
        concat!(
            $before,
            "SELECT x.id FROM activity x WHERE x.repository = v.id AND x.id ", $beyond, " $2
             ORDER BY x.id", $direction, " LIMIT $3",
            $behind,
            " AND ($1 IS NULL OR v.namespace = $1) AND ", visible!("v", "$4", "$5", "$6"),
            " ORDER BY id", $direction, " LIMIT $3"
        )
    };
}

/// The number of entries of visible repositories (`$2` to `$4`), of the namespace `$1` or of any; at most `$5`.
macro_rules! count_by_repository {
    () => {
        concat!(
            "SELECT COUNT(*) FROM (
                 SELECT 1 FROM repositories v CROSS JOIN activity x
                 WHERE x.repository = v.id AND ($1 IS NULL OR v.namespace = $1) AND ",
            visible!("v", "$2", "$3", "$4"),
            " LIMIT $5) AS counted"
        )
    };
}

/// The activity, newest first. Entries without a repository are visible only to readers who see everything. The lookup
/// and the window of a page are those of [`crate::jobs::list`].
pub async fn list(
    conn: &mut Conn,
    visible: &Visible,
    filter: &ActivityFilter,
    page: &PageRequest,
) -> Result<Page<Activity>, Error> {
    let reading = Reading::of(page, i64::MAX)?;
    let (everything, public, namespaces) = visible.columns();
    let namespace = filter.namespace.as_ref().map(Namespace::as_str);
    let key = |(id,): &(i64,)| *id;
    // Neither database finds an index in `$n IS NULL OR …`.
    let repository = match &filter.repository {
        Some(name) => match repositories::id_of(conn, name).await? {
            Some(repository) => Some(repository),
            None => return Ok(Page::empty()),
        },
        None => None,
    };
    let (statements, by) = match &repository {
        Some(repository) => (listed!("a.repository = $1"), repository.as_str()),
        None => (listed!("$1 = ''"), ""),
    };
    macro_rules! asked {
        ($how:ident, $row:ty, $sql:expr, $key:expr, $edge:expr, $limit:expr) => {
            $how!(
                conn,
                $row,
                $sql,
                by,
                $key,
                $edge,
                $limit,
                everything,
                public,
                namespaces.as_str(),
                namespace
            )
        };
    }
    let (edge, oldest) = match everything && namespace.is_none() {
        true => (None, None),
        false => {
            let edge = row!(conn, (i64,), reading.choose(statements.edge), by, reading.key)?;
            let oldest = match reading.first {
                true => edge,
                false => row!(conn, (i64,), statements.edge.0, by, i64::MAX)?,
            };
            (edge.map(|(id,)| id), oldest.map(|(id,)| id))
        }
    };
    let end = edge.unwrap_or(if reading.back { i64::MAX } else { i64::MIN });
    let (sql, first) = (reading.choose(statements.keys), reading.key);
    let found = asked!(rows, (i64,), sql, first, end, reading.limit())?;
    let total = if repository.is_some() || (everything && namespace.is_none()) {
        let end = oldest.unwrap_or(i64::MIN);
        match (counted(asked!(value, i64, statements.count, i64::MAX, end, COUNTED)?), oldest) {
            (Total::Exactly(number), Some(_)) => Total::MoreThan(number),
            (total, _) => total,
        }
    } else {
        let (sql, seen) = (count_by_repository!(), namespaces.as_str());
        counted(value!(conn, i64, sql, namespace, everything, public, seen, COUNTED)?)
    };
    let page = if edge.is_some() && !reading.is_filled_by(found.len()) && repository.is_none() {
        let statements = match conn.is_postgres() {
            false => by_repository!(sqlite),
            true => by_repository!(postgres),
        };
        let (sql, limit, seen) = (reading.choose(statements), reading.limit(), namespaces.as_str());
        reading.page(rows!(conn, (i64,), sql, namespace, first, limit, everything, public, seen)?, key, total)
    } else {
        reading.page_within(found, key, total, edge)
    };
    let (keys, page) = page.split();
    let mut found = by_id(conn, keys.into_iter().map(|(id,)| id).collect()).await?;
    found.sort_unstable_by_key(|row| Reverse(row.id));
    Ok(page.with(readable("activity", found, |row| row.id.to_string(), Activity::try_from)))
}

/// The entries with these IDs, in no particular order, in one statement.
async fn by_id(conn: &mut Conn, ids: Vec<i64>) -> Result<Vec<Row>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    macro_rules! of {
        ($ids:literal) => {
            concat!(
                "SELECT a.id, a.at, a.author, a.kind, r.name AS repository_name, a.tag, a.digest, a.policy, a.job,
                        a.detail
                 FROM activity a LEFT JOIN repositories r ON r.id = a.repository WHERE a.id IN (",
                $ids,
                ")"
            )
        };
    }
    let sql = match conn.is_postgres() {
        false => of!("SELECT n.value FROM json_each($1) n"),
        true => of!("SELECT CAST(json_array_elements_text($1::json) AS BIGINT)"),
    };
    Ok(rows!(conn, Row, sql, json(&ids))?)
}
