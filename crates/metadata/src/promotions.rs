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

/// Reads a policy that is about to be changed, and locks it until the transaction ends.
pub async fn get_for_change(tx: &mut Tx, policy: PolicyId) -> Result<Option<PromotionPolicy>, Error> {
    policies::get_for_change(tx, KIND, policy).await
}

/// Writes a changed policy over the version of `before`, and withdraws the jobs that it no longer needs.
///
/// # Errors
/// [`Error::Stale`] if the row has another version.
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

/// Deletes a policy and withdraws its jobs. What it has promoted stays.
pub async fn delete(tx: &mut Tx, policy: PolicyId, now: Timestamp) -> Result<(), Error> {
    policies::delete(tx, KIND, policy, now).await
}

/// The policy with this ID.
pub async fn get(conn: &mut Conn, policy: PolicyId) -> Result<Option<PromotionPolicy>, Error> {
    policies::get(conn, KIND, policy).await
}

/// The policies whose source is this repository.
pub async fn for_source(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PromotionPolicy>, Error> {
    policies::of_repository(conn, KIND, repository).await
}

/// The policies whose source is this repository, those after an ID, at most `limit`.
pub async fn for_source_behind(
    conn: &mut Conn,
    repository: RepositoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<Readable<PromotionPolicy>>, Error> {
    policies::of_repository_behind(conn, KIND, repository, after, limit).await
}

/// The policies whose target is this repository.
pub async fn for_target(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PromotionPolicy>, Error> {
    policies::of_target(conn, repository).await
}

/// Records when a policy last promoted a tag.
pub async fn mark_promoted(tx: &mut Tx, policy: PolicyId, at: Timestamp) -> Result<(), Error> {
    policies::mark_moved(tx, policy, at).await
}
