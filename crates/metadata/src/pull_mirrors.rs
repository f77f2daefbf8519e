//! Pull mirrors, their schedules and baselines.

use crate::{
    Conn, Error, Tx,
    conn::{change, rows, value},
    convert::{as_word, json, maybe_instant, maybe_parse, micros, parse},
    jobs,
    policies::{self, Particulars},
    visible::Visible,
};
use longshore_model::{
    LastChange, PolicyId, PolicyKind, RepositoryId, Timestamp, policy::Baseline, stored::PullMirror,
};
use longshore_oci::{Digest, Tag};

const KIND: PolicyKind = PolicyKind::PullMirror;

fn particulars(mirror: &PullMirror) -> Particulars {
    Particulars {
        remote: Some(mirror.remote.to_string()),
        remote_repository: Some(mirror.remote_repository.to_string()),
        patterns: Some(mirror.patterns.clone()),
        interval_seconds: Some(i64::from(mirror.interval_seconds)),
        foreign_layers: mirror.foreign_layers,
        baseline: Some(as_word(&mirror.baseline)),
        known_patterns: mirror.known_patterns.clone(),
        next_run_at: Some(micros(mirror.next_run_at)),
        ..Particulars::default()
    }
}

/// Writes a new mirror.
pub async fn insert(tx: &mut Tx, mirror: &PullMirror) -> Result<(), Error> {
    policies::insert(tx, KIND, mirror.repository, &mirror.common, particulars(mirror)).await
}

/// Reads a mirror that is about to be changed, and locks it until the transaction ends.
pub async fn get_for_change(tx: &mut Tx, mirror: PolicyId) -> Result<Option<PullMirror>, Error> {
    policies::get_for_change(tx, KIND, mirror).await
}

/// Writes a changed mirror over the version of `before`, and withdraws the jobs that it no longer needs. The baseline
/// is deleted if it starts over or is no longer wanted.
///
/// # Errors
/// [`Error::Stale`] if the row has another version.
pub async fn update(
    tx: &mut Tx,
    before: &PullMirror,
    mut after: PullMirror,
    change: LastChange,
) -> Result<PullMirror, Error> {
    if after.baseline == Baseline::None
        || after.baseline == Baseline::Pending && after.known_patterns.is_none()
    {
        change!(tx.conn, "DELETE FROM baselines WHERE policy = $1", after.common.id.to_string())?;
    }
    let own = particulars(&after);
    policies::update(tx, KIND, &before.common, &mut after.common, change, own).await?;
    jobs::reconsider(tx, after.common.id).await?;
    Ok(after)
}

/// Deletes a mirror and withdraws its jobs. What it has mirrored stays.
pub async fn delete(tx: &mut Tx, mirror: PolicyId, now: Timestamp) -> Result<(), Error> {
    policies::delete(tx, KIND, mirror, now).await
}

/// The mirror with this ID.
pub async fn get(conn: &mut Conn, mirror: PolicyId) -> Result<Option<PullMirror>, Error> {
    policies::get(conn, KIND, mirror).await
}

/// The mirrors of a repository.
pub async fn for_repository(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PullMirror>, Error> {
    policies::of_repository(conn, KIND, repository).await
}

/// The enabled mirrors that have not stopped, in visible repositories.
pub async fn running(conn: &mut Conn, visible: &Visible) -> Result<Vec<PullMirror>, Error> {
    policies::running(conn, KIND, visible).await
}

/// The enabled mirrors that have not stopped and whose next poll is due.
pub async fn due(conn: &mut Conn, now: Timestamp) -> Result<Vec<PullMirror>, Error> {
    policies::due_by(conn, now).await
}

/// When the next poll of any such mirror is due.
pub async fn next_due(conn: &mut Conn) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT MIN(p.next_run_at) FROM policies p JOIN repositories r ON r.id = p.repository
         WHERE p.kind = 'pull_mirror' AND p.enabled AND p.paused IS NULL AND r.deleted_at IS NULL";
    maybe_instant(value!(conn, Option<i64>, sql)?)
}

/// Sets when the next poll is due; returns false if another server has set it since `due` was read.
pub async fn schedule(
    tx: &mut Tx,
    mirror: PolicyId,
    due: Timestamp,
    next_run_at: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE policies SET next_run_at = $3 WHERE id = $1 AND next_run_at = $2";
    Ok(change!(tx.conn, sql, mirror.to_string(), micros(due), micros(next_run_at))? > 0)
}

/// A tag of a baseline: its name, and its digest if that could be read.
pub type BaselineTag = (Tag, Option<Digest>);

/// The number of tags that one statement records.
const RECORDED_AT_ONCE: usize = 1_000;

/// Records the existing tags of the remote, so that only later changes are mirrored (semantics 3). Recorded tags with
/// other names are kept. This completes the baseline.
pub async fn record_baseline(tx: &mut Tx, mirror: PolicyId, tags: &[BaselineTag]) -> Result<(), Error> {
    let id = mirror.to_string();
    let sql = match tx.is_postgres() {
        false => {
            "INSERT INTO baselines (policy, tag, digest)
             SELECT $1, json_extract(e.value, '$[0]'), json_extract(e.value, '$[1]') FROM json_each($2) e WHERE true
             ON CONFLICT (policy, tag) DO UPDATE SET digest = excluded.digest"
        }
        true => {
            "INSERT INTO baselines (policy, tag, digest)
             SELECT $1, e.value ->> 0, e.value ->> 1 FROM json_array_elements($2::json) e
             ON CONFLICT (policy, tag) DO UPDATE SET digest = excluded.digest"
        }
    };
    for some in tags.chunks(RECORDED_AT_ONCE) {
        change!(tx.conn, sql, id.as_str(), json(&some))?;
    }
    let sql = "UPDATE policies SET baseline = $2, known_patterns = NULL WHERE id = $1";
    change!(tx.conn, sql, id.as_str(), as_word(&Baseline::Complete))?;
    Ok(())
}

/// Records the digest of a tag of the baseline that could not be read before.
pub async fn complete_baseline(
    tx: &mut Tx,
    mirror: PolicyId,
    tag: &Tag,
    digest: &Digest,
) -> Result<(), Error> {
    let sql = "UPDATE baselines SET digest = $3 WHERE policy = $1 AND tag = $2 AND digest IS NULL";
    change!(tx.conn, sql, mirror.to_string(), tag.as_str(), digest.as_str())?;
    Ok(())
}

/// The tags of the remote when the mirror was saved.
pub async fn baseline(conn: &mut Conn, mirror: PolicyId) -> Result<Vec<BaselineTag>, Error> {
    let sql = "SELECT tag, digest FROM baselines WHERE policy = $1 ORDER BY tag";
    let found = rows!(conn, (String, Option<String>), sql, mirror.to_string())?;
    found
        .iter()
        .map(|(tag, digest)| Ok((parse("tag", tag)?, maybe_parse("digest", digest.as_deref())?)))
        .collect()
}

/// Records when a mirror last mirrored a tag.
pub async fn mark_mirrored(tx: &mut Tx, mirror: PolicyId, at: Timestamp) -> Result<(), Error> {
    policies::mark_moved(tx, mirror, at).await
}
