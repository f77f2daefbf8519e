//! What is said of jobs as such, whatever they do.

use super::{Message, Withdrawal, counted, eyes::Eyes, reference::TagRef};
use crate::pause::{Pause, PauseScope};
use crate::remote::BackOff;
use crate::tag::Revision;
use serde::{Deserialize, Serialize};

/// What policies answered, each answer counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evaluated {
    /// How many answers there were: of policies about one tag, or of one policy about tags.
    pub evaluated: u64,
    /// Tags that were promoted.
    pub promoted: u64,
    /// Copies to other registries that were queued.
    pub queued: u64,
    /// Verdicts that wait for something.
    pub waiting: u64,
    /// Tags whose place a later change had taken.
    pub superseded: u64,
    /// Tags that could not be moved on.
    pub failed: u64,
    /// Policies that stopped themselves.
    #[serde(rename = "paused")]
    pub stopped: u64,
}

impl Evaluated {
    /// What policies answered about one tag.
    fn of_policies(&self) -> String {
        match self.evaluated {
            0 => "no policies".to_owned(),
            some => self.behind(counted(some, "policy evaluated", "policies evaluated")),
        }
    }

    /// What one policy answered about tags.
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

/// Something about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobMessage {
    /// Somebody canceled it.
    Canceled,
    /// The server stops, and the job with it.
    Parked,
    /// What it was for is not wanted any more.
    Withdrawn {
        /// Why.
        why: Withdrawal,
    },
    /// Its remote is left alone for now; it goes on behind that.
    RemoteWaits {
        /// Why and until when.
        back_off: BackOff,
    },
    /// Its remote has failed for so long that the job is not tried again.
    RemoteTriedTooLong {
        /// Why it was left alone the last time.
        back_off: BackOff,
    },
    /// Its log had more lines than are kept.
    LinesLeftOut {
        /// So many.
        count: u64,
    },
    /// A pause stopped it.
    Stopped {
        /// The pause.
        pause: Pause,
    },
    /// Whoever ended the pause that held it chose so.
    Dropped {
        /// The pause.
        pause: Pause,
    },
    /// The job is of no kind that this version can run.
    Unknown {
        /// Its action.
        action: String,
    },
    /// It cannot be read as it is stored.
    Unreadable {
        /// What of it, and why.
        error: String,
    },
    /// Policies were asked about a tag.
    Evaluated {
        /// How that went.
        counts: Evaluated,
    },
    /// A policy was asked about the tags that are there.
    Applied {
        /// How that went.
        counts: Evaluated,
    },
    /// The policy it is about was disabled or changed meanwhile.
    PolicyChanged {
        /// How it went until then.
        counts: Evaluated,
    },
    /// The policy it is about, or its repository, is gone.
    PolicyGone,
    /// The repository it is about is gone.
    RepositoryGone,
    /// The tag it is about is gone.
    TagGone {
        /// The tag.
        tag: TagRef,
    },
    /// The tag it is about has changed again.
    TagChanged {
        /// The tag.
        tag: TagRef,
        /// Its present change.
        revision: Revision,
    },
    /// What became of one tag.
    Tag {
        /// The tag.
        tag: TagRef,
        /// What became of it.
        what: Box<Message>,
    },
    /// A referrer went where its image is.
    Followed {
        /// Repositories here.
        linked: u64,
        /// Copies to other registries that were queued.
        queued: u64,
        /// Why it did not get everywhere.
        without: Option<Box<Message>>,
    },
}

impl JobMessage {
    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Canceled => "it was canceled".to_owned(),
            Self::Withdrawn { why } => why.sentence(),
            Self::Parked => "the server is stopping; the job goes on when it starts again".to_owned(),
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
                format!("stopped because {} was paused; it goes on when that is resumed", of(pause, eyes))
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
                    (0, None) => "its image went nowhere else".to_owned(),
                    (0, Some(why)) => format!("could not follow its image: {}", why.sentence(eyes)),
                    (_, None) => went,
                    (_, Some(why)) => format!("{went}, but not everywhere: {}", why.sentence(eyes)),
                }
            }
        }
    }
}

/// What stands still. Who may see a job may not always know its namespace's name.
fn of(pause: &Pause, eyes: &dyn Eyes) -> String {
    match pause.scope {
        PauseScope::Namespace(_) if !eyes.everything() => "its namespace".to_owned(),
        _ => pause.subject(None),
    }
}
