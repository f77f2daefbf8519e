//! Repositories, and the numbers that lists show for them.

use crate::{
    Conn, Error, Tx,
    conn::{change, from_row, row, rows, value},
    convert::{
        as_word, containing, from_json, id, instant, json, maybe_instant, micros, parse, readable, word,
    },
    jobs,
    page::{COUNTED, Reading, counted, pages},
    storage,
    visible::{Visible, visible},
};
use longshore_model::{
    Author, Code, ImmutableTags, LastChange, Page, PageRequest, Repository, RepositoryId, RepositoryState,
    Timestamp, Version,
    message::Withdrawal,
    repository::{Flow, NewRepository, RepositoryChange, RepositoryFilter, RepositorySummary},
};
use longshore_oci::{Namespace, RepositoryName};
use std::collections::HashMap;

from_row! {
    pub(crate) struct RepositoryRow {
        pub(crate) id: String,
        name: String,
        visibility: String,
        state: String,
        short_description: String,
        long_description: String,
        immutable_tags: bool,
        immutable_patterns: Option<String>,
        version: i64,
        created_at: i64,
    }
}

from_row! {
    struct PushedRow {
        by_push: bool,
    } and repository: RepositoryRow
}

/// The columns of a [`RepositoryRow`].
macro_rules! columns {
    () => {
        "id, name, visibility, state, short_description, long_description, immutable_tags, immutable_patterns,
         version, created_at"
    };
}

/// Selects whole repositories; what follows `FROM repositories` is given.
macro_rules! select {
    (and $more:literal, $($rest:tt)*) => {
        concat!("SELECT ", $more, $crate::repositories::columns!(), " FROM repositories ", $($rest)*)
    };
    ($($rest:tt)*) => { select!(and "", $($rest)*) };
}

pub(crate) use columns;

impl TryFrom<RepositoryRow> for Repository {
    type Error = Error;
    fn try_from(row: RepositoryRow) -> Result<Self, Error> {
        Ok(Self {
            id: id(RepositoryId, &row.id)?,
            name: parse("repository name", &row.name)?,
            visibility: word("visibility", &row.visibility)?,
            state: word("repository state", &row.state)?,
            short_description: row.short_description,
            long_description: row.long_description,
            immutable_tags: match (row.immutable_tags, row.immutable_patterns) {
                (false, _) => ImmutableTags::Off,
                (true, None) => ImmutableTags::All,
                (true, Some(patterns)) => ImmutableTags::Matching(parse("tag patterns", &patterns)?),
            },
            version: Version(row.version),
            created_at: instant(row.created_at)?,
        })
    }
}

/// Creates a repository. The name of a deleted one stays reserved.
///
/// # Errors
/// [`Error::Exists`]
pub async fn create(
    tx: &mut Tx,
    name: &RepositoryName,
    new: &NewRepository,
    now: Timestamp,
) -> Result<Repository, Error> {
    let repository = Repository {
        id: RepositoryId::new(),
        name: name.clone(),
        visibility: new.visibility,
        state: RepositoryState::Normal,
        short_description: new.short_description.clone(),
        long_description: new.long_description.clone(),
        immutable_tags: new.immutable_tags.clone(),
        version: Version::FIRST,
        created_at: now,
    };
    let inserted = change!(
        tx.conn,
        "INSERT INTO repositories (id, namespace, name, visibility, state, short_description, long_description,
                                   immutable_tags, immutable_patterns, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'normal', $5, $6, $7, $8, $9, $9) ON CONFLICT (name) DO NOTHING",
        repository.id.to_string(),
        name.namespace(),
        name.as_str(),
        new.visibility.as_str(),
        new.short_description.as_str(),
        new.long_description.as_str(),
        new.immutable_tags.is_on(),
        new.immutable_tags.patterns(),
        micros(now)
    )?;
    match inserted {
        0 => Err(Error::Exists { what: "the repository", name: name.to_string() }),
        _ => Ok(repository),
    }
}

/// The repository with this name, unless it is deleted.
pub async fn find(conn: &mut Conn, name: &RepositoryName) -> Result<Option<Repository>, Error> {
    let sql = select!("WHERE name = $1 AND deleted_at IS NULL");
    row!(conn, RepositoryRow, sql, name.as_str())?.map(Repository::try_from).transpose()
}

/// Like [`find`], and whether it exists only for one push, with which it may be removed again ([`forget_unused`]).
pub async fn find_for_push(
    conn: &mut Conn,
    name: &RepositoryName,
) -> Result<Option<(Repository, bool)>, Error> {
    let sql = select!(and "by_push, ", "WHERE name = $1 AND deleted_at IS NULL");
    let Some(PushedRow { by_push, repository }) = row!(conn, PushedRow, sql, name.as_str())? else {
        return Ok(None);
    };
    Ok(Some((repository.try_into()?, by_push)))
}

/// The repository with this ID, unless it is deleted.
pub async fn get(conn: &mut Conn, repository: RepositoryId) -> Result<Option<Repository>, Error> {
    let sql = select!("WHERE id = $1 AND deleted_at IS NULL");
    row!(conn, RepositoryRow, sql, repository.to_string())?.map(Repository::try_from).transpose()
}

/// Those of several repositories that exist, in no particular order, in one query.
pub async fn get_all(conn: &mut Conn, repositories: &[RepositoryId]) -> Result<Vec<Repository>, Error> {
    if repositories.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match conn.is_postgres() {
        false => select!("WHERE deleted_at IS NULL AND id IN (SELECT value FROM json_each($1))"),
        true => select!("WHERE deleted_at IS NULL AND id IN (SELECT json_array_elements_text($1::json))"),
    };
    let found = rows!(conn, RepositoryRow, sql, json(&repositories))?;
    Ok(readable("repository", found, |row| row.id.clone(), Repository::try_from))
}

/// The ID of a repository, deleted or not, as stored in columns: its history is kept.
pub(crate) async fn id_of(conn: &mut Conn, name: &RepositoryName) -> Result<Option<String>, Error> {
    let sql = "SELECT id FROM repositories WHERE name = $1";
    Ok(row!(conn, (String,), sql, name.as_str())?.map(|(id,)| id))
}

/// The conditions of a [`list`].
macro_rules! listed {
    () => {
        concat!(
            "WHERE deleted_at IS NULL AND ",
            visible!("repositories", "$1", "$2", "$3"),
            r#" AND ($4 IS NULL OR name LIKE $4 ESCAPE '\') AND ($5 IS NULL OR namespace = $5)
                AND ($6 IS NULL OR state = $6)"#
        )
    };
}

/// The visible repositories, by name.
pub async fn list(
    conn: &mut Conn,
    visible: &Visible,
    filter: &RepositoryFilter,
    page: &PageRequest,
) -> Result<Page<RepositorySummary>, Error> {
    let (everything, public, namespaces) = visible.columns();
    let search = filter.search.as_deref().filter(|text| !text.trim().is_empty()).map(containing);
    let namespace = filter.namespace.as_ref().map(Namespace::as_str);
    let state = filter.state.map(RepositoryState::as_str);
    let reading = Reading::of(page, String::new())?;
    let number = value!(
        conn,
        i64,
        concat!("SELECT COUNT(*) FROM (SELECT 1 FROM repositories ", listed!(), " LIMIT $7) AS counted"),
        everything,
        public,
        namespaces.as_str(),
        search.as_deref(),
        namespace,
        state,
        COUNTED
    )?;
    let sql = reading.choose(pages!({
        select!(listed!())
    } up ["name"], key "$7", limit "$8"));
    let found = rows!(
        conn,
        RepositoryRow,
        sql,
        everything,
        public,
        namespaces.as_str(),
        search.as_deref(),
        namespace,
        state,
        reading.key.as_str(),
        reading.limit()
    )?;
    let (found, page) = reading.page(found, |row| row.name.clone(), counted(number)).split();
    let found = readable("repository", found, |row| row.id.clone(), Repository::try_from);
    Ok(page.with(summarise(conn, found).await?))
}

/// The names of visible repositories after `after`, in byte order, at most `limit`.
pub async fn names(
    conn: &mut Conn,
    visible: &Visible,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<RepositoryName>, Error> {
    let (everything, public, namespaces) = visible.columns();
    let found = rows!(
        conn,
        (String,),
        concat!(
            "SELECT name FROM repositories
             WHERE deleted_at IS NULL AND name > $4 AND ",
            visible!("repositories", "$1", "$2", "$3"),
            " ORDER BY name LIMIT $5"
        ),
        everything,
        public,
        namespaces.as_str(),
        // No name is empty; all others are found after a name by an index.
        after.unwrap_or_default(),
        limit
    )?;
    found.iter().map(|(name,)| parse("repository name", name)).collect()
}

/// A repository with the numbers that lists show. The caller fills in the reader's permissions and the pause that holds
/// it.
pub async fn summary(conn: &mut Conn, repository: RepositoryId) -> Result<Option<RepositorySummary>, Error> {
    match get(conn, repository).await? {
        Some(found) => {
            let unique = storage::of_repository(conn, repository).await?.unique;
            let summary = summarise(conn, vec![found]).await?.pop();
            Ok(summary.map(|summary| RepositorySummary { unique_bytes: unique, ..summary }))
        }
        None => Ok(None),
    }
}

/// The numbers that lists show for repositories, in two statements. Tags and blobs were counted by triggers.
async fn summarise(conn: &mut Conn, repositories: Vec<Repository>) -> Result<Vec<RepositorySummary>, Error> {
    if repositories.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(&repositories.iter().map(|repository| repository.id).collect::<Vec<_>>());
    let (numbers, flows_of) = (numbers(conn.is_postgres()), flows_of(conn.is_postgres()));
    let numbers = rows!(conn, NumbersRow, numbers, ids.as_str())?;
    let numbers: HashMap<String, NumbersRow> =
        numbers.into_iter().map(|row| (row.repository.clone(), row)).collect();
    let mut flows: HashMap<String, Vec<FlowRow>> = HashMap::new();
    for row in rows!(conn, FlowRow, flows_of, ids.as_str())? {
        flows.entry(row.repository.clone()).or_default().push(row);
    }
    let summary = |repository: Repository| {
        let id = repository.id.to_string();
        let numbers = numbers.get(&id);
        let mut summary = RepositorySummary {
            repository,
            tags: numbers.map_or(0, |row| row.tags.max(0).unsigned_abs()),
            size_bytes: numbers.map_or(0, |row| row.size_bytes.max(0).unsigned_abs()),
            unique_bytes: None,
            last_push: maybe_instant(numbers.and_then(|row| row.last_push))?,
            promotions_out: Flow::default(),
            promotions_in: Flow::default(),
            push_mirrors: Flow::default(),
            pull_mirrors: Flow::default(),
            may_write: false,
            may_administer: false,
            held_by: None,
        };
        for row in flows.remove(&id).unwrap_or_default() {
            let flow = match (row.kind.as_str(), row.outward) {
                ("promotion", true) => &mut summary.promotions_out,
                ("promotion", false) => &mut summary.promotions_in,
                ("push_mirror", _) => &mut summary.push_mirrors,
                _ => &mut summary.pull_mirrors,
            };
            flow.count += u32::try_from(row.policies).unwrap_or(u32::MAX);
            // The codes are ordered from harmless to bad. One that only a newer version knows is ignored.
            flow.last = flow.last.max(word("run code", &row.last_run_code).ok());
        }
        Ok(summary)
    };
    repositories.into_iter().map(summary).collect()
}

from_row! {
    struct NumbersRow {
        repository: String,
        tags: i64,
        last_push: Option<i64>,
        size_bytes: i64,
    }
}

from_row! {
    struct FlowRow {
        repository: String,
        kind: String,
        outward: bool,
        last_run_code: String,
        policies: i64,
    }
}

/// A statement for the repositories whose IDs are in `$1`.
macro_rules! for_each_of {
    ($name:ident, $($part:expr),+) => {
        const fn $name(is_postgres: bool) -> &'static str {
            match is_postgres {
                false => concat!("WITH asked (id) AS (SELECT value FROM json_each($1)) ", $($part),+),
                true => concat!("WITH asked (id) AS (SELECT json_array_elements_text($1::json)) ", $($part),+),
            }
        }
    };
}

for_each_of!(
    numbers,
    "SELECT asked.id AS repository, COALESCE(n.tags, 0) AS tags, COALESCE(b.bytes, 0) AS size_bytes,
            (SELECT t.updated_at FROM tags t WHERE t.repository = asked.id AND NOT t.digest_tag
             ORDER BY t.revision DESC LIMIT 1) AS last_push
     FROM asked LEFT JOIN tag_totals n ON n.repository = asked.id
                LEFT JOIN blob_totals b ON b.repository = asked.id"
);

for_each_of!(
    flows_of,
    "SELECT f.repository, f.kind, f.outward, f.last_run_code, COUNT(*) AS policies FROM (
         SELECT p.repository, p.kind, TRUE AS outward, p.last_run_code, p.target AS other
         FROM asked JOIN policies p ON p.repository = asked.id WHERE p.enabled AND p.paused IS NULL
         UNION ALL
         SELECT p.target, p.kind, FALSE, p.last_run_code, p.repository
         FROM asked JOIN policies p ON p.target = asked.id
         WHERE p.enabled AND p.paused IS NULL AND p.repository <> p.target) f
     WHERE NOT EXISTS (SELECT 1 FROM repositories d WHERE d.id IN (f.repository, f.other) AND d.deleted_at IS NOT NULL)
     GROUP BY f.repository, f.kind, f.outward, f.last_run_code"
);

/// Changes settings; a value of `None` keeps the current one. Polls into a repository that becomes read-only are
/// withdrawn.
///
/// # Errors
/// [`Error::Stale`] if the settings have another version than the change is based on.
pub async fn update(
    tx: &mut Tx,
    repository: RepositoryId,
    to: &RepositoryChange,
    now: Timestamp,
) -> Result<(), Error> {
    let written = change!(
        tx.conn,
        "UPDATE repositories SET
            visibility = COALESCE($2, visibility), state = COALESCE($3, state),
            short_description = COALESCE($4, short_description),
            long_description = COALESCE($5, long_description),
            immutable_tags = COALESCE($6, immutable_tags),
            immutable_patterns = CASE WHEN $6 IS NULL THEN immutable_patterns ELSE $7 END, updated_at = $8,
            version = version + 1
         WHERE id = $1 AND version = COALESCE($9, version)",
        repository.to_string(),
        to.visibility.as_ref().map(as_word),
        to.state.as_ref().map(as_word),
        to.short_description.as_deref(),
        to.long_description.as_deref(),
        to.immutable_tags.as_ref().map(ImmutableTags::is_on),
        to.immutable_tags.as_ref().and_then(ImmutableTags::patterns),
        micros(now),
        to.based_on.map(|version| version.0)
    )?;
    if written == 0 && to.based_on.is_some() {
        return Err(Error::Stale { what: "repository", code: Code::RepositoryChanged });
    }
    if to.state == Some(RepositoryState::ReadOnly) {
        let polls = jobs::Of::PollsInto(repository);
        jobs::withdraw(tx, polls, Withdrawal::RepositoryClosed, now).await?;
    }
    Ok(())
}

/// Records who last changed the settings, and which.
pub async fn note_change(tx: &mut Tx, repository: RepositoryId, change: &LastChange) -> Result<(), Error> {
    let sql = "UPDATE repositories SET last_change = $2 WHERE id = $1";
    change!(tx.conn, sql, repository.to_string(), json(change))?;
    Ok(())
}

/// Who last changed the settings, and which.
pub async fn last_change(conn: &mut Conn, repository: RepositoryId) -> Result<Option<LastChange>, Error> {
    let sql = "SELECT last_change FROM repositories WHERE id = $1";
    let found = row!(conn, (Option<String>,), sql, repository.to_string())?;
    found.and_then(|(text,)| text).as_deref().map(|text| from_json("change", text)).transpose()
}

/// Deletes a repository: it is hidden and its policies are suspended, until it is restored or purged (semantics 23).
/// Its uploads end.
pub async fn delete(
    tx: &mut Tx,
    repository: RepositoryId,
    author: &Author,
    now: Timestamp,
) -> Result<(), Error> {
    jobs::lock_endings(tx).await?;
    let id = repository.to_string();
    let sql = "UPDATE repositories SET deleted_at = $2, updated_at = $2, deleted_by = $3 WHERE id = $1";
    change!(tx.conn, sql, id.as_str(), micros(now), json(author))?;
    change!(tx.conn, "DELETE FROM uploads WHERE repository = $1", id.as_str())?;
    jobs::withdraw(tx, jobs::Of::Repository(repository), Withdrawal::RepositoryDeleted, now).await?;
    tx.announce(crate::Change::Tags(repository));
    Ok(())
}

/// Records whether a repository exists only for one push; returns false if it no longer exists.
pub async fn note_by_push(tx: &mut Tx, repository: RepositoryId, by_push: bool) -> Result<bool, Error> {
    let sql = "UPDATE repositories SET by_push = $2 WHERE id = $1";
    Ok(change!(tx.conn, sql, repository.to_string(), by_push)? > 0)
}

/// Removes a repository that exists only for one push, if nothing was pushed: it is empty, has no uploads, and nobody
/// has changed or used it. Returns whether it was removed.
pub async fn forget_unused(tx: &mut Tx, repository: RepositoryId) -> Result<bool, Error> {
    let id = repository.to_string();
    let forgotten = change!(
        tx.conn,
        "DELETE FROM repositories WHERE id = $1 AND by_push AND updated_at = created_at
           AND NOT EXISTS (SELECT 1 FROM uploads WHERE repository = $1)
           AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository = $1)
           AND NOT EXISTS (SELECT 1 FROM repository_manifests WHERE repository = $1)
           AND NOT EXISTS (SELECT 1 FROM tag_changes WHERE repository = $1)
           AND NOT EXISTS (SELECT 1 FROM policies WHERE repository = $1 OR target = $1)",
        id.as_str()
    )?;
    if forgotten == 0 {
        return Ok(false);
    }
    change!(tx.conn, "DELETE FROM activity WHERE repository = $1", id.as_str())?;
    Ok(true)
}

/// The number of repositories and of their tags, without digest tags. The counts of deleted repositories are
/// subtracted, because an index finds those, but none finds all others.
pub async fn counts(conn: &mut Conn) -> Result<(u64, u64), Error> {
    let sql = "SELECT (SELECT COUNT(*) FROM repositories)
                    - (SELECT COUNT(*) FROM repositories WHERE deleted_at IS NOT NULL),
                      CAST((SELECT COALESCE(SUM(tags), 0) FROM tag_totals)
                         - (SELECT COALESCE(SUM(t.tags), 0) FROM repositories r CROSS JOIN tag_totals t
                            WHERE r.deleted_at IS NOT NULL AND t.repository = r.id) AS BIGINT)";
    let (repositories, tags): (i64, i64) = row!(conn, (i64, i64), sql)?.unwrap_or_default();
    Ok((repositories.unsigned_abs(), tags.max(0).unsigned_abs()))
}
