//! Push mirrors.

use crate::{
    Conn, Error, Tx,
    convert::json,
    jobs,
    policies::{self, Particulars, Readable},
};
use longshore_model::{LastChange, PolicyId, PolicyKind, RepositoryId, Timestamp, stored::PushMirror};

const KIND: PolicyKind = PolicyKind::PushMirror;

fn particulars(mirror: &PushMirror) -> Particulars {
    Particulars {
        remote: Some(mirror.remote.to_string()),
        remote_repository: Some(mirror.remote_repository.to_string()),
        rules: Some(json(&mirror.rules)),
        template: Some(mirror.template.clone()),
        overwrite: mirror.overwrite,
        foreign_layers: mirror.foreign_layers,
        ..Particulars::default()
    }
}

/// Writes a new mirror.
pub async fn insert(tx: &mut Tx, mirror: &PushMirror) -> Result<(), Error> {
    policies::insert(tx, KIND, mirror.repository, &mirror.common, particulars(mirror)).await
}

/// Reads a mirror that is about to be changed, and locks it until the transaction ends.
pub async fn get_for_change(tx: &mut Tx, mirror: PolicyId) -> Result<Option<PushMirror>, Error> {
    policies::get_for_change(tx, KIND, mirror).await
}

/// Writes a changed mirror over the version of `before`, and withdraws the jobs that it no longer needs.
///
/// # Errors
/// [`Error::Stale`] if the row has another version.
pub async fn update(
    tx: &mut Tx,
    before: &PushMirror,
    mut after: PushMirror,
    change: LastChange,
) -> Result<PushMirror, Error> {
    let own = particulars(&after);
    policies::update(tx, KIND, &before.common, &mut after.common, change, own).await?;
    jobs::reconsider(tx, after.common.id).await?;
    Ok(after)
}

/// Deletes a mirror and withdraws its jobs. What it has copied stays.
pub async fn delete(tx: &mut Tx, mirror: PolicyId, now: Timestamp) -> Result<(), Error> {
    policies::delete(tx, KIND, mirror, now).await
}

/// The mirror with this ID.
pub async fn get(conn: &mut Conn, mirror: PolicyId) -> Result<Option<PushMirror>, Error> {
    policies::get(conn, KIND, mirror).await
}

/// The mirrors of a repository.
pub async fn for_repository(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PushMirror>, Error> {
    policies::of_repository(conn, KIND, repository).await
}

/// The mirrors of a repository after an ID, at most `limit`.
pub async fn for_repository_behind(
    conn: &mut Conn,
    repository: RepositoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<Readable<PushMirror>>, Error> {
    policies::of_repository_behind(conn, KIND, repository, after, limit).await
}

/// Records when a mirror last copied a tag.
pub async fn mark_mirrored(tx: &mut Tx, mirror: PolicyId, at: Timestamp) -> Result<(), Error> {
    policies::mark_moved(tx, mirror, at).await
}
