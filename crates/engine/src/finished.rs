//! What an attempt at a job leaves to be written, whether it did the work or not.

use longshore_model::{Message, tag::AnswerResult};

/// What a job that did its work leaves to be written.
pub(crate) enum Finished {
    /// This is its outcome.
    Outcome(Message),
    /// Its own last transaction has ended it.
    Recorded,
}

/// An attempt that did not do the work of its job.
pub(crate) struct Failure {
    /// What verdicts that wait for the job show from now on.
    pub(crate) result: AnswerResult,
    /// Why, and what happens next.
    pub(crate) why: Message,
    /// Whether it has asked its remote, so that it tells how that one fares.
    pub(crate) asked: bool,
}
