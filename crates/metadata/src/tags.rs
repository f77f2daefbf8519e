//! Changes of tags. Only [`set`] and [`remove`] change a tag, and [`crate::undo`], which uses the same functions.
//! Together with the change they write its revision, its history, the activity and the job that reacts to it, all in
//! the caller's transaction. They also enforce immutable tags. `reading` reads tags.

mod reading;

#[cfg(test)]
pub(crate) use reading::search_sql;
pub use reading::{
    all, at_change, digest_tags_of, find, find_named, list, newest, newest_at, subjects_by_tag, summaries,
    summary,
};

use crate::{
    Change, Conn, Error, Tx,
    activity::{self, NewActivity},
    conn::{change, row, value},
    convert::{json, micros, parse},
    jobs, manifests,
};
use longshore_model::{
    Author, Lineage, Message, Provenance, Repository, RepositoryId, Revision, TagRecord, Timestamp,
    activity::ActivityKind,
    job::orders,
    message::{self, PlaceRef, PollMessage, PromotionMessage, RemoteRef, RepositoryRef, TagRef},
};
use longshore_oci::{Digest, Tag};

/// A tag to set.
#[derive(Debug, Clone, Copy)]
pub struct SetTag<'a> {
    pub repository: &'a Repository,
    pub name: &'a Tag,
    pub digest: &'a Digest,
    /// The revision of the source that leads to this change; `None` if the change is its own source.
    pub source_revision: Option<Revision>,
    pub author: &'a Author,
    pub provenance: &'a Provenance,
    /// The policies that it has passed.
    pub lineage: &'a Lineage,
    pub now: Timestamp,
}

/// The outcome of setting a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetOutcome {
    /// The tag has a new revision.
    Set(TagRecord),
    /// It already had this digest: no new revision, but it is evaluated again (semantics 2).
    Unchanged(TagRecord),
    /// The tag comes from a later source, so nothing was changed (semantics 1).
    Superseded {
        /// The current tag.
        by: TagRecord,
    },
    /// The tag is immutable and points to another manifest, so nothing was changed (semantics 14).
    Immutable {
        /// The current tag.
        existing: TagRecord,
    },
    /// The repository does not have the manifest (any more), so nothing was changed (semantics 9).
    Unstored,
}

/// The outcome of removing a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoveOutcome {
    /// It was this tag.
    Removed(TagRecord),
    /// There is no such tag.
    Missing,
    /// It is immutable, so it was kept.
    Immutable {
        /// The current tag.
        existing: TagRecord,
    },
}

/// Lets a tag point to a manifest that the repository has.
pub async fn set(tx: &mut Tx, to: SetTag<'_>) -> Result<SetOutcome, Error> {
    lock_changes(tx).await?;
    let existing = find(tx, to.repository.id, to.name).await?;
    if let Some(existing) = &existing {
        let is_later = to.source_revision.is_some_and(|source| existing.source_revision > source);
        if existing.digest == *to.digest {
            if is_later {
                return Ok(SetOutcome::Unchanged(existing.clone()));
            }
            return keep(tx, existing.clone(), &to).await.map(SetOutcome::Unchanged);
        }
        if is_later {
            return Ok(SetOutcome::Superseded { by: existing.clone() });
        }
        if to.repository.immutable_tags.covers(to.name) {
            return Ok(SetOutcome::Immutable { existing: existing.clone() });
        }
    }
    // It may have been deleted or collected since the caller saw it; from now on the lock prevents that.
    if !manifests::is_present(tx, to.repository.id, to.digest).await? {
        return Ok(SetOutcome::Unstored);
    }
    let revision = next_revision(tx).await?;
    let record = TagRecord {
        repository: to.repository.id,
        name: to.name.clone(),
        digest: to.digest.clone(),
        revision,
        source_revision: to.source_revision.unwrap_or(revision),
        created_at: existing.map_or(to.now, |existing| existing.created_at),
        updated_at: to.now,
        author: to.author.clone(),
        provenance: to.provenance.clone(),
        lineage: to.lineage.clone(),
    };
    enact(tx, &record, true, to.now).await?;
    Ok(SetOutcome::Set(record))
}

/// Writes a permitted change: the tag, its history, the activity and, unless policies should not react, the job that
/// evaluates it.
pub(crate) async fn enact(
    tx: &mut Tx,
    record: &TagRecord,
    reacts: bool,
    now: Timestamp,
) -> Result<(), Error> {
    write(tx, record).await?;
    let memory = Memory {
        repository: record.repository,
        name: &record.name,
        revision: record.revision,
        set: Some(record),
        author: &record.author,
        now,
    };
    memory.keep(tx).await?;
    tell(tx, record, now).await?;
    if reacts {
        react(tx, record, &record.author, now).await?;
    }
    tx.announce(Change::Tags(record.repository));
    Ok(())
}

/// A tag that was set to its current digest. It is evaluated again, and from now on counts as coming from the later
/// source: a change from a source between the two must not replace it.
async fn keep(tx: &mut Tx, mut record: TagRecord, to: &SetTag<'_>) -> Result<TagRecord, Error> {
    if let Some(source) = to.source_revision.filter(|source| *source > record.source_revision) {
        change!(
            tx.conn,
            "UPDATE tags SET source_revision = $3 WHERE repository = $1 AND name = $2",
            record.repository.to_string(),
            record.name.as_str(),
            source.0
        )?;
        record.source_revision = source;
    }
    react(tx, &record, to.author, to.now).await?;
    Ok(record)
}

async fn write(tx: &mut Tx, record: &TagRecord) -> Result<(), Error> {
    change!(
        tx.conn,
        "INSERT INTO tags (repository, name, digest, digest_tag, revision, source_revision, created_at, updated_at,
                           author, provenance, lineage)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (repository, name) DO UPDATE SET
            digest = excluded.digest, revision = excluded.revision, source_revision = excluded.source_revision,
            updated_at = excluded.updated_at, author = excluded.author, provenance = excluded.provenance,
            lineage = excluded.lineage",
        record.repository.to_string(),
        record.name.as_str(),
        record.digest.as_str(),
        record.name.is_digest_tag(),
        record.revision.0,
        record.source_revision.0,
        micros(record.created_at),
        micros(record.updated_at),
        json(&record.author),
        json(&record.provenance),
        json(&record.lineage)
    )?;
    Ok(())
}

/// Removes a tag, unless it is immutable.
pub async fn remove(
    tx: &mut Tx,
    repository: &Repository,
    name: &Tag,
    author: &Author,
    now: Timestamp,
) -> Result<RemoveOutcome, Error> {
    lock_changes(tx).await?;
    let Some(existing) = find(tx, repository.id, name).await? else { return Ok(RemoveOutcome::Missing) };
    if repository.immutable_tags.covers(name) {
        return Ok(RemoveOutcome::Immutable { existing });
    }
    let sql = "DELETE FROM tags WHERE repository = $1 AND name = $2";
    change!(tx.conn, sql, repository.id.to_string(), name.as_str())?;
    let revision = next_revision(tx).await?;
    Memory { repository: repository.id, name, revision, set: None, author, now }.keep(tx).await?;
    let entry = NewActivity {
        repository: Some(repository.id),
        tag: Some(name.clone()),
        digest: Some(existing.digest.clone()),
        ..NewActivity::new(now, author.clone(), ActivityKind::TagDeleted)
    };
    activity::add(tx, &entry).await?;
    tx.announce(Change::Tags(repository.id));
    Ok(RemoveOutcome::Removed(existing))
}

/// Enqueues the job that reacts to a change, in the same transaction (docs/ARCHITECTURE.md). Referrers follow their
/// subject to wherever it was delivered, and are not subject to rules (semantics 6, 7).
async fn react(tx: &mut Tx, record: &TagRecord, author: &Author, now: Timestamp) -> Result<(), Error> {
    let digest_tag = record.name.is_digest_tag();
    let subject = match digest_tag {
        true => subject_of_digest_tag(tx, record).await?,
        false => manifests::subject(tx, &record.digest).await?,
    };
    let order = match subject {
        Some(subject) => {
            let tag = digest_tag.then(|| record.name.clone());
            orders::follow(record.repository, record.digest.clone(), subject, tag, author.clone(), now)
        }
        // Its subject is not in this repository, so it was delivered nowhere.
        None if digest_tag => return Ok(()),
        None => orders::evaluate(record, author.clone(), now),
    };
    jobs::enqueue(tx, order, now).await.map(drop)
}

/// The subject of a digest tag. The name of a tag is too short for all digits of SHA-512, so the manifest is found by
/// the beginning of its digest.
async fn subject_of_digest_tag(conn: &mut Conn, record: &TagRecord) -> Result<Option<Digest>, Error> {
    let Some(tag) = record.name.digest_tag() else { return Ok(None) };
    if let Some(subject) = tag.subject() {
        return Ok(Some(subject));
    }
    let sql = "SELECT digest FROM repository_manifests WHERE repository = $1 AND digest LIKE $2 LIMIT 1";
    let begins = format!("{}:{}%", tag.algorithm, tag.hex);
    let found = row!(conn, (String,), sql, record.repository.to_string(), begins)?;
    found.map(|(digest,)| parse("digest", &digest)).transpose()
}

async fn tell(tx: &mut Tx, record: &TagRecord, now: Timestamp) -> Result<(), Error> {
    let (kind, policy, detail) = match &record.provenance {
        Provenance::Push => (ActivityKind::TagPushed, None, Message::Nothing),
        Provenance::Promotion { policy, source, source_repository, source_tag, .. } => {
            let source = RepositoryRef::new(*source, source_repository.clone());
            let source = TagRef::new(source, source_tag.clone());
            (ActivityKind::TagPromoted, *policy, PromotionMessage::From { source }.into())
        }
        Provenance::Mirror { policy, remote, remote_host, remote_repository, remote_tag } => {
            let remote = RemoteRef::new(*remote, remote_host.clone());
            let place = PlaceRef::new(remote, remote_repository.clone()).tagged(remote_tag.clone());
            (ActivityKind::TagMirrored, Some(*policy), PollMessage::From { place }.into())
        }
        Provenance::Restored { revision, .. } => (
            ActivityKind::TagRestored,
            None,
            message::ActivityMessage::Restored { revision: *revision }.into(),
        ),
    };
    let entry = NewActivity {
        repository: Some(record.repository),
        tag: Some(record.name.clone()),
        digest: Some(record.digest.clone()),
        policy,
        detail,
        ..NewActivity::new(now, record.author.clone(), kind)
    };
    activity::add(tx, &entry).await
}

/// An entry of a tag's history.
struct Memory<'a> {
    repository: RepositoryId,
    name: &'a Tag,
    revision: Revision,
    /// `None` if it was removed.
    set: Option<&'a TagRecord>,
    author: &'a Author,
    now: Timestamp,
}

impl Memory<'_> {
    async fn keep(&self, tx: &mut Tx) -> Result<(), Error> {
        change!(
            tx.conn,
            "INSERT INTO tag_changes (revision, repository, name, digest, at, author, provenance, lineage)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            self.revision.0,
            self.repository.to_string(),
            self.name.as_str(),
            self.set.map(|record| record.digest.as_str()),
            micros(self.now),
            json(self.author),
            self.set.map(|record| json(&record.provenance)),
            self.set.map_or_else(|| "[]".to_owned(), |record| json(&record.lineage))
        )?;
        Ok(())
    }
}

pub(crate) async fn next_revision(tx: &mut Tx) -> Result<Revision, Error> {
    let sql = "UPDATE sequences SET value = value + 1 WHERE name = 'revision' RETURNING value";
    Ok(Revision(value!(tx.conn, i64, sql)?))
}

/// Serializes transactions that change tags on PostgreSQL; SQLite has only one writer. With a lock for each tag, two
/// transactions that change several tags in different orders could deadlock. [`set`] and [`remove`] call this
/// themselves; a transaction that locks other rows before them must call it first.
pub async fn lock_changes(tx: &mut Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        value!(tx.conn, i64, "SELECT value FROM sequences WHERE name = 'revision' FOR UPDATE")?;
    }
    Ok(())
}
