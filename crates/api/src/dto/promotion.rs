//! Promotion policies.

use jiff::Timestamp;
use longshore_model::policy::PromotionDraft;
use longshore_model::{Code, Problem, PromotionPolicy as Model};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Common;
use super::rule::{self, Rule, Rules};
use crate::extract::Wire;

/// A promotion policy: copies tags that match into another repository.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromotionPolicy {
    #[serde(flatten)]
    common: Common,
    /// All of them must hold; none means every tag.
    #[schema(value_type = Vec<Rule>)]
    rules: Rules,
    /// `namespace/name` of the source.
    #[schema(example = "dev/website")]
    source_repository: String,
    /// `namespace/name` of the target.
    #[schema(example = "qa/website")]
    target_repository: String,
    /// The name a tag gets in the target.
    #[schema(example = "%n")]
    tag_template: String,
    /// When it last promoted a tag.
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

/// Which side of promotions the repository is on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SideQuery {
    /// `true`: policies that have this repository as source; `false`: as target.
    #[param(default = true)]
    pub(crate) source: Option<bool>,
}

/// A new promotion policy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePromotionPolicy {
    /// All of them must hold. An explicit empty list means every tag; an absent one is refused.
    rules: Option<Vec<Rule>>,
    /// `namespace/name` of the target.
    #[serde(default)]
    #[schema(example = "qa/website")]
    target_repository: String,
    /// The name a tag gets in the target.
    #[serde(default)]
    #[schema(default = "%n")]
    tag_template: String,
    /// Whether it acts.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations go along.
    #[schema(default = true)]
    referrers: Option<bool>,
    /// As in the query.
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

/// A change of a promotion policy; what is absent stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdatePromotionPolicy {
    /// All of them must hold; an empty list means every tag.
    rules: Option<Vec<Rule>>,
    /// `namespace/name` of the target.
    target_repository: Option<String>,
    /// The name a tag gets in the target.
    tag_template: Option<String>,
    /// Whether it acts.
    enabled: Option<bool>,
    /// Whether signatures, SBOMs and attestations go along.
    referrers: Option<bool>,
    /// The version that the change is based on, as an earlier answer gave it. With another one by now the answer is
    /// 409; without, the change is made to whichever version there is.
    pub(crate) version: Option<i64>,
    /// As in the query.
    pub(crate) initial_evaluation: Option<bool>,
}

impl Wire for UpdatePromotionPolicy {
    const INVALID_RULE: Code = Code::InvalidPromotionPolicy;
}

impl UpdatePromotionPolicy {
    /// Whether it says nothing but this about `enabled`.
    pub(crate) fn only_enabled(&self) -> Option<bool> {
        let rest = self.rules.is_some()
            || self.target_repository.is_some()
            || self.tag_template.is_some()
            || self.referrers.is_some();
        self.enabled.filter(|_| !rest)
    }

    /// The policy as it will be.
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
