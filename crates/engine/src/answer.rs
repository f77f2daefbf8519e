//! The results of policy evaluations, and how many there were of each.

use longshore_model::{message::Evaluated, tag::AnswerResult};

/// The result of evaluating one policy for one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The policy has already acted on this revision (semantics 2).
    ActedBefore,
    NotMatched,
    Waiting,
    Promoted,
    Queued,
    Superseded,
    Failed,
    /// The policy stopped itself.
    Stopped,
}

impl Answer {
    /// The result that is stored with the verdict.
    pub(crate) fn result(self) -> AnswerResult {
        match self {
            Self::ActedBefore | Self::NotMatched | Self::Stopped => AnswerResult::NotMatched,
            Self::Waiting => AnswerResult::Waiting,
            Self::Promoted => AnswerResult::Done,
            Self::Queued => AnswerResult::Running,
            Self::Superseded => AnswerResult::Superseded,
            Self::Failed => AnswerResult::Failed,
        }
    }
}

/// The results of one job's evaluations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answers(Vec<Answer>);

impl Answers {
    pub(crate) fn add(&mut self, answer: Answer) {
        self.0.push(answer);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The number of results of each kind, as the job's outcome shows it.
    pub(crate) fn counts(&self) -> Evaluated {
        let count = |wanted| self.0.iter().filter(|answer| **answer == wanted).count() as u64;
        Evaluated {
            evaluated: self.0.len() as u64,
            promoted: count(Answer::Promoted),
            queued: count(Answer::Queued),
            waiting: count(Answer::Waiting),
            superseded: count(Answer::Superseded),
            failed: count(Answer::Failed),
            stopped: count(Answer::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantics_32_a_waiting_result_is_stored_as_waiting() {
        assert_eq!(Answer::Waiting.result(), AnswerResult::Waiting);
    }

    #[test]
    fn the_tally_counts_each_result() {
        let mut tally = Answers::default();
        assert_eq!(tally.counts(), Evaluated::default());
        tally.add(Answer::Promoted);
        let mut others = Answers::default();
        others.add(Answer::NotMatched);
        others.add(Answer::Queued);
        tally.merge(others);
        assert_eq!(
            tally.counts(),
            Evaluated { evaluated: 3, promoted: 1, queued: 1, ..Evaluated::default() }
        );
    }
}
