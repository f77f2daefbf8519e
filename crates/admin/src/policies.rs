//! What saving has in common for policies and mirrors of all kinds, such as the list of what it changes.

use crate::guard::no_such_repository;
use longshore_metadata::{Tx, activity, jobs, repositories};
use longshore_model::activity::ActivityKind;
use longshore_model::job::JobAction;
use longshore_model::job::orders;
use longshore_model::message::PolicyMessage;
use longshore_model::stored::{LastRun, PolicyCommon};
use longshore_model::{
    Aspect, Author, Code, LastChange, PolicyId, PolicyKind, Problem, Repository, RepositoryId, Timestamp,
    UserActor, Version,
};

/// The common fields of a new policy of any kind.
pub(crate) fn new_common(
    by: &UserActor,
    enabled: Option<bool>,
    referrers: bool,
    now: Timestamp,
) -> PolicyCommon {
    PolicyCommon {
        id: PolicyId::new(),
        enabled: enabled.unwrap_or(true),
        version: Version::FIRST,
        rules_version: 1,
        last_change: None,
        stopped: None,
        referrers,
        author: Some(by.id),
        author_name: by.name.to_string(),
        orphaned: false,
        created_at: now,
        updated_at: now,
        last_run: LastRun::never(),
    }
}

/// The common fields after a change by a user: `by` becomes the author, and enabling clears the reason why the policy
/// had stopped.
pub(crate) fn changed_common(
    before: &PolicyCommon,
    by: &UserActor,
    enabled: Option<bool>,
    referrers: bool,
    acts_anew: bool,
    now: Timestamp,
) -> PolicyCommon {
    let acts_anew = acts_anew || referrers != before.referrers;
    PolicyCommon {
        enabled: enabled.unwrap_or(before.enabled),
        rules_version: before.rules_version + i64::from(acts_anew),
        stopped: before.stopped.clone().filter(|_| enabled != Some(true)),
        referrers,
        author: Some(by.id),
        author_name: by.name.to_string(),
        orphaned: false,
        updated_at: now,
        ..before.clone()
    }
}

/// *Save & Apply*: evaluates a policy for all present tags. If such a job is already queued, no second one is created;
/// one for earlier rules has been withdrawn by then.
pub(crate) async fn apply(
    tx: &mut Tx,
    policy: PolicyId,
    kind: PolicyKind,
    source: RepositoryId,
    author: Author,
    now: Timestamp,
) -> Result<(), Problem> {
    if !jobs::waits_for_policy(tx, policy, JobAction::Evaluate).await? {
        jobs::enqueue(tx, orders::apply(policy, kind, source, author, now), now).await?;
    }
    Ok(())
}

/// The common aspects that differ between two versions of a policy, and those of `own` whose flag is set.
pub(crate) fn difference(
    author: Author,
    before: &PolicyCommon,
    after: &PolicyCommon,
    own: &[(bool, Aspect)],
) -> LastChange {
    let acts = |common: &PolicyCommon| common.enabled && common.stopped.is_none();
    let common = [
        (before.referrers != after.referrers, Aspect::Referrers),
        (!acts(before) && acts(after), Aspect::Enabled),
        (before.enabled && !after.enabled, Aspect::Disabled),
    ];
    let differs = own.iter().chain(&common).filter(|(differs, _)| *differs);
    LastChange::new(author, differs.map(|(_, aspect)| *aspect).collect())
}

/// The repository as it is in the transaction that changes something about it.
///
/// # Errors
/// It was deleted after it was read.
pub(crate) async fn still_there(tx: &mut Tx, repository: &Repository) -> Result<Repository, Problem> {
    let found = repositories::get(tx, repository.id).await?;
    found.ok_or_else(|| Problem::new(Code::NoSuchRepository, no_such_repository(&repository.name)))
}

/// Records a change of a policy in the activity.
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
