//! What policies answered when they were asked about tags, and how often each answer was given.

use longshore_model::tag::AnswerResult;

/// What one policy made of one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It acted on this change before (semantics 2).
    ActedBefore,
    NotMatched,
    Waiting,
    Promoted,
    Queued,
    Superseded,
    Failed,
    /// It stopped itself.
    Paused,
}

impl Answer {
    /// How that stands in the verdict.
    pub(crate) fn result(self) -> AnswerResult {
        match self {
            Self::ActedBefore | Self::NotMatched | Self::Paused => AnswerResult::NotMatched,
            Self::Waiting => AnswerResult::Waiting,
            Self::Promoted => AnswerResult::Done,
            Self::Queued => AnswerResult::Running,
            Self::Superseded => AnswerResult::Superseded,
            Self::Failed => AnswerResult::Failed,
        }
    }
}

/// The answers that were given, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tally(Vec<Answer>);

impl Tally {
    pub(crate) fn add(&mut self, answer: Answer) {
        self.0.push(answer);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// One sentence for the job's page.
    pub(crate) fn sentence(&self) -> String {
        let mut parts = vec![match self.0.len() {
            0 => "nothing to ask".to_owned(),
            1 => "asked once".to_owned(),
            many => format!("asked {many} times"),
        }];
        for (wanted, text) in [
            (Answer::Promoted, "promoted"),
            (Answer::Queued, "on its way to another registry"),
            (Answer::Waiting, "waiting"),
            (Answer::Superseded, "superseded"),
            (Answer::Failed, "failed"),
            (Answer::Paused, "paused"),
        ] {
            let count = self.0.iter().filter(|answer| **answer == wanted).count();
            if count > 0 {
                parts.push(format!("{count} {text}"));
            }
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantics_32_an_answer_that_waits_is_kept_as_waiting() {
        assert_eq!(Answer::Waiting.result(), AnswerResult::Waiting);
    }

    #[test]
    fn the_tally_reads_as_a_sentence() {
        let mut tally = Tally::default();
        assert_eq!(tally.sentence(), "nothing to ask");
        tally.add(Answer::Promoted);
        let mut others = Tally::default();
        others.add(Answer::NotMatched);
        others.add(Answer::Queued);
        tally.merge(others);
        assert_eq!(tally.sentence(), "asked 3 times, 1 promoted, 1 on its way to another registry");
    }
}
