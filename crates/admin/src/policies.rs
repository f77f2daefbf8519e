//! What policies and mirrors of all kinds have in common when a person saves them.

use longshore_metadata::{Tx, activity};
use longshore_model::activity::ActivityKind;
use longshore_model::message::PolicyMessage;
use longshore_model::stored::{LastRun, PolicyCommon};
use longshore_model::{Author, PolicyId, Problem, RepositoryId, Timestamp, UserActor};

/// What a new policy of any kind starts with.
pub(crate) fn new_common(by: &UserActor, enabled: bool, referrers: bool, now: Timestamp) -> PolicyCommon {
    PolicyCommon {
        id: PolicyId::new(),
        enabled,
        version: 1,
        paused: None,
        referrers,
        author: Some(by.id),
        author_name: by.name.to_string(),
        orphaned: false,
        created_at: now,
        updated_at: now,
        last_run: LastRun::never(),
    }
}

/// What a person's change does to what all policies have: who changed it answers for it, and what
/// had stopped itself goes on.
pub(crate) fn changed_common(
    before: &PolicyCommon,
    by: &UserActor,
    enabled: bool,
    referrers: bool,
    acts_anew: bool,
    now: Timestamp,
) -> PolicyCommon {
    PolicyCommon {
        enabled,
        version: before.version + i64::from(acts_anew || referrers != before.referrers),
        paused: before.paused.clone().filter(|_| !enabled),
        referrers,
        author: Some(by.id),
        author_name: by.name.to_string(),
        orphaned: false,
        updated_at: now,
        ..before.clone()
    }
}

/// Notes in the activity what became of a policy.
pub(crate) async fn note(
    tx: &mut Tx,
    author: Author,
    kind: ActivityKind,
    repository: RepositoryId,
    policy: PolicyId,
    detail: PolicyMessage,
    now: Timestamp,
) -> Result<(), Problem> {
    let entry = activity::NewActivity {
        repository: Some(repository),
        policy: Some(policy),
        detail: detail.into(),
        ..activity::NewActivity::new(now, author, kind)
    };
    Ok(activity::add(tx, &entry).await?)
}
