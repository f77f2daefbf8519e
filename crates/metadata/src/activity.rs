//! Who did what.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, rows, value},
    convert::{as_word, from_json, instant, json, maybe_id, maybe_parse, micros, word},
    page,
    repositories::{self, Visible},
};
use longshore_model::{
    Author, JobId, Message, Page, PageRequest, PolicyId, RepositoryId, Timestamp,
    activity::{ActivityFilter, ActivityKind},
    stored::Activity,
};
use longshore_oci::{Digest, Namespace, Tag};

/// Something that happened.
#[derive(Debug, Clone)]
pub struct NewActivity {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: Author,
    /// What.
    pub kind: ActivityKind,
    /// In which repository.
    pub repository: Option<RepositoryId>,
    /// Which tag.
    pub tag: Option<Tag>,
    /// Which manifest.
    pub digest: Option<Digest>,
    /// Which policy or mirror.
    pub policy: Option<PolicyId>,
    /// Which job.
    pub job: Option<JobId>,
    /// One more sentence.
    pub detail: Message,
}

impl NewActivity {
    /// Something that is about no repository, nor anything else that a field names.
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

/// Remembers it.
pub async fn add(tx: &mut Tx, entry: &NewActivity) -> Result<(), Error> {
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

/// The conditions of a list, behind the one that finds the rows by an index. Their parameters are
/// those of [`list`].
macro_rules! listed {
    ($found_by:literal) => {
        (
            concat!("SELECT COUNT(*) FROM activity a ", listed!(@conditions $found_by)),
            concat!(
                "SELECT a.id, a.at, a.author, a.kind, r.name AS repository_name, a.tag, a.digest, a.policy, a.job,
                        a.detail
                 FROM activity a LEFT JOIN repositories r ON r.id = a.repository ",
                listed!(@conditions $found_by),
                " ORDER BY a.id DESC LIMIT $6 OFFSET $7"
            ),
        )
    };
    (@conditions $found_by:literal) => {
        concat!(
            "WHERE ", $found_by,
            r#" AND ($1 OR a.repository IN (
                    SELECT v.id FROM repositories v
                    WHERE ($2 AND v.visibility = 'public') OR REPLACE($3, '"' || v.namespace || '"', '') <> $3))
                AND ($4 IS NULL OR a.repository = $4)
                AND ($5 IS NULL OR a.repository IN (SELECT v.id FROM repositories v WHERE v.namespace = $5))"#
        )
    };
}

/// What happened, newest first. What happened in no repository only those see who see everything.
pub async fn list(
    conn: &mut Conn,
    visible: &Visible,
    filter: &ActivityFilter,
    page: &PageRequest,
) -> Result<Page<Activity>, Error> {
    let (everything, public, namespaces) = visible.columns();
    let namespace = filter.namespace.as_ref().map(Namespace::as_str);
    // Neither database finds an index in `$n IS NULL OR …`.
    let (repository, (count, select)) = match &filter.repository {
        Some(name) => match repositories::id_of(conn, name).await? {
            Some(repository) => (Some(repository), listed!("a.repository = $4")),
            None => return Ok(Page { items: Vec::new(), next: None, total: 0 }),
        },
        None => (None, listed!("a.id > 0")),
    };
    let total =
        value!(conn, i64, count, everything, public, namespaces.as_str(), repository.as_deref(), namespace)?;
    let found = rows!(
        conn,
        Row,
        select,
        everything,
        public,
        namespaces.as_str(),
        repository.as_deref(),
        namespace,
        page.limit(),
        page.offset()
    )?;
    Ok(page::of("activity", found, |row| row.id.to_string(), page, total))
}
