//! Pauses and what they hold.

use jiff::Timestamp;
use longshore_model::pause::{self, HeldJob, PauseView};
use longshore_model::{Code, PauseReason, Problem, Queued};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::job::Job;
use super::tag::word;

/// All policies and mirrors of something stand still.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pause {
    /// What is paused: `system`, `namespace/<name>` or `remote/<id>`.
    #[schema(example = "namespace/dev")]
    scope: String,
    /// Since when.
    since: Timestamp,
    /// Who paused it.
    by: String,
    /// Why.
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

/// A pause and how much it holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PauseState {
    #[serde(flatten)]
    pause: Pause,
    /// What the remote is called, where one is paused.
    remote: Option<String>,
    /// How many jobs wait for it to end; null where the actor may not resume it.
    queued: Option<u64>,
}

impl From<PauseView> for PauseState {
    fn from(view: PauseView) -> Self {
        Self { pause: view.pause.into(), remote: view.remote_name, queued: view.held }
    }
}

/// One thing that waits for a pause to end.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuedJob {
    /// What it will do.
    action: String,
    /// When it was asked for.
    since: Timestamp,
    /// The job; null where it is about a repository whose jobs the actor may not see.
    job: Option<Job>,
}

impl From<HeldJob> for QueuedJob {
    fn from(held: HeldJob) -> Self {
        Self { action: word(held.action), since: held.since, job: held.job.map(Job::from) }
    }
}

/// What shall become of what waits.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResumeQuery {
    /// `run`: all of it runs, oldest first. `newest`: of each tag the newest change alone, of each place
    /// at another registry the newest copy alone. `drop`: nothing of it runs.
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
            let message = format!("“{text}” is nothing to do with what waits; run, drop and newest are.");
            Problem::field(Code::InvalidRequest, "queued", message)
        })
    }
}

/// What became of what waited.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resumed {
    /// How many jobs go on.
    freed: u64,
    /// How many were dropped.
    dropped: u64,
    /// How many wait on, because another pause covers them.
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
    fn what_shall_become_of_the_queue_is_a_word_or_everything_runs() {
        let asked = |text: Option<&str>| ResumeQuery { queued: text.map(str::to_owned) }.queued();
        assert_eq!(asked(None), Ok(Queued::Run));
        assert_eq!(asked(Some("newest")), Ok(Queued::Newest));
        let refused = asked(Some("keep")).unwrap_err();
        assert!(refused.about("queued").is_some_and(|why| why.contains("run, drop and newest")));
    }
}

/// What the policies and mirrors that a pause holds would do, were all that waits run now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PausePlan {
    /// Those that have something to do.
    policies: Vec<PolicyPlan>,
    /// How many jobs wait that this does not tell of: about what the actor may not see, what somebody asked
    /// for by hand, or too many.
    untold: u64,
}

/// What one policy or mirror would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PolicyPlan {
    /// The policy.
    id: String,
    /// `promotion`, `push_mirror` or `pull_mirror`.
    kind: String,
    /// The repository here that it belongs to.
    repository: String,
    /// Where it leads, or for a pull mirror from where.
    place: String,
    /// The first tags that it would promote or send. What a pull mirror would do, its own plan tells.
    steps: Vec<PlannedStep>,
    /// How many steps there are.
    total: u64,
}

/// One tag that a policy would promote or send.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlannedStep {
    /// The tag here.
    tag: String,
    /// What it would be called there; null for who may not know.
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

/// What the next poll of a pull mirror would do, as the other registry is now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PollPlan {
    /// Tags that would come.
    new: Vec<String>,
    /// Tags that would move to another image.
    moved: Vec<String>,
    /// Tags that are at another image there and would be left alone: pinned, or made by somebody else.
    left_alone: Vec<String>,
    /// How many would stay as they are, or were there before the mirror was saved.
    unchanged: u64,
    /// Whether the poll would only write down what is there, to take what comes later.
    baseline_only: bool,
    /// Why there may be more tags than were found; null when these are all.
    incomplete: Option<String>,
    /// Tags that the other registry lists but does not answer for, so that the poll would not bring them; at most 20.
    unread: Vec<UnreadTag>,
    /// How many of them there are.
    unread_total: u64,
}

/// A tag that the other registry lists but does not answer for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadTag {
    /// Its name there.
    tag: String,
    /// Why.
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
