//! A preview of a mirror's next poll, which makes the same survey and the same decisions without changing anything.

use super::{
    decided, known,
    plan::{Origin, Step, step},
    survey::{Survey, remote},
};
use crate::{Engine, journal::Journal, memory::Notes, trouble::Trouble};
use longshore_metadata::{Error, tags};
use longshore_model::{
    JobId, Message,
    message::PollMessage,
    policy::Baseline,
    stored::{PollPlan, PullMirror},
};
use longshore_policy::Patterns;

/// Why a preview of a poll failed.
#[derive(Debug, thiserror::Error)]
pub enum ForeseeError {
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] Error),
    /// The poll itself would fail, with this message.
    #[error("the poll would fail")]
    WouldFail(Message),
}

impl ForeseeError {
    fn of(trouble: Trouble, mirror: &PullMirror) -> Self {
        match trouble {
            Trouble::Metadata(error) => Self::Metadata(error),
            trouble => Self::WouldFail(trouble.message(Some(&remote(mirror)), None)),
        }
    }
}

impl Engine {
    /// Reads the tags of the mirror's remote and returns what a poll would do with them. Nothing is changed.
    ///
    /// # Errors
    /// [`ForeseeError`]
    pub async fn foresee_poll(&self, mirror: &PullMirror) -> Result<PollPlan, ForeseeError> {
        let patterns = Patterns::parse(&mirror.patterns).map_err(|error| {
            ForeseeError::WouldFail(PollMessage::Patterns { error: error.to_string() }.into())
        })?;
        let fails = |trouble: Trouble| ForeseeError::of(trouble, mirror);
        let registry = self.registry(mirror.remote).await.map_err(fails)?;
        // Belongs to no job and is never written.
        let journal = Journal::new(JobId::new(), 0);
        let survey =
            Survey::make(&registry, mirror, &patterns, &journal, &Notes::none()).await.map_err(fails)?;
        let mut conn = self.db().read().await?;
        let mut baseline = known(&mut conn, mirror).await?;
        if let Some(decided) = decided(mirror) {
            // The poll would first add these to the baseline.
            let new = survey.tags.iter().filter(|(name, _)| !decided.matches(name));
            baseline
                .get_or_insert_default()
                .extend(new.map(|(name, digest)| (name.clone(), Some(digest.clone()))));
        }
        let mut plan = PollPlan {
            baseline_only: mirror.baseline == Baseline::Pending && mirror.known_patterns.is_none(),
            incomplete: survey.incomplete,
            ..PollPlan::default()
        };
        for (name, trouble) in survey.unread {
            match ForeseeError::of(trouble, mirror) {
                ForeseeError::WouldFail(why) => plan.add_unread(name, why),
                error @ ForeseeError::Metadata(_) => return Err(error),
            }
        }
        for (name, digest) in survey.tags {
            let local = tags::find(&mut conn, mirror.repository, &name).await?;
            match step(Origin::of(mirror), &name, &digest, local.as_ref(), baseline.as_ref()) {
                Step::Unchanged | Step::InBaseline | Step::CompletesBaseline(_) => plan.unchanged += 1,
                _ if plan.baseline_only => plan.unchanged += 1,
                Step::Copy(_) if local.is_none() => plan.new.push(name),
                Step::Copy(_) => plan.moved.push(name),
                Step::Pinned { .. } | Step::Conflict { .. } => plan.left_alone.push(name),
            }
        }
        Ok(plan)
    }
}
