//! Reads current tags: one, all, or a page of a list with what it shows for each.

use crate::{
    Conn, Error,
    conn::{from_row, row, rows, value},
    convert::{containing, from_json, id, instant, json, parse, readable},
    manifests::{self, TreeOf},
    page::{COUNTED, Reading, counted, pages},
};
use longshore_model::{Page, PageRequest, RepositoryId, Revision, TagRecord, Total, tag::TagSummary};
use longshore_oci::{Digest, Tag};
use std::collections::HashMap;

from_row! {
    struct TagRow {
        repository: String,
        name: String,
        digest: String,
        revision: i64,
        source_revision: i64,
        created_at: i64,
        updated_at: i64,
        author: String,
        provenance: String,
        lineage: String,
    }
}

/// Selects whole tags; what follows `FROM tags` is given.
macro_rules! select {
    ($($rest:tt)*) => {
        concat!(
            "SELECT repository, name, digest, revision, source_revision, created_at, updated_at, author, provenance,
                    lineage
             FROM tags ",
            $($rest)*
        )
    };
}

impl TagRow {
    /// Its name in the log if the row is unreadable.
    fn place(&self) -> String {
        format!("{} in repository {}", self.name, self.repository)
    }
}

impl TryFrom<TagRow> for TagRecord {
    type Error = Error;
    fn try_from(row: TagRow) -> Result<Self, Error> {
        Ok(Self {
            repository: id(RepositoryId, &row.repository)?,
            name: parse("tag", &row.name)?,
            digest: parse("digest", &row.digest)?,
            revision: Revision(row.revision),
            source_revision: Revision(row.source_revision),
            created_at: instant(row.created_at)?,
            updated_at: instant(row.updated_at)?,
            author: from_json("author", &row.author)?,
            provenance: from_json("provenance", &row.provenance)?,
            lineage: from_json("lineage", &row.lineage)?,
        })
    }
}

/// The tag with this name.
pub async fn find(conn: &mut Conn, repository: RepositoryId, name: &Tag) -> Result<Option<TagRecord>, Error> {
    let sql = select!("WHERE repository = $1 AND name = $2");
    row!(conn, TagRow, sql, repository.to_string(), name.as_str())?.map(TagRecord::try_from).transpose()
}

/// Those of these tags that a repository has, in one query. An unreadable one is an error, as in [`find`].
pub async fn find_named(
    conn: &mut Conn,
    repository: RepositoryId,
    names: &[&Tag],
) -> Result<HashMap<Tag, TagRecord>, Error> {
    let sql = match conn.is_postgres() {
        false => select!("WHERE repository = $1 AND name IN (SELECT value FROM json_each($2))"),
        true => select!("WHERE repository = $1 AND name IN (SELECT json_array_elements_text($2::json))"),
    };
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let found = rows!(conn, TagRow, sql, repository.to_string(), json(&names))?;
    found.into_iter().map(|row| TagRecord::try_from(row).map(|tag| (tag.name.clone(), tag))).collect()
}

from_row! {
    struct PastRow {
        digest: String,
        at: i64,
        author: String,
        provenance: String,
        lineage: String,
    }
}

/// A tag as it was after one of its changes, if the repository still has its manifest (semantics 36). `None` also if
/// the change removed the tag.
pub async fn at_change(
    conn: &mut Conn,
    repository: RepositoryId,
    name: &Tag,
    revision: Revision,
) -> Result<Option<TagRecord>, Error> {
    let found = row!(
        conn,
        PastRow,
        "SELECT c.digest, c.at, c.author, c.provenance, c.lineage FROM tag_changes c
         JOIN repository_manifests l
           ON l.repository = c.repository AND l.digest = c.digest AND l.removed_at IS NULL
         WHERE c.repository = $1 AND c.name = $2 AND c.revision = $3 AND c.provenance IS NOT NULL",
        repository.to_string(),
        name.as_str(),
        revision.0
    )?;
    let Some(past) = found else { return Ok(None) };
    Ok(Some(TagRecord {
        repository,
        name: name.clone(),
        digest: parse("digest", &past.digest)?,
        revision,
        // At the target, this change is the source.
        source_revision: revision,
        created_at: instant(past.at)?,
        updated_at: instant(past.at)?,
        author: from_json("author", &past.author)?,
        provenance: from_json("provenance", &past.provenance)?,
        lineage: from_json("lineage", &past.lineage)?,
    }))
}

/// The subjects of a manifest by its digest tags.
pub async fn subjects_by_tag(
    conn: &mut Conn,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Vec<Digest>, Error> {
    let sql = "SELECT name FROM tags WHERE repository = $1 AND digest = $2 AND digest_tag ORDER BY name";
    let found = rows!(conn, (String,), sql, repository.to_string(), digest.as_str())?;
    let names: Vec<Tag> = found.iter().map(|(name,)| parse("tag", name)).collect::<Result<_, _>>()?;
    Ok(names.iter().filter_map(Tag::digest_tag_subject).collect())
}

/// The digest tags of a subject, with any suffix.
pub async fn digest_tags_of(
    conn: &mut Conn,
    repository: RepositoryId,
    subject: &Digest,
) -> Result<Vec<TagRecord>, Error> {
    let base = format!("{}-{}", subject.algorithm(), subject.hex());
    let found = rows!(
        conn,
        TagRow,
        select!("WHERE repository = $1 AND name >= $2 AND name < $3 AND digest_tag ORDER BY name"),
        repository.to_string(),
        base.as_str(),
        // After every suffix that begins with a separator; no tag contains `~`.
        format!("{base}~")
    )?;
    let all: Vec<TagRecord> = found.into_iter().map(TagRecord::try_from).collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|tag| tag.name.digest_tag_subject().as_ref() == Some(subject)).collect())
}

/// The names of the tags after `after`, in byte order, at most `limit`, including digest tags.
pub async fn list(
    conn: &mut Conn,
    repository: RepositoryId,
    after: Option<&str>,
    limit: Option<i64>,
) -> Result<Vec<Tag>, Error> {
    let found = rows!(
        conn,
        (String,),
        // No name is empty; all others are found after a name by an index.
        "SELECT name FROM tags WHERE repository = $1 AND name > $2 ORDER BY name LIMIT $3",
        repository.to_string(),
        after.unwrap_or_default(),
        limit.unwrap_or(i64::MAX)
    )?;
    found.iter().map(|(name,)| parse("tag", name)).collect()
}

/// All readable tags without digest tags, in the order of their revisions.
pub async fn all(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<TagRecord>, Error> {
    let found = rows!(
        conn,
        TagRow,
        select!("WHERE repository = $1 AND NOT digest_tag ORDER BY revision"),
        repository.to_string()
    )?;
    Ok(readable("tag", found, TagRow::place, TagRecord::try_from))
}

/// The newest readable tags, newest revision first, at most `limit`, and the number of all tags; both without digest
/// tags. Uses an index.
pub async fn newest(
    conn: &mut Conn,
    repository: RepositoryId,
    limit: usize,
) -> Result<(Vec<TagRecord>, u64), Error> {
    let repository = repository.to_string();
    let found = rows!(
        conn,
        TagRow,
        select!("WHERE repository = $1 AND NOT digest_tag ORDER BY revision DESC LIMIT $2"),
        repository.as_str(),
        i64::try_from(limit).unwrap_or(i64::MAX)
    )?;
    let total = count_of(conn, &repository).await?;
    Ok((readable("tag", found, TagRow::place, TagRecord::try_from), total))
}

/// The tags of a list. A search uses an index with their names. Names are ASCII, for which SQLite's `LIKE` ignores
/// case.
macro_rules! listed {
    ($name:literal) => {
        concat!(
            "WHERE repository = $1 AND NOT digest_tag AND ($2 IS NULL OR ",
            $name,
            r" LIKE $2 ESCAPE '\')"
        )
    };
}

/// The statements for a page of a list.
macro_rules! listing {
    ($name:literal) => {
        pages!({
            select!(listed!($name))
        } down ["revision"], key "$3", limit "$4")
    };
}

/// The number of newest names that are searched to count the matches.
const SEARCHED: i64 = 20_000;

/// The statement that counts the matches of a search among the `$4` newest names, at most `$3`.
pub(crate) const fn search_sql(is_postgres: bool) -> &'static str {
    macro_rules! counting {
        ($name:literal) => {
            concat!(
                "SELECT COUNT(*) FROM (
                     SELECT 1 FROM (SELECT name FROM tags WHERE repository = $1 AND NOT digest_tag
                                    ORDER BY revision DESC LIMIT $4) AS newest
                     WHERE ",
                $name,
                r" LIKE $2 ESCAPE '\' LIMIT $3) AS counted"
            )
        };
    }
    if is_postgres { counting!("LOWER(name)") } else { counting!("name") }
}

/// The tags of a list, newest revision first, without digest tags.
pub async fn summaries(
    conn: &mut Conn,
    repository: RepositoryId,
    search: Option<&str>,
    page: &PageRequest,
) -> Result<Page<TagSummary>, Error> {
    let reading = Reading::of(page, i64::MAX)?;
    let repository = repository.to_string();
    let search = search.filter(|text| !text.trim().is_empty()).map(containing);
    let sql = reading.choose(if conn.is_postgres() { listing!("LOWER(name)") } else { listing!("name") });
    let found =
        rows!(conn, TagRow, sql, repository.as_str(), search.as_deref(), reading.key, reading.limit())?;
    let total = match search.as_deref() {
        // A search that finds fewer rows than a page has already gone through all names.
        _ if reading.is_whole(found.len()) => Total::Exactly(found.len() as u64),
        None => Total::Exactly(count_of(conn, &repository).await?),
        Some(text) => {
            let sql = search_sql(conn.is_postgres());
            let found = counted(value!(conn, i64, sql, repository.as_str(), text, COUNTED, SEARCHED)?);
            match found {
                Total::Exactly(number) if count_of(conn, &repository).await? > SEARCHED.unsigned_abs() => {
                    Total::MoreThan(number)
                }
                total => total,
            }
        }
    };
    let (found, page) = reading.page(found, |row| row.revision, total).split();
    let tags = readable("tag", found, TagRow::place, TagRecord::try_from);
    Ok(page.with(summarise(conn, tags).await?))
}

/// The number of tags of a repository, without digest tags. Reads one row, which triggers keep.
async fn count_of(conn: &mut Conn, repository: &str) -> Result<u64, Error> {
    let found = row!(conn, (i64,), "SELECT tags FROM tag_totals WHERE repository = $1", repository)?;
    Ok(found.map_or(0, |(tags,)| tags.max(0).unsigned_abs()))
}

/// A tag with what lists show for it.
pub async fn summary(
    conn: &mut Conn,
    repository: RepositoryId,
    name: &Tag,
) -> Result<Option<TagSummary>, Error> {
    let found = find(conn, repository, name).await?;
    Ok(summarise(conn, found.into_iter().collect()).await?.pop())
}

/// Of the tags that point to a manifest, the one that was set last, without digest tags. Uses an index, however many
/// there are.
pub async fn newest_at(
    conn: &mut Conn,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Tag>, Error> {
    let sql = "SELECT name FROM tags WHERE repository = $1 AND digest = $2 AND NOT digest_tag
               ORDER BY digest DESC, revision DESC LIMIT 1";
    let found = row!(conn, (String,), sql, repository.to_string(), digest.as_str())?;
    found.map(|(name,)| parse("tag", &name)).transpose()
}

/// What lists show for tags, in a few statements.
async fn summarise(conn: &mut Conn, tags: Vec<TagRecord>) -> Result<Vec<TagSummary>, Error> {
    let digests: Vec<&Digest> = tags.iter().map(|tag| &tag.digest).collect();
    let trees = manifests::trees(conn, &digests).await?;
    let summary = |tag: TagRecord| {
        let found = trees.get(&tag.digest);
        let tree = found.map_or(&[][..], |found| found.entries.as_slice());
        TagSummary {
            media_type: tree.first().map(|root| root.media_type.clone()).unwrap_or_default(),
            artifact_type: found.and_then(|found| found.artifact_type.clone()),
            platforms: found.map(TreeOf::platforms).unwrap_or_default(),
            size_bytes: tree.iter().map(|entry| entry.size).sum(),
            tag,
            source_visible: true,
        }
    };
    Ok(tags.into_iter().map(summary).collect())
}
