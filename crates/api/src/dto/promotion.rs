//! Promotion policies.

use jiff::Timestamp;
use longshore_model::policy::PromotionDraft;
use longshore_model::{Code, Problem, PromotionPolicy as Model};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Common;
use super::rule::{self, Rule, Rules};
use crate::extract::Wire;

/// A promotion policy, which copies matching tags to another repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromotionPolicy {
    #[serde(flatten)]
    common: Common,
    /// Rules, all of which must match. An empty list matches every tag.
    #[schema(value_type = Vec<Rule>)]
    rules: Rules,
    /// The source repository, as `namespace/name`.
    #[schema(example = "dev/website")]
    source_repository: String,
    /// The target repository, as `namespace/name`.
    #[schema(example = "qa/website")]
    target_repository: String,
    /// The template of the target tag.
    #[schema(example = "%n")]
    tag_template: String,
    /// The time at which a tag was last promoted.
    last_promoted_at: Option<Timestamp>,
}

impl From<Model> for PromotionPolicy {
    fn from(policy: Model) -> Self {
        Self {
            rules: (&policy.rules).into(),
            common: policy.common.into(),
            source_repository: policy.source_name.to_string(),
            target_repository: policy.target_name.to_string(),
            tag_template: policy.template,
            last_promoted_at: policy.last_promoted_at,
        }
    }
}

/// The side of promotions that a repository is on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SideQuery {
    /// `true` for policies whose source is the repository, `false` for those whose target it is.
    #[param(default = true)]
    pub(crate) source: Option<bool>,
}

/// A promotion policy to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePromotionPolicy {
    /// Rules, all of which must match. Required; an empty list matches every tag.
    rules: Option<Vec<Rule>>,
    /// The target repository, as `namespace/name`.
    #[serde(default)]
    #[schema(example = "qa/website")]
    target_repository: String,
    /// The template of the target tag.
    #[serde(default)]
    #[schema(default = "%n")]
    tag_template: String,
    /// Whether the policy is enabled.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations are included.
    #[schema(default = true)]
    referrers: Option<bool>,
    /// The same as the query parameter `initialEvaluation`.
    pub(crate) initial_evaluation: Option<bool>,
}

impl Wire for CreatePromotionPolicy {
    const INVALID_RULE: Code = Code::InvalidPromotionPolicy;
}

impl From<CreatePromotionPolicy> for PromotionDraft {
    fn from(policy: CreatePromotionPolicy) -> Self {
        let (rules, every_tag) = rule::given(policy.rules);
        Self {
            rules,
            every_tag,
            target: policy.target_repository,
            template: policy.tag_template,
            enabled: policy.enabled,
            referrers: policy.referrers.unwrap_or(true),
        }
    }
}

/// A change of a promotion policy. Omitted fields are unchanged.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatePromotionPolicy {
    /// Rules, all of which must match. An empty list matches every tag.
    rules: Option<Vec<Rule>>,
    /// The target repository, as `namespace/name`.
    target_repository: Option<String>,
    /// The template of the target tag.
    tag_template: Option<String>,
    /// Whether the policy is enabled.
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations are included.
    referrers: Option<bool>,
    /// The version that the change is based on, as returned earlier. A change of an older version is rejected with 409.
    /// If omitted, the change applies to any version.
    pub(crate) version: Option<i64>,
    /// The same as the query parameter `initialEvaluation`.
    pub(crate) initial_evaluation: Option<bool>,
}

impl Wire for UpdatePromotionPolicy {
    const INVALID_RULE: Code = Code::InvalidPromotionPolicy;
}

impl UpdatePromotionPolicy {
    /// The value of `enabled`, if the change sets nothing else.
    pub(crate) fn only_enabled(&self) -> Option<bool> {
        let rest = self.rules.is_some()
            || self.target_repository.is_some()
            || self.tag_template.is_some()
            || self.referrers.is_some();
        self.enabled.filter(|_| !rest)
    }

    /// The policy after the change.
    pub(crate) fn over(self, policy: &Model) -> Result<PromotionDraft, Problem> {
        let (rules, every_tag) = rule::changed(self.rules, &policy.rules, Code::InvalidPromotionPolicy)?;
        Ok(PromotionDraft {
            rules,
            every_tag,
            target: self.target_repository.unwrap_or_else(|| policy.target_name.to_string()),
            template: self.tag_template.unwrap_or_else(|| policy.template.clone()),
            enabled: self.enabled,
            referrers: self.referrers.unwrap_or(policy.common.referrers),
        })
    }
}
