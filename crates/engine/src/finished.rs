//! The result of one attempt at a job.

use longshore_model::{Message, tag::AnswerResult};

/// The result of a successful attempt.
pub(crate) enum Finished {
    /// The outcome, which has yet to be stored.
    Outcome(Message),
    /// The job has already been ended, in its own last transaction.
    Recorded,
}

/// A failed attempt.
pub(crate) struct Failure {
    /// The new result of verdicts that wait for the job.
    pub(crate) result: AnswerResult,
    /// The reason, and when the next attempt takes place.
    pub(crate) why: Message,
    /// Whether the job sent a request to its remote; only then does the failure count as the mirror's last run.
    pub(crate) asked: bool,
}
