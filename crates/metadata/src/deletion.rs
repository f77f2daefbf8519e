//! Deleting a manifest together with the tags that point to it.

use crate::{
    Error, Tx,
    conn::{change, rows},
    convert::{micros, parse},
    tags,
};
use longshore_model::{Author, Repository, Timestamp};
use longshore_oci::{Digest, Tag};

/// The outcome of deleting a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// It was deleted with its tags.
    Deleted,
    /// The repository does not have it.
    Missing,
    /// A tag that points to it is immutable, so it was kept.
    Immutable { tag: Tag },
}

/// Deletes a manifest from a repository, with every tag that points to it. It is hidden at once and stored as long as
/// one of its tags can be restored.
pub async fn delete_manifest(
    tx: &mut Tx,
    repository: &Repository,
    digest: &Digest,
    author: &Author,
    now: Timestamp,
) -> Result<DeleteOutcome, Error> {
    let pointing = rows!(
        tx.conn,
        (String,),
        "SELECT name FROM tags WHERE repository = $1 AND digest = $2",
        repository.id.to_string(),
        digest.as_str()
    )?;
    let pointing: Vec<Tag> =
        pointing.iter().map(|(name,)| parse("tag", name)).collect::<Result<_, Error>>()?;
    if let Some(tag) = pointing.iter().find(|tag| repository.immutable_tags.covers(tag)) {
        return Ok(DeleteOutcome::Immutable { tag: tag.clone() });
    }
    for tag in &pointing {
        tags::remove(tx, repository, tag, author, now).await?;
    }
    let sql = "UPDATE repository_manifests SET removed_at = $3
               WHERE repository = $1 AND digest = $2 AND removed_at IS NULL";
    Ok(match change!(tx.conn, sql, repository.id.to_string(), digest.as_str(), micros(now))? {
        0 => DeleteOutcome::Missing,
        _ => DeleteOutcome::Deleted,
    })
}
