//! Restoring overwritten and deleted content (semantics 22, 23): the history of a tag, deleted tags, and deleted
//! repositories. Tags change by [`crate::tags`]; [`crate::garbage`] removes content permanently.

use crate::{
    Change, Conn, Error, Tx,
    activity::{self, NewActivity},
    conn::{change, from_row, row, rows, value},
    convert::{from_json, id, instant, json, maybe_instant, micros, parse, readable},
    manifests,
    page::{COUNTED, Reading, counted, pages},
    pull_mirrors,
    repositories::{self, RepositoryRow},
    tags::{self, enact, lock_changes, next_revision},
    visible::{Visible, among},
};
use jiff::SignedDuration;
use longshore_model::{
    Author, Lineage, Page, PageRequest, Pin, Provenance, RemoteId, Repository, RepositoryId, Revision,
    TagRecord, Timestamp,
    activity::ActivityKind,
    message::PollMessage,
    repository::DeletedRepository,
    tag::{DeletedTag, TagChange},
};
use longshore_oci::{Digest, RepositoryName, Tag};

/// How long overwritten and deleted content can be restored.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub length: SignedDuration,
    /// The current instant.
    pub now: Timestamp,
}

impl Window {
    fn since(&self) -> Timestamp {
        self.now - self.length
    }

    /// Until when content that was lost at `at` can be restored; `None` if it no longer can.
    fn until(&self, at: Timestamp) -> Option<Timestamp> {
        Some(at + self.length).filter(|until| *until > self.now)
    }
}

from_row! {
    struct ChangeRow {
        revision: i64,
        digest: Option<String>,
        at: i64,
        author: String,
        provenance: Option<String>,
        lineage: String,
        lost_at: Option<i64>,
        is_there: bool,
    }
}

impl ChangeRow {
    fn read(&self, window: &Window) -> Result<TagChange, Error> {
        let lost_at = maybe_instant(self.lost_at)?.filter(|_| self.is_there);
        Ok(TagChange {
            revision: Revision(self.revision),
            digest: self.digest.as_deref().map(|digest| parse("digest", digest)).transpose()?,
            at: instant(self.at)?,
            author: from_json("author", &self.author)?,
            provenance: self.provenance(),
            until: lost_at.and_then(|at| window.until(at)),
        })
    }

    /// The provenance of the change. One that only a newer version of Longshore knows must not hide the change: the
    /// history would seem to end there.
    fn provenance(&self) -> Option<Provenance> {
        let (revision, read) = (self.revision, from_json("provenance", self.provenance.as_deref()?));
        read.inspect_err(
            |error| tracing::warn!(revision, %error, "a change of a tag cannot be read completely"),
        )
        .ok()
    }
}

/// The columns of a [`ChangeRow`]. A revision is lost with the next change of its name.
macro_rules! select_changes {
    ($rest:literal) => {
        concat!(
            "SELECT c.revision, c.digest, c.at, c.author, c.provenance, c.lineage,
                    (SELECT n.at FROM tag_changes n
                     WHERE n.repository = c.repository AND n.name = c.name AND n.revision > c.revision
                     ORDER BY n.revision LIMIT 1) AS lost_at,
                    EXISTS (SELECT 1 FROM repository_manifests l
                            WHERE l.repository = c.repository AND l.digest = c.digest) AS is_there
             FROM tag_changes c WHERE c.repository = $1 AND c.name = $2 ",
            $rest
        )
    };
}

/// The changes of a tag before `before`, or all of them, newest first, at most `limit`.
pub async fn history(
    conn: &mut Conn,
    repository: RepositoryId,
    name: &Tag,
    before: Option<Revision>,
    limit: i64,
    window: &Window,
) -> Result<Vec<TagChange>, Error> {
    let sql = select_changes!("AND c.revision < $3 ORDER BY c.revision DESC LIMIT $4");
    let (id, below) = (repository.to_string(), before.map_or(i64::MAX, |before| before.0));
    let found = rows!(conn, ChangeRow, sql, id, name.as_str(), below, limit)?;
    let changes = found.iter().map(|row| row.read(window));
    let mut changes: Vec<TagChange> = changes.collect::<Result<_, Error>>()?;
    let present = match before {
        None => changes.first().and_then(|newest| newest.digest.clone()),
        Some(_) => tags::find(conn, repository, name).await?.map(|tag| tag.digest),
    };
    // Restoring the current digest would change nothing.
    for change in changes.iter_mut().filter(|change| change.digest == present) {
        change.until = None;
    }
    Ok(changes)
}

/// One change of a tag, and the lineage that it had.
pub async fn find_change(
    conn: &mut Conn,
    repository: RepositoryId,
    name: &Tag,
    revision: Revision,
    window: &Window,
) -> Result<Option<(TagChange, Lineage)>, Error> {
    let sql = select_changes!("AND c.revision = $3");
    let found = row!(conn, ChangeRow, sql, repository.to_string(), name.as_str(), revision.0)?;
    found.map(|row| Ok((row.read(window)?, from_json("lineage", &row.lineage)?))).transpose()
}

from_row! {
    struct DeletedTagRow {
        name: String,
        deletion: i64,
        revision: i64,
        digest: String,
        deleted_at: i64,
        deleted_by: String,
    }
}

/// The deletions of a repository's tags that can be undone: the last change of a name is a deletion, and the change
/// before it is the one to restore. The parameters are those of [`deleted_tags`].
macro_rules! from_deletions {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " FROM tag_changes c
              JOIN tag_changes p ON p.repository = c.repository AND p.name = c.name AND p.revision = (
                  SELECT MAX(q.revision) FROM tag_changes q
                  WHERE q.repository = c.repository AND q.name = c.name AND q.revision < c.revision)
              JOIN repository_manifests l ON l.repository = c.repository AND l.digest = p.digest
              WHERE c.repository = $1 AND c.digest IS NULL AND c.at > $2 AND NOT EXISTS (
                  SELECT 1 FROM tag_changes n
                  WHERE n.repository = c.repository AND n.name = c.name AND n.revision > c.revision) ",
            $rest
        )
    };
}

/// Deleted tags that can be restored, last deleted first.
pub async fn deleted_tags(
    conn: &mut Conn,
    repository: RepositoryId,
    window: &Window,
    page: &PageRequest,
) -> Result<Page<DeletedTag>, Error> {
    let (repository, since) = (repository.to_string(), micros(window.since()));
    let reading = Reading::of(page, i64::MAX)?;
    let sql = concat!("SELECT COUNT(*) FROM (", from_deletions!("SELECT 1", "LIMIT $3"), ") AS counted");
    let number = value!(conn, i64, sql, repository.as_str(), since, COUNTED)?;
    let sql = reading.choose(pages!({
        from_deletions!(
            "SELECT c.name, c.revision AS deletion, p.revision, p.digest, c.at AS deleted_at, c.author AS deleted_by",
            ""
        )
    } down ["c.revision"], key "$3", limit "$4"));
    let found = rows!(conn, DeletedTagRow, sql, repository.as_str(), since, reading.key, reading.limit())?;
    let (found, page) = reading.page(found, |row| row.deletion, counted(number)).split();
    let read = |row: DeletedTagRow| {
        let deleted_at = instant(row.deleted_at)?;
        Ok(DeletedTag {
            name: parse("tag", &row.name)?,
            revision: Revision(row.revision),
            digest: parse("digest", &row.digest)?,
            deleted_at,
            deleted_by: from_json("author", &row.deleted_by)?,
            until: deleted_at + window.length,
        })
    };
    let name = |row: &DeletedTagRow| format!("{} in repository {repository}", row.name);
    Ok(page.with(readable("deleted tag", found, name, read)))
}

/// A tag to restore.
#[derive(Debug, Clone, Copy)]
pub struct RestoreTag<'a> {
    pub repository: &'a Repository,
    pub name: &'a Tag,
    /// The revision to restore.
    pub revision: Revision,
    /// Whether no policy should react to it.
    pub quietly: bool,
    pub author: &'a Author,
    pub window: Window,
}

/// The outcome of restoring a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreOutcome {
    /// The tag has a new revision.
    Restored(TagRecord),
    /// It already points to that digest.
    Unchanged(TagRecord),
    /// It is immutable and points to another manifest, so nothing was changed.
    Immutable {
        /// The current tag.
        existing: TagRecord,
    },
    /// The tag has no such revision, or it can no longer be restored.
    TooLate,
}

/// Lets a tag point to its digest of an earlier revision: an ordinary change, with its own revision. A tag that a pull
/// mirror wrote is pinned.
pub async fn restore_tag(tx: &mut Tx, to: RestoreTag<'_>) -> Result<RestoreOutcome, Error> {
    let (repository, now) = (to.repository.id, to.window.now);
    lock_changes(tx).await?;
    let found = find_change(tx, repository, to.name, to.revision, &to.window).await?;
    let Some((lost, lineage)) = found else { return Ok(RestoreOutcome::TooLate) };
    let Some(digest) = &lost.digest else { return Ok(RestoreOutcome::TooLate) };
    let existing = tags::find(tx, repository, to.name).await?;
    if let Some(existing) = &existing {
        if existing.digest == *digest {
            return Ok(RestoreOutcome::Unchanged(existing.clone()));
        }
        if to.repository.immutable_tags.covers(to.name) {
            return Ok(RestoreOutcome::Immutable { existing: existing.clone() });
        }
    }
    if lost.until.is_none() || !manifests::bring_back(tx, repository, digest).await? {
        return Ok(RestoreOutcome::TooLate);
    }
    let pin = pin(tx, existing.as_ref(), &lost).await?;
    let revision = next_revision(tx).await?;
    let record = TagRecord {
        repository,
        name: to.name.clone(),
        digest: digest.clone(),
        revision,
        source_revision: revision,
        created_at: existing.map_or(now, |existing| existing.created_at),
        updated_at: now,
        author: to.author.clone(),
        provenance: Provenance::Restored { revision: lost.revision, quietly: to.quietly, pin },
        lineage,
    };
    enact(tx, &record, !to.quietly, now).await?;
    Ok(RestoreOutcome::Restored(record))
}

/// The pin for a tag whose current or restored revision a pull mirror wrote, if the mirror exists.
pub async fn pin(
    conn: &mut Conn,
    existing: Option<&TagRecord>,
    lost: &TagChange,
) -> Result<Option<Pin>, Error> {
    let standing = existing.and_then(|tag| tag.provenance.mirror());
    let Some(mirror) = standing.or_else(|| lost.provenance.as_ref()?.mirror()) else { return Ok(None) };
    let there = pull_mirrors::get(conn, mirror).await?.is_some();
    Ok(there.then_some(Pin { mirror, released: false }))
}

/// Releases a pinned tag to its mirror; `None` if it is not pinned. The tag stays as it is until the mirror changes it.
pub async fn release_tag(
    tx: &mut Tx,
    repository: RepositoryId,
    name: &Tag,
    author: &Author,
    now: Timestamp,
) -> Result<Option<TagRecord>, Error> {
    lock_changes(tx).await?;
    let Some(mut record) = tags::find(tx, repository, name).await? else { return Ok(None) };
    let Provenance::Restored { pin: Some(pin), .. } = &mut record.provenance else { return Ok(None) };
    if std::mem::replace(&mut pin.released, true) {
        return Ok(None);
    }
    let policy = pin.mirror;
    let sql = "UPDATE tags SET provenance = $3 WHERE repository = $1 AND name = $2";
    change!(tx.conn, sql, repository.to_string(), name.as_str(), json(&record.provenance))?;
    let entry = NewActivity {
        repository: Some(repository),
        tag: Some(name.clone()),
        digest: Some(record.digest.clone()),
        policy: Some(policy),
        detail: PollMessage::Released.into(),
        ..NewActivity::new(now, author.clone(), ActivityKind::TagReleased)
    };
    activity::add(tx, &entry).await?;
    tx.announce(Change::Tags(repository));
    Ok(Some(record))
}

from_row! {
    struct DeletedRow {
        deleted_at: i64,
        deleted_by: Option<String>,
        tags: i64,
        size_bytes: i64,
    } and repository: RepositoryRow
}

/// The columns of a [`DeletedRow`].
macro_rules! select_deleted {
    ($($rest:tt)*) => {
        concat!(
            "SELECT ",
            repositories::columns!(),
            ", deleted_at, deleted_by,
                    COALESCE((SELECT t.tags FROM tag_totals t WHERE t.repository = r.id), 0) AS tags,
                    COALESCE((SELECT b.bytes FROM blob_totals b WHERE b.repository = r.id), 0) AS size_bytes
             FROM repositories r WHERE r.deleted_at IS NOT NULL AND NOT r.purged ",
            $($rest)*
        )
    };
}

fn deleted(row: DeletedRow, length: SignedDuration) -> Result<DeletedRepository, Error> {
    let deleted_at = instant(row.deleted_at)?;
    let author = row.deleted_by.map(|author| from_json("author", &author)).transpose()?;
    Ok(DeletedRepository {
        repository: row.repository.try_into()?,
        deleted_at,
        deleted_by: author.unwrap_or(Author::System),
        until: deleted_at + length,
        tags: row.tags.max(0).unsigned_abs(),
        size_bytes: row.size_bytes.max(0).unsigned_abs(),
    })
}

/// Visible deleted repositories, last deleted first, including expired ones that were not purged yet.
pub async fn deleted_repositories(
    conn: &mut Conn,
    visible: &Visible,
    length: SignedDuration,
    page: &PageRequest,
) -> Result<Page<DeletedRepository>, Error> {
    let (everything, _, namespaces) = visible.columns();
    let reading = Reading::of(page, (i64::MAX, String::new()))?;
    let number = value!(
        conn,
        i64,
        concat!(
            "SELECT COUNT(*) FROM (
                 SELECT 1 FROM repositories
                 WHERE deleted_at IS NOT NULL AND NOT purged AND ($1 OR ",
            among!("namespace", "$2"),
            ")
                 LIMIT $3) AS counted"
        ),
        everything,
        namespaces.as_str(),
        COUNTED
    )?;
    let sql = reading.choose(pages!({
        select_deleted!("AND ($1 OR ", among!("r.namespace", "$2"), ")")
    } down ["r.deleted_at", "r.id"], key "$3, $4", limit "$5"));
    let (deleted_at, id) = &reading.key;
    let found = rows!(
        conn,
        DeletedRow,
        sql,
        everything,
        namespaces.as_str(),
        *deleted_at,
        id.as_str(),
        reading.limit()
    )?;
    let key = |row: &DeletedRow| (row.deleted_at, row.repository.id.clone());
    let (found, page) = reading.page(found, key, counted(number)).split();
    let read = |row: DeletedRow| deleted(row, length);
    Ok(page.with(readable("deleted repository", found, |row| row.repository.id.clone(), read)))
}

/// The deleted repository with this name.
pub async fn deleted_repository(
    conn: &mut Conn,
    name: &RepositoryName,
    length: SignedDuration,
) -> Result<Option<DeletedRepository>, Error> {
    match row!(conn, DeletedRow, select_deleted!("AND r.name = $1"), name.as_str())? {
        Some(row) => Ok(Some(deleted(row, length)?)),
        None => Ok(None),
    }
}

/// Restores a deleted repository; its policies resume. Returns whether it was deleted.
pub async fn restore_repository(
    tx: &mut Tx,
    repository: RepositoryId,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE repositories SET deleted_at = NULL, deleted_by = NULL, updated_at = $2
               WHERE id = $1 AND deleted_at IS NOT NULL AND NOT purged";
    let restored = change!(tx.conn, sql, repository.to_string(), micros(now))? > 0;
    tx.announce(Change::Tags(repository));
    Ok(restored)
}

/// Another place that has a manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A repository of this server.
    Here { id: RepositoryId, name: RepositoryName },
    /// A repository of another registry that it was delivered to.
    Remote {
        remote: RemoteId,
        /// In the form `host/repository`.
        place: String,
    },
}

/// Other places of the manifests of a repository, ordered by place, at most `limit` of either kind, and the number of
/// the others.
pub async fn elsewhere(
    conn: &mut Conn,
    repository: RepositoryId,
    limit: i64,
) -> Result<(Vec<(Place, Digest)>, u64), Error> {
    macro_rules! here {
        ($what:literal, $rest:literal) => {
            concat!(
                "SELECT ",
                $what,
                " FROM repository_manifests d
                  JOIN repository_manifests l ON l.digest = d.digest AND l.repository <> d.repository
                  JOIN repositories r ON r.id = l.repository
                  WHERE d.repository = $1 AND l.removed_at IS NULL AND r.deleted_at IS NULL",
                $rest
            )
        };
    }
    macro_rules! sent {
        () => {
            "SELECT DISTINCT remote, remote_host || '/' || remote_repository AS place, digest FROM deliveries
             WHERE source_repository = $1 AND remote IS NOT NULL"
        };
    }
    let here = rows!(
        conn,
        (String, String, String),
        here!("r.id, r.name, l.digest", " ORDER BY r.name, l.digest LIMIT $2"),
        repository.to_string(),
        limit
    )?;
    let remote = rows!(
        conn,
        (String, String, String),
        concat!(sent!(), " ORDER BY place, digest LIMIT $2"),
        repository.to_string(),
        limit
    )?;
    // Only truncated lists need to be counted.
    let mut more = 0;
    if here.len() as i64 == limit {
        more += value!(conn, i64, here!("COUNT(*)", ""), repository.to_string())? - limit;
    }
    if remote.len() as i64 == limit {
        let sql = concat!("SELECT COUNT(*) FROM (", sent!(), ") places");
        more += value!(conn, i64, sql, repository.to_string())? - limit;
    }
    let mut places = Vec::with_capacity(here.len() + remote.len());
    for (place, name, digest) in here {
        let place = Place::Here { id: id(RepositoryId, &place)?, name: parse("repository name", &name)? };
        places.push((place, parse("digest", &digest)?));
    }
    for (remote, place, digest) in remote {
        places.push((Place::Remote { remote: id(RemoteId, &remote)?, place }, parse("digest", &digest)?));
    }
    Ok((places, more.max(0).cast_unsigned()))
}
