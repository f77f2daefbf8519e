//! Promotion policies.

use crate::{
    Conn, Error, Tx,
    convert::json,
    policies::{self, Particulars},
};
use longshore_model::{PolicyId, PolicyKind, RepositoryId, Timestamp, stored::PromotionPolicy};

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

/// Writes a changed policy; source and history stay.
pub async fn update(tx: &mut Tx, policy: &PromotionPolicy) -> Result<(), Error> {
    policies::update(tx, &policy.common, particulars(policy)).await
}

/// Deletes a policy; what it promoted stays.
pub async fn delete(tx: &mut Tx, policy: PolicyId) -> Result<(), Error> {
    policies::delete(tx, policy).await
}

/// One policy.
pub async fn get(conn: &mut Conn, policy: PolicyId) -> Result<Option<PromotionPolicy>, Error> {
    policies::get(conn, KIND, policy).await
}

/// Those that lead out of a repository.
pub async fn for_source(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PromotionPolicy>, Error> {
    policies::of_repository(conn, KIND, repository).await
}

/// Those that lead into a repository.
pub async fn for_target(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<PromotionPolicy>, Error> {
    policies::of_target(conn, repository).await
}

/// Remembers when a policy last promoted a tag.
pub async fn mark_promoted(tx: &mut Tx, policy: PolicyId, at: Timestamp) -> Result<(), Error> {
    policies::mark_moved(tx, policy, at).await
}
