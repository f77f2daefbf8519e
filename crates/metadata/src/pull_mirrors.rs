//! Pull mirrors, their schedules and baselines.

use crate::{
    Conn, Error, Tx,
    conn::{change, rows, value},
    convert::{as_word, maybe_instant, micros, parse},
    jobs,
    policies::{self, Particulars},
};
use longshore_model::{PolicyId, PolicyKind, RepositoryId, Timestamp, policy::Baseline, stored::PullMirror};
use longshore_oci::{Digest, Tag};

const KIND: PolicyKind = PolicyKind::PullMirror;

fn particulars(mirror: &PullMirror) -> Particulars {
    Particulars {
        remote: Some(mirror.remote.to_string()),
        remote_repository: Some(mirror.remote_repository.to_string()),
        patterns: Some(mirror.patterns.clone()),
        interval_seconds: Some(i64::from(mirror.interval_seconds)),
        baseline: Some(as_word(&mirror.baseline)),
        next_run_at: Some(micros(mirror.next_run_at)),
        ..Particulars::default()
    }
}

/// Writes a new mirror.
pub async fn insert(tx: &mut Tx, mirror: &PullMirror) -> Result<(), Error> {
    policies::insert(tx, KIND, mirror.repository, &mirror.common, particulars(mirror)).await
}

/// Writes a changed mirror; repository and history stay. A baseline that is not complete any more
/// is forgotten.
pub async fn update(tx: &mut Tx, mirror: &PullMirror) -> Result<(), Error> {
    if mirror.baseline != Baseline::Complete {
        change!(tx.conn, "DELETE FROM baselines WHERE policy = $1", mirror.common.id.to_string())?;
    }
    policies::update(tx, &mirror.common, particulars(mirror)).await?;
    jobs::reconsider(tx, mirror.common.id).await
}

/// Deletes a mirror; what it brought in stays.
pub async fn delete(tx: &mut Tx, mirror: PolicyId) -> Result<(), Error> {
    policies::delete(tx, mirror).await
}

/// One mirror.
pub async fn get(conn: &mut Conn, mirror: PolicyId) -> Result<Option<PullMirror>, Error> {
    policies::get(conn, KIND, mirror).await
}

/// Those of a repository.
pub async fn for_repository(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PullMirror>, Error> {
    policies::of_repository(conn, KIND, repository).await
}

/// All there are.
pub async fn all(conn: &mut Conn) -> Result<Vec<PullMirror>, Error> {
    policies::of_kind(conn, KIND).await
}

/// Those that may run and whose next poll is due.
pub async fn due(conn: &mut Conn, now: Timestamp) -> Result<Vec<PullMirror>, Error> {
    policies::due_by(conn, now).await
}

/// When the next poll of any mirror that may run is due.
pub async fn next_due(conn: &mut Conn) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT MIN(p.next_run_at) FROM policies p JOIN repositories r ON r.id = p.repository
         WHERE p.kind = 'pull_mirror' AND p.enabled AND p.paused IS NULL AND r.deleted_at IS NULL";
    maybe_instant(value!(conn, Option<i64>, sql)?)
}

/// Sets when the next poll is due; false when somebody else has done so since `due` was read.
pub async fn schedule(
    tx: &mut Tx,
    mirror: PolicyId,
    due: Timestamp,
    next_run_at: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE policies SET next_run_at = $3 WHERE id = $1 AND next_run_at = $2";
    Ok(change!(tx.conn, sql, mirror.to_string(), micros(due), micros(next_run_at))? > 0)
}

/// Records what the remote has, so that only what comes later is taken (semantics 3).
pub async fn set_baseline(tx: &mut Tx, mirror: PolicyId, tags: &[(Tag, Digest)]) -> Result<(), Error> {
    let id = mirror.to_string();
    change!(tx.conn, "DELETE FROM baselines WHERE policy = $1", id.as_str())?;
    for (tag, digest) in tags {
        change!(
            tx.conn,
            "INSERT INTO baselines (policy, tag, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            id.as_str(),
            tag.as_str(),
            digest.as_str()
        )?;
    }
    let sql = "UPDATE policies SET baseline = $2 WHERE id = $1";
    change!(tx.conn, sql, id.as_str(), as_word(&Baseline::Complete))?;
    Ok(())
}

/// What the remote had when the mirror was saved.
pub async fn baseline(conn: &mut Conn, mirror: PolicyId) -> Result<Vec<(Tag, Digest)>, Error> {
    let sql = "SELECT tag, digest FROM baselines WHERE policy = $1 ORDER BY tag";
    let found = rows!(conn, (String, String), sql, mirror.to_string())?;
    found.iter().map(|(tag, digest)| Ok((parse("tag", tag)?, parse("digest", digest)?))).collect()
}

/// Remembers when a mirror last brought a tag in.
pub async fn mark_mirrored(tx: &mut Tx, mirror: PolicyId, at: Timestamp) -> Result<(), Error> {
    policies::mark_moved(tx, mirror, at).await
}
