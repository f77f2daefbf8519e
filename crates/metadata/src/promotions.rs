//! Promotion policies.

use crate::{
    Conn, Error, Tx,
    convert::json,
    policies::{self, Particulars, Readable},
};
use longshore_model::{LastChange, PolicyId, PolicyKind, RepositoryId, Timestamp, stored::PromotionPolicy};

const KIND: PolicyKind = PolicyKind::Promotion;

fn particulars(policy: &PromotionPolicy) -> Particulars {
    Particulars {
        target: Some(policy.target.to_string()),
        rules: Some(json(&policy.rules)),
        template: Some(policy.template.clone()),
        ..Particulars::default()
    }
}

/// Writes a new policy.
pub async fn insert(tx: &mut Tx, policy: &PromotionPolicy) -> Result<(), Error> {
    policies::insert(tx, KIND, policy.source, &policy.common, particulars(policy)).await
}

/// Reads a policy that is about to be changed; nobody else changes it before the transaction ends.
pub async fn get_for_change(tx: &mut Tx, policy: PolicyId) -> Result<Option<PromotionPolicy>, Error> {
    policies::get_for_change(tx, KIND, policy).await
}

/// Writes a changed policy over the version that `before` has, and withdraws what it does no more.
///
/// # Errors
/// [`Error::Stale`] where the row is not at that version any more.
pub async fn update(
    tx: &mut Tx,
    before: &PromotionPolicy,
    mut after: PromotionPolicy,
    change: LastChange,
) -> Result<PromotionPolicy, Error> {
    let own = particulars(&after);
    policies::update(tx, KIND, &before.common, &mut after.common, change, own).await?;
    Ok(after)
}

/// Deletes a policy; what it promoted stays. Its work is withdrawn.
pub async fn delete(tx: &mut Tx, policy: PolicyId, now: Timestamp) -> Result<(), Error> {
    policies::delete(tx, KIND, policy, now).await
}

/// One policy.
pub async fn get(conn: &mut Conn, policy: PolicyId) -> Result<Option<PromotionPolicy>, Error> {
    policies::get(conn, KIND, policy).await
}

/// Those that lead out of a repository.
pub async fn for_source(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PromotionPolicy>, Error> {
    policies::of_repository(conn, KIND, repository).await
}

/// Those that lead out of a repository, behind an identifier, at most `limit`.
pub async fn for_source_behind(
    conn: &mut Conn,
    repository: RepositoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<Readable<PromotionPolicy>>, Error> {
    policies::of_repository_behind(conn, KIND, repository, after, limit).await
}

/// Those that lead into a repository.
pub async fn for_target(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PromotionPolicy>, Error> {
    policies::of_target(conn, repository).await
}

/// Remembers when a policy last promoted a tag.
pub async fn mark_promoted(tx: &mut Tx, policy: PolicyId, at: Timestamp) -> Result<(), Error> {
    policies::mark_moved(tx, policy, at).await
}
