//! Labels for jobs: status and cause.

use longshore_model::{
    Author, PolicyKind,
    job::{Cause, Status},
};

use crate::components::Tone;

/// The label and meaning of a status.
#[must_use]
pub fn status_label(status: Status) -> (&'static str, Tone) {
    match status {
        Status::Waiting => ("Waiting", Tone::Neutral),
        Status::Running => ("Running", Tone::Info),
        Status::Done => ("Done", Tone::Ok),
        Status::Superseded => ("Superseded", Tone::Neutral),
        Status::Errored => ("Failed", Tone::Bad),
        Status::Canceled => ("Canceled", Tone::Warn),
    }
}

/// Why a job exists.
#[must_use]
pub fn cause(cause: &Cause) -> String {
    match cause {
        Cause::TagChanged { author: Author::User { name } } => format!("{name} changed the tag"),
        Cause::TagChanged { author: Author::Policy { policy, .. } } => {
            format!("A {} changed the tag", policy.noun())
        }
        Cause::TagChanged { author: Author::System } => "The tag changed".to_owned(),
        Cause::Schedule => "Scheduled".to_owned(),
        Cause::Asked { author } => format!("Started by {author}"),
        Cause::Policy { policy: PolicyKind::Promotion, .. } => "Triggered by a promotion policy".to_owned(),
        Cause::Policy { policy, .. } => format!("Triggered by a {}", policy.noun()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use longshore_model::{
        JobId, Timestamp,
        job::{Job, Parameters, Progress},
    };

    use super::*;

    /// A queued job for `dev/website`.
    pub(in crate::pages) fn job(parameters: Parameters) -> Job {
        Job {
            id: JobId::new(),
            action: parameters.action(),
            status: Status::Waiting,
            cause: Cause::Schedule,
            parameters,
            policy: None,
            repository: None,
            repository_name: Some("dev/website".parse().unwrap()),
            parent: None,
            retry_of: None,
            attempt: 0,
            retries_left: 0,
            progress: Progress::default(),
            error: None,
            outcome: None,
            created_at: Timestamp::UNIX_EPOCH,
            scheduled_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
            updated_at: Timestamp::UNIX_EPOCH,
            worker: None,
            held_by: None,
            back_off: None,
        }
    }
}
