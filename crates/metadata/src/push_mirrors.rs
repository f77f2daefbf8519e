//! Push mirrors.

use crate::{
    Conn, Error, Tx,
    convert::json,
    policies::{self, Particulars},
};
use longshore_model::{PolicyId, PolicyKind, RepositoryId, Timestamp, stored::PushMirror};

const KIND: PolicyKind = PolicyKind::PushMirror;

fn particulars(mirror: &PushMirror) -> Particulars {
    Particulars {
        remote: Some(mirror.remote.to_string()),
        remote_repository: Some(mirror.remote_repository.to_string()),
        rules: Some(json(&mirror.rules)),
        template: Some(mirror.template.clone()),
        overwrite: mirror.overwrite,
        ..Particulars::default()
    }
}

/// Writes a new mirror.
pub async fn insert(tx: &mut Tx, mirror: &PushMirror) -> Result<(), Error> {
    policies::insert(tx, KIND, mirror.repository, &mirror.common, particulars(mirror)).await
}

/// Writes a changed mirror; repository and history stay.
pub async fn update(tx: &mut Tx, mirror: &PushMirror) -> Result<(), Error> {
    policies::update(tx, &mirror.common, particulars(mirror)).await
}

/// Deletes a mirror; what it copied stays.
pub async fn delete(tx: &mut Tx, mirror: PolicyId) -> Result<(), Error> {
    policies::delete(tx, mirror).await
}

/// One mirror.
pub async fn get(conn: &mut Conn, mirror: PolicyId) -> Result<Option<PushMirror>, Error> {
    policies::get(conn, KIND, mirror).await
}

/// Those of a repository.
pub async fn for_repository(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PushMirror>, Error> {
    policies::of_repository(conn, KIND, repository).await
}

/// Remembers when a mirror last copied a tag.
pub async fn mark_mirrored(tx: &mut Tx, mirror: PolicyId, at: Timestamp) -> Result<(), Error> {
    policies::mark_moved(tx, mirror, at).await
}
