//! Promotion policies (semantics 3, 10, 14, 16, 18).

use crate::Admin;
use crate::guard::{author, user};
use crate::policies::{apply, changed_common, difference, new_common, note, still_there};
use crate::validate::{self, Fields};
use crate::versions::Versioned;
use longshore_access::Permission;
use longshore_metadata::{Tx, facts, promotions, repositories, tags, work};
use longshore_model::activity::ActivityKind;
use longshore_model::message::{Changed, PolicyMessage, RepositoryRef};
use longshore_model::policy::{PromotionDraft, Save};
use longshore_model::view::{PreviewFacts, Side};
use longshore_model::{
    Actor, Aspect, Author, Code, PolicyId, PolicyKind, Problem, PromotionPolicy, Repository, RepositoryId,
    RepositoryState, Version, stored,
};
use longshore_oci::RepositoryName;
use longshore_policy::{Rules, Template};

/// A valid draft.
struct Checked {
    target: Repository,
    rules: Rules,
    template: Template,
}

fn no_such_policy(repository: &RepositoryName) -> Problem {
    let message = format!("{repository} has no such promotion policy; it may have been deleted");
    Problem::new(Code::NoSuchPromotionPolicy, message)
}

fn target_of(policy: &stored::PromotionPolicy) -> RepositoryRef {
    RepositoryRef::new(policy.target, policy.target_name.clone())
}

impl Admin {
    /// The promotion policies whose source or target is a repository. Outgoing policies are for users who may read it,
    /// incoming ones only for users who administer it.
    ///
    /// # Errors
    /// The repository does not exist; the actor lacks the permission.
    pub async fn promotions(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        side: Side,
    ) -> Result<Vec<PromotionPolicy>, Problem> {
        let action = match side {
            Side::Source => Permission::Read,
            Side::Target => Permission::Administer,
        };
        let repository = self.repository_for(actor, action, repository).await?;
        let mut redaction = self.redaction(actor).await?;
        let found = match side {
            Side::Source => promotions::for_source(redaction.conn(), repository.id).await?,
            Side::Target => promotions::for_target(redaction.conn(), repository.id).await?,
        };
        let mut shown = Vec::with_capacity(found.len());
        for policy in found {
            shown.push(redaction.promotion(policy).await?);
        }
        Ok(shown)
    }

    /// A promotion policy of a repository, which may be its source or its target.
    ///
    /// # Errors
    /// The repository or policy does not exist.
    pub async fn promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<PromotionPolicy, Problem> {
        let (policy, _) = self.find_promotion(actor, Permission::Read, repository, id).await?;
        self.redaction(actor).await?.promotion(policy).await
    }

    /// The policy, if the actor has the permission on the repository `name`. Incoming policies are visible only to
    /// users who administer the target.
    async fn find_promotion(
        &self,
        actor: &Actor,
        action: Permission,
        name: &RepositoryName,
        id: PolicyId,
    ) -> Result<(stored::PromotionPolicy, Repository), Problem> {
        let repository = self.repository_for(actor, action, name).await?;
        let found = promotions::get(&mut self.read().await?, id).await?;
        let policy = found.filter(|found| {
            found.source == repository.id
                || (found.target == repository.id
                    && self.0.access.may(actor, Permission::Administer, &repository))
        });
        policy.map(|policy| (policy, repository)).ok_or_else(|| no_such_policy(name))
    }

    /// Creates a promotion policy. The actor must administer source and target.
    ///
    /// # Errors
    /// `INVALID_PROMOTION_POLICY` with every invalid field; the actor lacks the permission.
    pub async fn create_promotion(
        &self,
        actor: &Actor,
        source: &RepositoryName,
        draft: PromotionDraft,
        save: Save,
    ) -> Result<PromotionPolicy, Problem> {
        let by = user(actor)?;
        let source = self.repository_for(actor, Permission::Administer, source).await?;
        let checked = self.check_promotion(actor, &source, &draft).await?;
        let now = self.now();
        let policy = PromotionPolicy {
            common: new_common(by, draft.enabled, draft.referrers, now),
            source: source.id,
            source_name: source.name.clone(),
            target: checked.target.id,
            target_name: checked.target.name.clone(),
            rules: checked.rules.into(),
            template: checked.template.to_string(),
            last_promoted_at: None,
        };
        let author = author(actor);
        let made = self.write(work!(|tx| {
            still_there(tx, &source).await?;
            still_open(tx, &checked.target).await?;
            promotions::insert(tx, &policy).await?;
            saved(tx, author, &policy, ActivityKind::PolicyCreated, save).await?;
            Ok(policy)
        }));
        let made = made.await?;
        self.redaction(actor).await?.promotion(made).await
    }

    /// Changes a promotion policy. `based_on` is the version that the caller saw; the whole draft is checked. The actor
    /// must administer the source and both the old and the new target.
    ///
    /// # Errors
    /// As [`Admin::create_promotion`]; the policy does not exist; `POLICY_CHANGED` if it has another version.
    pub async fn change_promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
        based_on: Version,
        draft: PromotionDraft,
        save: Save,
    ) -> Result<PromotionPolicy, Problem> {
        let by = user(actor)?.clone();
        let (seen, _) = self.find_promotion(actor, Permission::Administer, repository, id).await?;
        seen.check(based_on)?;
        let source = self.end_for(actor, seen.source, "source").await?;
        self.end_for(actor, seen.target, "target").await?;
        let checked = self.check_promotion(actor, &source, &draft).await?;
        let (author, now, name) = (author(actor), self.now(), repository.clone());
        let changed = self.write(work!(|tx| {
            let before = present(tx, &name, id).await?.over(based_on)?;
            still_open(tx, &checked.target).await?;
            let template = checked.template.to_string();
            let rules = checked.rules.into();
            let own = [
                (rules != before.rules, Aspect::Rules),
                (template != before.template, Aspect::Template),
                (checked.target.id != before.target, Aspect::Target),
            ];
            let acts_anew = own.iter().any(|(differs, _)| *differs);
            let common = changed_common(&before.common, &by, draft.enabled, draft.referrers, acts_anew, now);
            let change = difference(author.clone(), &before.common, &common, &own);
            let after = PromotionPolicy {
                common,
                target: checked.target.id,
                target_name: checked.target.name,
                rules,
                template,
                ..before.clone()
            };
            let policy = promotions::update(tx, &before, after, change).await?;
            saved(tx, author, &policy, ActivityKind::PolicyChanged, save).await?;
            Ok(policy)
        }));
        let changed = changed.await?;
        self.redaction(actor).await?.promotion(changed).await
    }

    /// Enables or disables a promotion policy, and changes nothing else. Users who administer the target may disable
    /// it; enabling requires permission on both ends, as creating it did. `based_on` is the version that the caller
    /// saw; `None` means any version.
    ///
    /// # Errors
    /// The policy does not exist; the actor lacks the permission; `POLICY_CHANGED`.
    pub async fn enable_promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
        based_on: Option<Version>,
        enabled: bool,
    ) -> Result<PromotionPolicy, Problem> {
        let (seen, _) = self.find_promotion(actor, Permission::Administer, repository, id).await?;
        if enabled {
            self.end_for(actor, seen.source, "source").await?;
            self.end_for(actor, seen.target, "target").await?;
        }
        let (author, now, name) = (author(actor), self.now(), repository.clone());
        let changed = self.write(work!(|tx| {
            let before = present(tx, &name, id).await?;
            // The permission was checked for the target that was read before the transaction.
            let moved = before.target != seen.target;
            let before = before.over(based_on.or(moved.then_some(seen.common.version)))?;
            let mut after = before.clone();
            after.common.enabled = enabled;
            after.common.updated_at = now;
            if enabled {
                after.common.stopped = None;
            }
            let change = difference(author.clone(), &before.common, &after.common, &[]);
            let policy = promotions::update(tx, &before, after, change).await?;
            let changed = if enabled { Changed::Enabled } else { Changed::Disabled };
            let detail = PolicyMessage::PromotionChanged { target: target_of(&policy), changed };
            note(tx, author, ActivityKind::PolicyChanged, policy.source, id, detail, now).await?;
            Ok(policy)
        }));
        let changed = changed.await?;
        self.redaction(actor).await?.promotion(changed).await
    }

    /// Deletes a promotion policy. For users who administer its source or its target.
    ///
    /// # Errors
    /// The policy does not exist; the actor lacks the permission.
    pub async fn delete_promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<(), Problem> {
        let (seen, _) = self.find_promotion(actor, Permission::Administer, repository, id).await?;
        let (author, now, name) = (author(actor), self.now(), repository.clone());
        self.write(work!(|tx| {
            let policy = present(tx, &name, id).await?;
            if policy.target != seen.target {
                policy.check(seen.common.version)?;
            }
            promotions::delete(tx, id, now).await?;
            let (target, changed) = (target_of(&policy), Changed::Deleted);
            let detail = PolicyMessage::PromotionChanged { target, changed };
            note(tx, author, ActivityKind::PolicyDeleted, policy.source, id, detail, now).await
        }))
        .await
    }

    /// The facts from which the browser computes the preview of a policy. For users who may read the repository.
    ///
    /// # Errors
    /// The repository does not exist.
    pub async fn preview_tags(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
    ) -> Result<PreviewFacts, Problem> {
        let repository = self.repository_for(actor, Permission::Read, repository).await?;
        let mut conn = self.read().await?;
        let (newest, total) = tags::newest(&mut conn, repository.id, PreviewFacts::MAX).await?;
        let tags = facts::of_tags(&mut conn, &newest, self.now()).await?;
        Ok(PreviewFacts { tags, total, moment: self.0.engine.moment() })
    }

    /// One end of a policy, which the actor must administer.
    async fn end_for(&self, actor: &Actor, end: RepositoryId, which: &str) -> Result<Repository, Problem> {
        let found = repositories::get(&mut self.read().await?, end).await?;
        found.filter(|found| self.0.access.may(actor, Permission::Administer, found)).ok_or_else(|| {
            Problem::new(
                Code::NotAuthorized,
                format!(
                    "changing a promotion policy requires permission on both ends, and you do not administer its \
                     {which}; you may disable or delete it"
                ),
            )
        })
    }

    async fn check_promotion(
        &self,
        actor: &Actor,
        source: &Repository,
        draft: &PromotionDraft,
    ) -> Result<Checked, Problem> {
        let mut fields = Fields::default();
        let rules = validate::rules(&mut fields, &draft.rules, draft.every_tag);
        let template = validate::template(&mut fields, &draft.template, &self.0.engine.moment());
        let target = match fields.take("targetRepository", draft.target.trim().parse::<RepositoryName>()) {
            Some(name) => {
                let found =
                    self.repository_in_field(actor, Permission::Administer, &name, "targetRepository").await;
                fields.take_problem(found)?
            }
            None => None,
        };
        if let Some(target) = &target {
            if let Some(objection) = closed(target) {
                fields.refuse("targetRepository", objection);
            }
            if target.id == source.id && template.as_ref().is_some_and(keeps_names) {
                fields.refuse(
                    "targetRepository",
                    format!(
                        "a policy from {} to itself must rename tags, or each would be promoted onto \
                         itself; choose another target or change the tag template",
                        source.name
                    ),
                );
            }
        }
        let all = rules.zip(template).zip(target);
        let ((rules, template), target) = fields.finish_with(Code::InvalidPromotionPolicy, all)?;
        Ok(Checked { target, rules, template })
    }
}

/// The policy as it is in the transaction that changes it.
async fn present(
    tx: &mut Tx,
    name: &RepositoryName,
    id: PolicyId,
) -> Result<stored::PromotionPolicy, Problem> {
    promotions::get_for_change(tx, id).await?.ok_or_else(|| no_such_policy(name))
}

/// Checks in the transaction that the target still accepts promotions.
async fn still_open(tx: &mut Tx, target: &Repository) -> Result<(), Problem> {
    match closed(&still_there(tx, target).await?) {
        Some(objection) => Err(Problem::field(Code::InvalidPromotionPolicy, "targetRepository", objection)),
        None => Ok(()),
    }
}

/// Records that a promotion policy was saved, and applies it on request.
async fn saved(
    tx: &mut Tx,
    author: Author,
    policy: &stored::PromotionPolicy,
    kind: ActivityKind,
    save: Save,
) -> Result<(), Problem> {
    let (id, source, now) = (policy.common.id, policy.source, policy.common.updated_at);
    let detail = PolicyMessage::Promotion { target: target_of(policy), rules: policy.rules.describe() };
    note(tx, author.clone(), kind, source, id, detail, now).await?;
    if save == Save::Apply && policy.common.enabled {
        apply(tx, id, PolicyKind::Promotion, source, author, now).await?;
    }
    Ok(())
}

/// Why a repository accepts no promotions (semantics 18); `None` if it does.
pub(crate) fn closed(target: &Repository) -> Option<String> {
    let name = &target.name;
    match target.state {
        RepositoryState::Normal => None,
        RepositoryState::ReadOnly => Some(format!(
            "{name} is read-only and accepts no promotions; change its state or choose another one"
        )),
        RepositoryState::Mirror => Some(format!(
            "{name} is a mirror, which only its own pull mirrors can write to; change its state or choose another one"
        )),
    }
}

/// Whether every tag keeps its name.
fn keeps_names(template: &Template) -> bool {
    template.as_str() == Template::source_tag().as_str()
}
