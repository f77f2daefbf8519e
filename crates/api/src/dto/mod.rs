//! The shapes of requests and answers: DTR's, with what is ours beside it. They turn into the
//! model's types and from them; nothing is decided here.

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

/// How the last run of a policy or mirror went.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastStatus {
    /// How it went.
    code: RunCode,
    /// One sentence: what was moved, or what failed and what to do.
    detail: String,
    /// When it ended, or began while it runs; absent before the first run.
    timestamp: Option<Timestamp>,
    /// The job behind it.
    #[serde(rename = "jobID")]
    job_id: Option<Uuid>,
}

impl From<LastRun> for LastStatus {
    fn from(run: LastRun) -> Self {
        Self { code: run.code, detail: run.detail, timestamp: run.at, job_id: run.job.map(|job| job.0) }
    }
}

/// What every policy and mirror has beside what DTR shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Common {
    /// Its identifier.
    id: Uuid,
    /// Grows with each change. Who sends it with a change learns of one that somebody else made meanwhile.
    version: i64,
    /// Whether it acts.
    enabled: bool,
    /// Whether signatures, SBOMs and attestations go along.
    referrers: bool,
    /// How it last went.
    last_status: LastStatus,
    /// Why it stopped itself, when it did; enabling it again lets it go on.
    paused: Option<String>,
    /// Whether its author has lost the right that making it needed.
    orphaned: bool,
    /// Who made it; empty when that account is gone.
    author: String,
    /// When it was made.
    created_at: Timestamp,
    /// When a person last changed it.
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

/// Whether a saved policy acts on what exists already.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct InitialEvaluation {
    /// `true` is *Save & Apply*: existing tags as well; `false` is *Save*: tags from now on. May
    /// stand in the body instead.
    #[param(default = true)]
    initial_evaluation: Option<bool>,
}

impl InitialEvaluation {
    /// What query and body say together (semantics 3).
    pub(crate) fn with_body(&self, body: Option<bool>) -> Result<Save, Problem> {
        match (self.initial_evaluation, body) {
            (Some(query), Some(body)) if query != body => Err(Problem::field(
                Code::ConflictingParameters,
                "initialEvaluation",
                format!(
                    "initialEvaluation is {query} in the query and {body} in the body; say it in one place."
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
    fn semantics_03_an_absent_initial_evaluation_means_true_and_two_that_differ_are_refused() {
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
