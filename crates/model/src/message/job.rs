//! Sentences about jobs of any sort.

use super::{Message, Withdrawal, counted, eyes::Eyes, reference::TagRef};
use crate::pause::{Pause, PauseScope};
use crate::remote::BackOff;
use crate::tag::Revision;
use serde::{Deserialize, Serialize};

/// The results of evaluations, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evaluated {
    /// The number of evaluations: of several policies for one tag, or of one policy for several tags.
    pub evaluated: u64,
    pub promoted: u64,
    /// Queued copies to other registries.
    pub queued: u64,
    /// Verdicts that wait for something.
    pub waiting: u64,
    /// Tags that a later change had already replaced.
    pub superseded: u64,
    /// Tags that could not be promoted or copied.
    pub failed: u64,
    /// Policies that stopped themselves.
    #[serde(rename = "paused")]
    pub stopped: u64,
}

impl Evaluated {
    /// The results of policies for one tag.
    fn of_policies(&self) -> String {
        match self.evaluated {
            0 => "no policies".to_owned(),
            some => self.behind(counted(some, "policy evaluated", "policies evaluated")),
        }
    }

    /// The results of one policy for several tags.
    fn of_tags(&self) -> String {
        match self.evaluated {
            0 => "no tags".to_owned(),
            some => self.behind(counted(some, "tag evaluated", "tags evaluated")),
        }
    }

    fn behind(&self, how_many: String) -> String {
        let mut parts = vec![how_many];
        let mut add = |count, one, many| {
            if count > 0 {
                parts.push(counted(count, one, many));
            }
        };
        add(self.promoted, "promotion", "promotions");
        add(self.queued, "push queued", "pushes queued");
        add(self.waiting, "waiting", "waiting");
        add(self.superseded, "superseded", "superseded");
        add(self.failed, "failed", "failed");
        add(self.stopped, "stopped itself", "stopped themselves");
        parts.join(", ")
    }
}

/// A sentence about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobMessage {
    Canceled,
    /// The server is stopping.
    Parked,
    /// Its work is no longer wanted.
    Withdrawn {
        why: Withdrawal,
    },
    /// It waits for its remote and continues afterwards.
    RemoteWaits {
        /// Why and until when it waits.
        back_off: BackOff,
    },
    /// Its remote has failed for so long that the job is not retried.
    RemoteTriedTooLong {
        /// Why it last waited.
        back_off: BackOff,
    },
    /// Its log had more lines than are kept.
    LinesLeftOut {
        count: u64,
    },
    /// A pause interrupted it.
    Stopped {
        pause: Pause,
    },
    /// The person who ended the pause that held it dropped it.
    Dropped {
        pause: Pause,
    },
    /// This version cannot run this kind of job.
    Unknown {
        action: String,
    },
    /// The stored job cannot be read.
    Unreadable {
        error: String,
    },
    /// Policies were evaluated for a tag.
    Evaluated {
        counts: Evaluated,
    },
    /// A policy was evaluated for existing tags.
    Applied {
        counts: Evaluated,
    },
    /// Its policy was disabled or changed meanwhile.
    PolicyChanged {
        /// The results until then.
        counts: Evaluated,
    },
    /// Its policy or the policy's repository was deleted.
    PolicyGone,
    /// Its repository was deleted.
    RepositoryGone,
    /// Its tag was deleted.
    TagGone {
        tag: TagRef,
    },
    /// Its tag has changed again.
    TagChanged {
        tag: TagRef,
        /// The current revision.
        revision: Revision,
    },
    /// The result for one tag.
    Tag {
        tag: TagRef,
        what: Box<Message>,
    },
    /// A referrer was copied to where its image was copied.
    Followed {
        /// Repositories of this server.
        linked: u64,
        /// Queued copies to other registries.
        queued: u64,
        /// Why it was not copied everywhere.
        without: Option<Box<Message>>,
    },
}

impl JobMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Canceled => "it was canceled".to_owned(),
            Self::Withdrawn { why } => why.sentence(),
            Self::Parked => "the server is stopping; the job continues when it starts again".to_owned(),
            Self::RemoteWaits { back_off } => format!(
                "waiting for the registry until {}: {}",
                back_off.until.strftime("%H:%M:%S UTC"),
                back_off.because()
            ),
            Self::RemoteTriedTooLong { back_off } => {
                format!("gave up: the registry has been failing for too long ({})", back_off.because())
            }
            Self::LinesLeftOut { count } => format!("{count} further lines were left out"),
            Self::Stopped { pause } => {
                format!(
                    "interrupted because {} was paused; it continues when that is resumed",
                    of(pause, eyes)
                )
            }
            Self::Dropped { pause } => format!("dropped when {} was resumed", of(pause, eyes)),
            Self::Unknown { action } => format!("a job of the kind {action} cannot have these parameters"),
            Self::Unreadable { error } => format!(
                "this version of Longshore cannot read what is stored of the job ({error}); if a newer one \
                 wrote it, start that one, and retry the job there"
            ),
            Self::Evaluated { counts } => counts.of_policies(),
            Self::Applied { counts } => counts.of_tags(),
            Self::PolicyChanged { counts } => {
                format!("the policy was disabled or changed; {}", counts.of_tags())
            }
            Self::PolicyGone => "the policy or its repository has been deleted".to_owned(),
            Self::RepositoryGone => "the repository has been deleted".to_owned(),
            Self::TagGone { tag } => format!("{} has been deleted", tag.tag(eyes)),
            Self::TagChanged { tag, revision } => {
                format!("{} has changed again since (revision {})", tag.tag(eyes), revision.0)
            }
            Self::Tag { tag, what } => format!("{} {}", tag.shown(eyes), what.sentence(eyes)),
            Self::Followed { linked, queued, without } => {
                let went = format!(
                    "followed its image to {} here and {} at other registries",
                    counted(*linked, "repository", "repositories"),
                    counted(*queued, "repository", "repositories"),
                );
                match (linked + queued, without) {
                    (0, None) => "its image was not copied anywhere else".to_owned(),
                    (0, Some(why)) => format!("could not follow its image: {}", why.sentence(eyes)),
                    (_, None) => went,
                    (_, Some(why)) => format!("{went}, but not everywhere: {}", why.sentence(eyes)),
                }
            }
        }
    }
}

/// What is paused. A reader who may see a job need not know the name of its namespace.
fn of(pause: &Pause, eyes: &dyn Eyes) -> String {
    match pause.scope {
        PauseScope::Namespace(_) if !eyes.everything() => "its namespace".to_owned(),
        _ => pause.subject(None),
    }
}
