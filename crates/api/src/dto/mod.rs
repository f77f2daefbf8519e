//! The shapes of requests and responses: DTR's fields, and Longshore's own. They are converted to and from the types of
//! `model`; nothing is decided here.

pub(crate) mod account;
pub(crate) mod activity;
pub(crate) mod job;
pub(crate) mod job_query;
pub(crate) mod mirror;
pub(crate) mod pause;
pub(crate) mod promotion;
pub(crate) mod remote;
pub(crate) mod repository;
pub(crate) mod rule;
pub(crate) mod storage;
pub(crate) mod tag;
pub(crate) mod undo;

use jiff::Timestamp;
use longshore_model::Code;
use longshore_model::Problem;
use longshore_model::policy::{LastRun, PolicyCommon, RunCode, Save};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The last run of a policy or mirror.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastStatus {
    /// The result.
    code: RunCode,
    /// One sentence: what was copied, or what failed and how to fix it.
    detail: String,
    /// The time at which the run ended, or started if it is still running; null before the first run.
    timestamp: Option<Timestamp>,
    /// The job of the run.
    #[serde(rename = "jobID")]
    job_id: Option<Uuid>,
}

impl From<LastRun> for LastStatus {
    fn from(run: LastRun) -> Self {
        Self { code: run.code, detail: run.detail, timestamp: run.at, job_id: run.job.map(|job| job.0) }
    }
}

/// Fields that all policies and mirrors have beside DTR's.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Common {
    /// The identifier.
    id: Uuid,
    /// The version, which increases with each change. Send it with a change to detect concurrent changes.
    version: i64,
    /// Whether the policy is enabled.
    enabled: bool,
    /// Whether signatures, SBOMs and attestations are included.
    referrers: bool,
    /// The last run.
    last_status: LastStatus,
    /// Why the policy has stopped; null if it has not. Enable it again to resume it.
    paused: Option<String>,
    /// Whether the author has lost the permission that creating the policy required.
    orphaned: bool,
    /// The author; empty if the account was deleted.
    author: String,
    /// The time of creation.
    created_at: Timestamp,
    /// The time of the last change by a user.
    updated_at: Timestamp,
}

impl From<PolicyCommon> for Common {
    fn from(common: PolicyCommon) -> Self {
        Self {
            id: common.id.0,
            version: common.version.0,
            enabled: common.enabled,
            referrers: common.referrers,
            last_status: common.last_run.into(),
            paused: common.stopped,
            orphaned: common.orphaned,
            author: common.author_name,
            created_at: common.created_at,
            updated_at: common.updated_at,
        }
    }
}

/// Whether a saved policy applies to existing tags.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct InitialEvaluation {
    /// `true` is *Save & Apply* (existing tags too), `false` is *Save* (only tags from now on). Can be sent in the body
    /// instead.
    #[param(default = true)]
    initial_evaluation: Option<bool>,
}

impl InitialEvaluation {
    /// Combines the values of query and body (semantics 3).
    pub(crate) fn with_body(&self, body: Option<bool>) -> Result<Save, Problem> {
        match (self.initial_evaluation, body) {
            (Some(query), Some(body)) if query != body => Err(Problem::field(
                Code::ConflictingParameters,
                "initialEvaluation",
                format!(
                    "initialEvaluation is {query} in the query and {body} in the body; set it only once."
                ),
            )),
            (query, body) => Ok(match query.or(body).unwrap_or(true) {
                true => Save::Apply,
                false => Save::Future,
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn semantics_03_initial_evaluation_defaults_to_true_and_conflicting_values_are_rejected() {
        let ask = |query, body| InitialEvaluation { initial_evaluation: query }.with_body(body);
        assert_eq!(ask(None, None), Ok(Save::Apply));
        assert_eq!(ask(Some(false), None), Ok(Save::Future));
        assert_eq!(ask(None, Some(false)), Ok(Save::Future));
        assert_eq!(ask(Some(true), Some(true)), Ok(Save::Apply));
        let conflict = ask(Some(true), Some(false)).unwrap_err();
        assert_eq!(conflict.code, Code::ConflictingParameters);
        assert!(conflict.about("initialEvaluation").is_some());
    }
}
