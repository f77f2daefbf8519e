//! Tags in time. [`set`] and [`remove`] are the ways in which a tag changes, and [`crate::undo`], which
//! ends in the same functions: with the change itself they write its revision, its history, the activity
//! and the job that reacts to it, all in the caller's transaction. That an immutable tag stays as it is
//! is decided here. How tags are read is next door.

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

/// A tag as it shall be.
#[derive(Debug, Clone, Copy)]
pub struct SetTag<'a> {
    /// Where.
    pub repository: &'a Repository,
    /// Its name.
    pub name: &'a Tag,
    /// The manifest it shall point to.
    pub digest: &'a Digest,
    /// The change at the source that leads here; none: this very change.
    pub source_revision: Option<Revision>,
    /// Who does it.
    pub author: &'a Author,
    /// Where it comes from.
    pub provenance: &'a Provenance,
    /// Which policies it passed.
    pub lineage: &'a Lineage,
    /// When.
    pub now: Timestamp,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetOutcome {
    /// The tag has a new revision.
    Set(TagRecord),
    /// It had this digest already: no new revision, but it is evaluated again (semantics 2).
    Unchanged(TagRecord),
    /// A change from a later source holds the name, so nothing was done (semantics 1).
    Superseded {
        /// The tag as it stands.
        by: TagRecord,
    },
    /// The tag is immutable and points elsewhere, so nothing was done (semantics 14).
    Immutable {
        /// The tag as it stands.
        existing: TagRecord,
    },
    /// The repository does not have the manifest (any more), so nothing was done (semantics 9).
    Unstored,
}

/// What became of a tag that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoveOutcome {
    /// It was this, and is gone.
    Removed(TagRecord),
    /// There is none.
    Missing,
    /// It is immutable, so it stays.
    Immutable {
        /// The tag as it stands.
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
    // It may have been deleted or collected since the caller saw it; from here on nobody can.
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

/// Writes a change that may be made: the tag, its history, the activity and, unless policies shall not
/// act, the job that asks them.
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

/// A tag that was set to what it points to already. It is evaluated again, and counts as coming from
/// the later source from now on: a change from between the two must not land on it.
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

/// Enqueues the job that reacts to a change, in the same transaction (docs/ARCHITECTURE.md). What refers to a
/// subject goes wherever that went, and is no business of rules (semantics 6, 7).
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
        // Its subject is not here, so it went nowhere.
        None if digest_tag => return Ok(()),
        None => orders::evaluate(record, author.clone(), now),
    };
    jobs::enqueue(tx, order, now).await.map(drop)
}

/// What a digest tag hangs on. A tag has no room for all digits of SHA-512; there the manifest whose
/// digest begins with them is looked for.
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

/// One line of a tag's history.
struct Memory<'a> {
    repository: RepositoryId,
    name: &'a Tag,
    revision: Revision,
    /// What it was set to; none: it was removed.
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

/// Makes transactions that change tags follow each other on PostgreSQL, as they do on SQLite, which
/// has one writer. A lock for each tag would let two transactions that change several, in different
/// orders, wait for each other for ever. [`set`] and [`remove`] do it themselves; a transaction that
/// locks other rows before them does it first.
pub async fn lock_changes(tx: &mut Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        value!(tx.conn, i64, "SELECT value FROM sequences WHERE name = 'revision' FOR UPDATE")?;
    }
    Ok(())
}
