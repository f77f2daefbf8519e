//! Sentences that the server stores: results, errors and log lines of jobs, decisions of policies, activity. A
//! message is stored as a kind with typed references and becomes a sentence for one reader when it is shown
//! (semantics 17, 46): a name that the reader may not know reads "another repository" or "another registry". The
//! wording of all sentences is here, one file per subject. Better wording therefore applies to messages that are
//! already stored, and no code searches a finished sentence for names.
//!
//! To add a message, add a variant to the file of its subject, its sentence to `sentence` below it, and an example to
//! `examples`, which the tests of all kinds use. Names are references, never text. Text from other sources (another
//! registry, the database) is a [`TroubleMessage`], which records who may read it.

mod activity;
mod eyes;
mod job;
mod pause;
mod policy;
mod poll;
mod promotion;
mod push;
mod reference;
mod trouble;
mod upkeep;
mod withdrawal;

#[cfg(test)]
mod examples;

pub use activity::ActivityMessage;
pub use eyes::{Everything, Eyes, Mentions, Nothing};
pub use job::{Evaluated, JobMessage};
pub use pause::PauseMessage;
pub use policy::{Changed, Objection, PolicyMessage};
pub use poll::{PollMessage, Polled};
pub use promotion::{PromotionMessage, Quota};
pub use push::PushMessage;
pub use reference::{PlaceRef, RemoteRef, RepositoryRef, TagRef};
pub use trouble::{Again, TroubleMessage};
pub use upkeep::{Freed, Upkeep};
pub use withdrawal::Withdrawal;

use serde::{Deserialize, Serialize};

/// Replaces text without references for readers who do not see everything.
const FOR_ADMINISTRATORS: &str = "the details are visible to administrators only";

/// A stored sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Message {
    #[default]
    Nothing,
    /// A job of any sort.
    Job(JobMessage),
    /// A promotion.
    Promotion(PromotionMessage),
    /// A copy to another registry.
    Push(PushMessage),
    /// A poll of another registry.
    Poll(PollMessage),
    /// A policy or mirror.
    Policy(PolicyMessage),
    /// A reason other than its rules why a policy does not act.
    Objection(Objection),
    /// A pause.
    Pause(PauseMessage),
    /// Garbage collection and verification.
    Upkeep(Upkeep),
    /// Something that failed.
    Trouble(TroubleMessage),
    /// A change that a person made.
    #[serde(rename = "change")]
    Activity(ActivityMessage),
    /// Text without references, which may contain any name. Earlier versions stored only such text.
    Plain { text: String },
    /// What this version cannot read, kept as stored.
    #[serde(skip)]
    Unreadable { stored: String },
}

impl Message {
    /// Parses the result of [`Message::stored`]. Earlier versions wrote plain text. A message of a later version that
    /// is unknown here is kept and never an error, so that a log line cannot hide its job.
    #[must_use]
    pub fn read(stored: &str) -> Self {
        if stored.is_empty() {
            return Self::Nothing;
        }
        if !stored.starts_with('{') {
            return Self::Plain { text: stored.to_owned() };
        }
        serde_json::from_str(stored).unwrap_or_else(|_| Self::Unreadable { stored: stored.to_owned() })
    }

    /// The form that is stored in the database.
    #[must_use]
    pub fn stored(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Unreadable { stored } => stored.clone(),
            message => serde_json::to_string(message).unwrap_or_default(),
        }
    }

    /// The sentence for one reader.
    #[must_use]
    pub fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Job(message) => message.sentence(eyes),
            Self::Promotion(message) => message.sentence(eyes),
            Self::Push(message) => message.sentence(eyes),
            Self::Poll(message) => message.sentence(eyes),
            Self::Policy(message) => message.sentence(eyes),
            Self::Objection(message) => message.sentence(eyes),
            Self::Pause(message) => message.sentence(eyes),
            Self::Upkeep(message) => message.sentence(eyes),
            Self::Trouble(message) => message.sentence(eyes),
            Self::Activity(message) => message.sentence(eyes),
            Self::Plain { text } if eyes.everything() => text.clone(),
            Self::Plain { .. } => FOR_ADMINISTRATORS.to_owned(),
            Self::Unreadable { .. } => {
                "a newer version of Longshore wrote what this one cannot show".to_owned()
            }
        }
    }

    /// Cuts text from other sources, such as another registry, to at most `most` characters.
    #[must_use]
    pub fn shortened(mut self, most: usize) -> Self {
        self.shorten(most);
        self
    }

    fn shorten(&mut self, most: usize) {
        match self {
            Self::Plain { text } => cut(text, most),
            Self::Trouble(trouble) => trouble.shorten(most),
            Self::Push(PushMessage::Failed { why, .. })
            | Self::Poll(
                PollMessage::Failed { first: why, .. }
                | PollMessage::Tag { why, .. }
                | PollMessage::NotAll { why, .. },
            )
            | Self::Policy(PolicyMessage::Stopped { why, .. })
            | Self::Job(
                JobMessage::Tag { what: why, .. } | JobMessage::Followed { without: Some(why), .. },
            )
            | Self::Upkeep(Upkeep::NotMended { why, .. }) => why.shorten(most),
            Self::Poll(
                PollMessage::Incomplete { why: words, .. }
                | PollMessage::OddNames { names: words, .. }
                | PollMessage::NoneMatch { patterns: words, .. },
            ) => cut(words, most),
            Self::Upkeep(Upkeep::DamagedBlob { damage, .. } | Upkeep::DamagedManifest { damage, .. }) => {
                cut(damage, most)
            }
            Self::Nothing
            | Self::Job(_)
            | Self::Promotion(_)
            | Self::Push(_)
            | Self::Poll(_)
            | Self::Policy(_)
            | Self::Objection(_)
            | Self::Pause(_)
            | Self::Upkeep(_)
            | Self::Activity(_)
            | Self::Unreadable { .. } => {}
        }
    }

    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// Text without references; only administrators see it.
impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Plain { text }
    }
}

macro_rules! subjects {
    ($($variant:ident($subject:ty)),* $(,)?) => {$(
        impl From<$subject> for Message {
            fn from(message: $subject) -> Self {
                Self::$variant(message)
            }
        }
    )*};
}

subjects! {
    Job(JobMessage),
    Promotion(PromotionMessage),
    Push(PushMessage),
    Poll(PollMessage),
    Policy(PolicyMessage),
    Objection(Objection),
    Pause(PauseMessage),
    Upkeep(Upkeep),
    Trouble(TroubleMessage),
    Activity(ActivityMessage),
}

/// Cuts a text to at most `most` characters and marks the cut with an ellipsis.
pub(crate) fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
}

/// `one thing`, `3 things`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
