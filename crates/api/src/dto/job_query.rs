//! The filter for lists of jobs. Accepts the names of statuses and actions that DTR's scripts use.

use longshore_model::job::{JobAction, Status};
use longshore_model::{Code, Problem};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// A filter for the list of jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// The action, such as `poll_mirror`, or `any`.
    #[param(default = "any")]
    pub(crate) action: Option<String>,
    /// The status, or `any`. DTR's other names are accepted.
    #[param(default = "any")]
    pub(crate) status: Option<String>,
    /// `true` for running jobs only, or `any`.
    #[param(default = "any")]
    pub(crate) running: Option<String>,
    /// Must be `any`; jobs cannot be filtered by worker.
    #[param(default = "any")]
    pub(crate) worker: Option<String>,
    /// The repository, as `namespace/name`.
    pub(crate) repository: Option<String>,
    /// The policy or mirror.
    #[serde(rename = "policyID", alias = "policyId")]
    pub(crate) policy_id: Option<Uuid>,
    /// The parent job.
    #[serde(rename = "parentID", alias = "parentId")]
    pub(crate) parent_id: Option<Uuid>,
}

/// The value of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<T> {
    /// Matches everything.
    Any,
    /// Matches one value.
    One(T),
    /// A value that DTR has and Longshore has not; matches nothing.
    Nothing,
}

impl<T> Wanted<T> {
    /// The value, if it is one of Longshore's.
    pub(crate) fn one(self) -> Option<T> {
        match self {
            Self::One(one) => Some(one),
            Self::Any | Self::Nothing => None,
        }
    }
}

/// DTR's actions for which Longshore has no jobs.
const OTHER_ACTIONS: [&str; 16] = [
    "onlinegc_metadata",
    "onlinegc_joblogs",
    "onlinegc_events",
    "metadatastoremigration",
    "tagmigration",
    "license_update",
    "scan_check",
    "scan_check_single",
    "scan_check_all",
    "update_vuln_db",
    "webhook",
    "ro_registry",
    "tag_prune",
    "tag_pruning",
    "sleep",
    "false",
];

impl JobQuery {
    pub(crate) fn wanted_action(&self) -> Result<Wanted<JobAction>, Problem> {
        match self.action.as_deref().unwrap_or("any") {
            "any" | "" => Ok(Wanted::Any),
            other if OTHER_ACTIONS.contains(&other) => Ok(Wanted::Nothing),
            // DTR's names.
            "gc" | "onlinegc" => Ok(Wanted::One(JobAction::GarbageCollect)),
            word => match JobAction::ALL.iter().copied().find(|action| action.as_str() == word) {
                Some(action) => Ok(Wanted::One(action)),
                None => Err(unknown(
                    "action",
                    word,
                    &JobAction::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", "),
                )),
            },
        }
    }

    pub(crate) fn wanted_status(&self) -> Result<Wanted<Status>, Problem> {
        let by_status = match self.status.as_deref().unwrap_or("any") {
            "any" | "" => Wanted::Any,
            "error" => Wanted::One(Status::Errored),
            "cancel" | "cancel_request" => Wanted::One(Status::Canceled),
            // The job of a dead or stopping server is queued for another one.
            "worker_dead" | "worker_shutdown" | "worker_resurrection" => Wanted::One(Status::Waiting),
            "deleted" => Wanted::Nothing,
            word => match Status::ALL.iter().copied().find(|status| status.as_str() == word) {
                Some(status) => Wanted::One(status),
                None => {
                    let known =
                        Status::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
                    return Err(unknown("status", word, &known));
                }
            },
        };
        match self.worker.as_deref().unwrap_or("any") {
            "any" | "" => {}
            other => return Err(unknown("worker", other, "any")),
        }
        match (self.running.as_deref().unwrap_or("any"), by_status) {
            ("any" | "", by_status) => Ok(by_status),
            ("true", Wanted::Any | Wanted::One(Status::Running)) => Ok(Wanted::One(Status::Running)),
            ("true", _) => Ok(Wanted::Nothing),
            (other, _) => Err(unknown("running", other, "any and true")),
        }
    }
}

fn unknown(field: &str, given: &str, known: &str) -> Problem {
    Problem::field(
        Code::InvalidRequest,
        field,
        format!("Unknown value “{given}”; known values: any, {known}."),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn query(action: &str, status: &str, running: &str) -> JobQuery {
        let text = |text: &str| Some(text.to_owned());
        JobQuery {
            action: text(action),
            status: text(status),
            running: text(running),
            worker: text("any"),
            repository: None,
            policy_id: None,
            parent_id: None,
        }
    }

    #[test]
    fn dtrs_other_names_of_a_status_are_accepted() {
        let status = |status: &str| query("any", status, "any").wanted_status();
        assert_eq!(status("error"), Ok(Wanted::One(Status::Errored)));
        assert_eq!(status("errored"), Ok(Wanted::One(Status::Errored)));
        assert_eq!(status("cancel_request"), Ok(Wanted::One(Status::Canceled)));
        assert_eq!(status("worker_dead"), Ok(Wanted::One(Status::Waiting)));
        assert_eq!(status("deleted"), Ok(Wanted::Nothing));
        assert!(status("rnning").unwrap_err().message.contains("waiting, running"));
    }

    #[test]
    fn the_filter_running_selects_jobs_with_that_status() {
        assert_eq!(query("any", "any", "true").wanted_status(), Ok(Wanted::One(Status::Running)));
        assert_eq!(query("any", "done", "true").wanted_status(), Ok(Wanted::Nothing));
        assert!(query("any", "any", "perhaps").wanted_status().is_err());
    }

    #[test]
    fn an_action_that_only_dtr_has_matches_nothing() {
        assert_eq!(
            query("poll_mirror", "any", "any").wanted_action(),
            Ok(Wanted::One(JobAction::PollMirror))
        );
        assert_eq!(query("gc", "any", "any").wanted_action(), Ok(Wanted::One(JobAction::GarbageCollect)));
        assert_eq!(query("tag_prune", "any", "any").wanted_action(), Ok(Wanted::Nothing));
        assert!(query("dance", "any", "any").wanted_action().is_err());
    }
}
