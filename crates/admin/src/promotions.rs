//! Promotion policies (semantics 3, 10, 14, 16, 18).

use crate::Admin;
use crate::guard::{author, user};
use crate::policies::{changed_common, new_common, note};
use crate::validate::{self, Fields};
use longshore_access::Action;
use longshore_engine::orders;
use longshore_metadata::{jobs, promotions, repositories, tags};
use longshore_model::activity::ActivityKind;
use longshore_model::message::{Changed, PolicyMessage, RepositoryRef};
use longshore_model::policy::{PromotionDraft, Save};
use longshore_model::view::{PreviewFacts, Side};
use longshore_model::{
    Actor, Author, Code, PolicyId, PolicyKind, Problem, PromotionPolicy, Repository, RepositoryId,
    RepositoryState, stored,
};
use longshore_oci::RepositoryName;
use longshore_policy::{Rules, Template};

/// A draft without mistakes.
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
    /// The promotion policies that lead out of a repository, or into it. For those who may read it;
    /// what leads into it only for those who administer it.
    ///
    /// # Errors
    /// No such repository; no right.
    pub async fn promotions(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        side: Side,
    ) -> Result<Vec<PromotionPolicy>, Problem> {
        let action = match side {
            Side::Source => Action::Read,
            Side::Target => Action::Administer,
        };
        let repository = self.repository_for(actor, action, repository).await?;
        let mut curtain = self.curtain(actor).await?;
        let found = match side {
            Side::Source => promotions::for_source(curtain.conn(), repository.id).await?,
            Side::Target => promotions::for_target(curtain.conn(), repository.id).await?,
        };
        let mut shown = Vec::with_capacity(found.len());
        for policy in found {
            shown.push(curtain.promotion(policy).await?);
        }
        Ok(shown)
    }

    /// One promotion policy, asked for at its source or at its target.
    ///
    /// # Errors
    /// No such repository or policy.
    pub async fn promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<PromotionPolicy, Problem> {
        let (policy, _) = self.find_promotion(actor, Action::Read, repository, id).await?;
        self.curtain(actor).await?.promotion(policy).await
    }

    /// The policy, for those who may do `action` with the repository at which they ask for it.
    /// Incoming policies are for the target's administrators alone.
    async fn find_promotion(
        &self,
        actor: &Actor,
        action: Action,
        name: &RepositoryName,
        id: PolicyId,
    ) -> Result<(stored::PromotionPolicy, Repository), Problem> {
        let repository = self.repository_for(actor, action, name).await?;
        let found = promotions::get(&mut self.read().await?, id).await?;
        let policy = found.filter(|found| {
            found.source == repository.id
                || (found.target == repository.id
                    && self.0.access.may(actor, Action::Administer, &repository))
        });
        policy.map(|policy| (policy, repository)).ok_or_else(|| no_such_policy(name))
    }

    /// Makes a promotion policy. The actor must administer source and target.
    ///
    /// # Errors
    /// `INVALID_PROMOTION_POLICY` with every field that is wrong; no right.
    pub async fn create_promotion(
        &self,
        actor: &Actor,
        source: &RepositoryName,
        draft: PromotionDraft,
        save: Save,
    ) -> Result<PromotionPolicy, Problem> {
        let by = user(actor)?;
        let source = self.repository_for(actor, Action::Administer, source).await?;
        let checked = self.check_promotion(actor, &source, &draft).await?;
        let now = self.now();
        let policy = PromotionPolicy {
            common: new_common(by, draft.enabled, draft.referrers, now),
            source: source.id,
            source_name: source.name,
            target: checked.target.id,
            target_name: checked.target.name,
            rules: checked.rules.into(),
            template: checked.template.to_string(),
            last_promoted_at: None,
        };
        let saved = self.save_promotion(author(actor), policy, true, save).await?;
        self.curtain(actor).await?.promotion(saved).await
    }

    /// Changes a promotion policy. The actor must administer source and target, the new one and
    /// the old one.
    ///
    /// # Errors
    /// As [`Admin::create_promotion`]; no such policy.
    pub async fn change_promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
        draft: PromotionDraft,
        save: Save,
    ) -> Result<PromotionPolicy, Problem> {
        let by = user(actor)?;
        let (before, _) = self.find_promotion(actor, Action::Administer, repository, id).await?;
        let source = self.end_for(actor, before.source, "source").await?;
        self.end_for(actor, before.target, "target").await?;
        let checked = self.check_promotion(actor, &source, &draft).await?;
        let now = self.now();
        let template = checked.template.to_string();
        let rules = checked.rules.into();
        let acts_anew =
            rules != before.rules || template != before.template || checked.target.id != before.target;
        let common = changed_common(&before.common, by, draft.enabled, draft.referrers, acts_anew, now);
        let policy = PromotionPolicy {
            common,
            target: checked.target.id,
            target_name: checked.target.name,
            rules,
            template,
            ..before
        };
        let saved = self.save_promotion(author(actor), policy, false, save).await?;
        self.curtain(actor).await?.promotion(saved).await
    }

    async fn save_promotion(
        &self,
        author: Author,
        policy: stored::PromotionPolicy,
        is_new: bool,
        save: Save,
    ) -> Result<stored::PromotionPolicy, Problem> {
        let now = policy.common.updated_at;
        self.write(move |tx| {
            Box::pin(async move {
                let kind = match is_new {
                    true => {
                        promotions::insert(tx, &policy).await?;
                        ActivityKind::PolicyCreated
                    }
                    false => {
                        promotions::update(tx, &policy).await?;
                        ActivityKind::PolicyChanged
                    }
                };
                let (id, source) = (policy.common.id, policy.source);
                let detail =
                    PolicyMessage::Promotion { target: target_of(&policy), rules: policy.rules.describe() };
                note(tx, author.clone(), kind, source, id, detail, now).await?;
                if save == Save::Apply && policy.common.enabled {
                    let order = orders::apply(id, PolicyKind::Promotion, source, author, now);
                    jobs::enqueue(tx, order, now).await?;
                }
                Ok(policy)
            })
        })
        .await
    }

    /// Enables or suspends a promotion policy. Who administers the target may suspend it; enabling
    /// needs the right on both ends, as making it did.
    ///
    /// # Errors
    /// No such policy; no right.
    pub async fn enable_promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
        enabled: bool,
    ) -> Result<PromotionPolicy, Problem> {
        let (before, _) = self.find_promotion(actor, Action::Administer, repository, id).await?;
        if enabled {
            self.end_for(actor, before.source, "source").await?;
            self.end_for(actor, before.target, "target").await?;
        }
        let (author, now) = (author(actor), self.now());
        let mut policy = before;
        policy.common.enabled = enabled;
        policy.common.updated_at = now;
        if enabled {
            policy.common.paused = None;
        }
        let changed = self.write(move |tx| {
            Box::pin(async move {
                promotions::update(tx, &policy).await?;
                let changed = if enabled { Changed::Enabled } else { Changed::Suspended };
                let detail = PolicyMessage::PromotionChanged { target: target_of(&policy), changed };
                let kind = ActivityKind::PolicyChanged;
                note(tx, author, kind, policy.source, policy.common.id, detail, now).await?;
                Ok(policy)
            })
        });
        let changed = changed.await?;
        self.curtain(actor).await?.promotion(changed).await
    }

    /// Deletes a promotion policy. For those who administer its source or its target.
    ///
    /// # Errors
    /// No such policy; no right.
    pub async fn delete_promotion(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
        id: PolicyId,
    ) -> Result<(), Problem> {
        let (policy, _) = self.find_promotion(actor, Action::Administer, repository, id).await?;
        let (author, now) = (author(actor), self.now());
        self.write(move |tx| {
            Box::pin(async move {
                promotions::delete(tx, id).await?;
                let (target, changed) = (target_of(&policy), Changed::Deleted);
                let detail = PolicyMessage::PromotionChanged { target, changed };
                note(tx, author, ActivityKind::PolicyDeleted, policy.source, id, detail, now).await
            })
        })
        .await
    }

    /// What the preview of a policy is computed from, in the browser. For those who may read the
    /// repository.
    ///
    /// # Errors
    /// No such repository.
    pub async fn preview_tags(
        &self,
        actor: &Actor,
        repository: &RepositoryName,
    ) -> Result<PreviewFacts, Problem> {
        let repository = self.repository_for(actor, Action::Read, repository).await?;
        let all = tags::all(&mut self.read().await?, repository.id).await?;
        Ok(PreviewFacts {
            total: all.len() as u64,
            tags: all.into_iter().rev().take(PreviewFacts::MAX).map(|tag| tag.name).collect(),
            moment: self.0.engine.moment(),
        })
    }

    /// One end of a policy, which the actor must administer.
    async fn end_for(&self, actor: &Actor, end: RepositoryId, which: &str) -> Result<Repository, Problem> {
        let found = repositories::get(&mut self.read().await?, end).await?;
        found.filter(|found| self.0.access.may(actor, Action::Administer, found)).ok_or_else(|| {
            Problem::new(
                Code::NotAuthorized,
                format!(
                    "changing a promotion policy takes the right on both ends, and you do not administer its \
                     {which}; you may suspend or delete it"
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
                    self.repository_in_field(actor, Action::Administer, &name, "targetRepository").await;
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
                        "a policy from {} into itself has to rename its tags, or each would be promoted onto \
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

/// Why a repository takes no promotions (semantics 18).
pub(crate) fn closed(target: &Repository) -> Option<String> {
    let name = &target.name;
    match target.state {
        RepositoryState::Normal => None,
        RepositoryState::ReadOnly => Some(format!(
            "{name} is read-only and takes no promotions; change its state or choose another one"
        )),
        RepositoryState::Mirror => Some(format!(
            "{name} is a mirror that only its own pull mirrors write to; change its state or choose another one"
        )),
    }
}

/// Whether every tag keeps its name.
fn keeps_names(template: &Template) -> bool {
    template.as_str() == Template::source_tag().as_str()
}
