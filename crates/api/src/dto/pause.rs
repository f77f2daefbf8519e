//! Pauses, their queues and plans.

use jiff::Timestamp;
use longshore_model::pause::{self, HeldJob, PauseView};
use longshore_model::{Code, PauseReason, Problem, Queued};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::job::Job;
use super::tag::word;

/// A pause of all policies and mirrors in a scope.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pause {
    /// The scope: `system`, `namespace/<name>` or `remote/<id>`.
    #[schema(example = "namespace/dev")]
    scope: String,
    /// The time at which the pause began.
    since: Timestamp,
    /// The user who paused it.
    by: String,
    /// The reason.
    reason: PauseReason,
}

impl From<longshore_model::Pause> for Pause {
    fn from(pause: longshore_model::Pause) -> Self {
        Self {
            scope: pause.scope.to_string(),
            since: pause.at,
            by: pause.author.to_string(),
            reason: pause.reason,
        }
    }
}

/// A pause and the number of jobs that it holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PauseState {
    #[serde(flatten)]
    pause: Pause,
    /// The name of the paused remote.
    remote: Option<String>,
    /// The number of held jobs; null if the caller may not end the pause.
    queued: Option<u64>,
}

impl From<PauseView> for PauseState {
    fn from(view: PauseView) -> Self {
        Self { pause: view.pause.into(), remote: view.remote_name, queued: view.held }
    }
}

/// A job that a pause holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuedJob {
    /// The kind of work.
    action: String,
    /// The time of creation.
    since: Timestamp,
    /// The job; null if the caller may not see it.
    job: Option<Job>,
}

impl From<HeldJob> for QueuedJob {
    fn from(held: HeldJob) -> Self {
        Self { action: word(held.action), since: held.since, job: held.job.map(Job::from) }
    }
}

/// What happens to held jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResumeQuery {
    /// `run` runs all held jobs, oldest first. `newest` runs only the newest change of each tag, and only the newest
    /// copy to each remote tag. `drop` runs none.
    #[param(default = "run")]
    queued: Option<String>,
}

impl ResumeQuery {
    pub(crate) fn queued(&self) -> Result<Queued, Problem> {
        let text = self.queued.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Ok(Queued::default());
        }
        text.parse().map_err(|_| {
            let message = format!("“{text}” is not a valid value; use run, drop or newest.");
            Problem::field(Code::InvalidRequest, "queued", message)
        })
    }
}

/// What happened to held jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resumed {
    /// The number of jobs that are resumed.
    freed: u64,
    /// The number of jobs that were dropped.
    dropped: u64,
    /// The number of jobs that stay held, because another pause covers them.
    still_held: u64,
}

impl From<pause::Resumed> for Resumed {
    fn from(resumed: pause::Resumed) -> Self {
        Self { freed: resumed.freed, dropped: resumed.dropped, still_held: resumed.still_held }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn held_jobs_run_unless_the_request_says_otherwise() {
        let asked = |text: Option<&str>| ResumeQuery { queued: text.map(str::to_owned) }.queued();
        assert_eq!(asked(None), Ok(Queued::Run));
        assert_eq!(asked(Some("newest")), Ok(Queued::Newest));
        let refused = asked(Some("keep")).unwrap_err();
        assert!(refused.about("queued").is_some_and(|why| why.contains("run, drop or newest")));
    }
}

/// What the policies and mirrors that a pause holds would do if all held jobs ran now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PausePlan {
    /// The policies and mirrors that have something to do.
    policies: Vec<PolicyPlan>,
    /// The number of held jobs that the plan does not cover: those that the caller may not see, those that a user
    /// started, and those above the limit.
    untold: u64,
}

/// The plan of one policy or mirror.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PolicyPlan {
    /// The identifier of the policy or mirror.
    id: String,
    /// `promotion`, `push_mirror` or `pull_mirror`.
    kind: String,
    /// The local repository that it belongs to.
    repository: String,
    /// The destination; for a pull mirror the source.
    place: String,
    /// The first tags that it would promote or push. Empty for a pull mirror, which has its own plan.
    steps: Vec<PlannedStep>,
    /// The total number of steps.
    total: u64,
}

/// A tag that a policy would promote or push.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlannedStep {
    /// The local tag.
    tag: String,
    /// The tag at the destination; null if the caller may not see it.
    target_tag: Option<String>,
}

impl From<pause::PausePlan> for PausePlan {
    fn from(plan: pause::PausePlan) -> Self {
        let step = |step: pause::PlannedStep| PlannedStep {
            tag: step.tag.to_string(),
            target_tag: step.target.map(|target| target.to_string()),
        };
        let policy = |plan: pause::PolicyPlan| PolicyPlan {
            id: plan.policy.to_string(),
            kind: word(plan.kind),
            repository: plan.repository.to_string(),
            place: plan.place,
            steps: plan.steps.into_iter().map(step).collect(),
            total: plan.total,
        };
        Self { policies: plan.policies.into_iter().map(policy).collect(), untold: plan.untold }
    }
}

/// What the next poll of a pull mirror would do, given the current state of the other registry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PollPlan {
    /// Tags that would be created.
    new: Vec<String>,
    /// Tags that would be moved to another image.
    moved: Vec<String>,
    /// Tags that point to another image at the remote but would not be changed, because they are pinned or were not set
    /// by the mirror.
    left_alone: Vec<String>,
    /// The number of tags that would not change, or that existed before the mirror was saved.
    unchanged: u64,
    /// Whether the poll would only record the existing tags, so that later polls mirror what changes from then on.
    baseline_only: bool,
    /// Why the list of tags may be incomplete; null if it is complete.
    incomplete: Option<String>,
    /// Tags that the other registry lists but cannot return, so that they would not be mirrored; at most 20.
    unread: Vec<UnreadTag>,
    /// The number of such tags.
    unread_total: u64,
}

/// A tag that the other registry lists but cannot return.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadTag {
    /// The name of the tag.
    tag: String,
    /// The reason.
    why: String,
}

impl From<pause::UnreadTag> for UnreadTag {
    fn from(unread: pause::UnreadTag) -> Self {
        Self { tag: unread.tag.to_string(), why: unread.why }
    }
}

impl From<pause::PollPlan> for PollPlan {
    fn from(plan: pause::PollPlan) -> Self {
        let names = |tags: Vec<longshore_oci::Tag>| tags.iter().map(ToString::to_string).collect();
        Self {
            new: names(plan.new),
            moved: names(plan.moved),
            left_alone: names(plan.left_alone),
            unchanged: plan.unchanged,
            baseline_only: plan.baseline_only,
            incomplete: plan.incomplete,
            unread: plan.unread.into_iter().map(UnreadTag::from).collect(),
            unread_total: plan.unread_total,
        }
    }
}
