//! Errors. Text from other sources is stored with a note of who may read it: the words of another registry are
//! for readers who may see its remote, words about a repository for readers who may see the repository, and words of
//! the server's own parts for administrators.

use super::{
    Message,
    eyes::Eyes,
    reference::{RemoteRef, RepositoryRef},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The reaction to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The parts of a manifest are checked again.
    PartsAfter { seconds: u64 },
    /// The manifest is pushed again.
    PutAfter { seconds: u64 },
    /// The content is fetched again.
    Fetch,
    /// The content is fetched again, from the first byte.
    FromStart,
    /// The tag is looked up again.
    Tag,
    /// Nothing: a referrer exists, but is missing from the list of its subject.
    Unlisted,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TroubleMessage {
    /// An error at another registry.
    Remote {
        remote: RemoteRef,
        /// What happened, including names at the registry.
        said: String,
    },
    /// An error in a repository of this server.
    Repository {
        repository: RepositoryRef,
        /// What happened; may name the repository and its namespace.
        said: String,
    },
    /// An error of the server itself: its database, its storage, or an internal error.
    Server {
        /// What happened, in words for administrators.
        said: String,
    },
    /// A repository was deleted.
    Deleted { repository: RepositoryRef },
    /// The remote was deleted.
    RemoteGone,
    /// A manifest was deleted before it was copied.
    ManifestGone {
        repository: RepositoryRef,
        /// The beginning of its digest.
        short: String,
    },
    /// A manifest is invalid, or of a kind that is not copied.
    Manifest {
        /// The beginning of its digest.
        short: String,
        error: String,
    },
    /// An index of indexes is too deep.
    TooDeep {
        /// The beginning of its digest.
        short: String,
        /// The maximum depth.
        most: u64,
    },
    /// Not requested, because the registry as a whole failed before or must not be contacted for now.
    Halted,
    /// Optional content was not copied (semantics 37).
    Optional {
        /// A digest tag, or the beginning of a digest.
        what: String,
        why: Box<Message>,
    },
    /// An immediate retry follows.
    Again {
        why: Box<Message>,
        /// What is retried.
        again: Again,
    },
    /// A later retry follows.
    Later { why: Box<Message>, at: Timestamp },
}

impl TroubleMessage {
    pub(crate) fn shorten(&mut self, most: usize) {
        match self {
            Self::Remote { said, .. }
            | Self::Repository { said, .. }
            | Self::Server { said }
            | Self::Manifest { error: said, .. } => {
                super::cut(said, most);
            }
            Self::Again { why, .. } | Self::Later { why, .. } | Self::Optional { why, .. } => {
                why.shorten(most)
            }
            Self::Deleted { .. }
            | Self::RemoteGone
            | Self::ManifestGone { .. }
            | Self::TooDeep { .. }
            | Self::Halted => {}
        }
    }

    pub(crate) fn sentence(&self, eyes: &dyn Eyes) -> String {
        match self {
            Self::Remote { remote, said } => {
                remote.words(said, eyes).unwrap_or("another registry failed").to_owned()
            }
            Self::Repository { repository, said } => {
                repository.words(said, eyes).unwrap_or("another repository prevented it").to_owned()
            }
            Self::Server { said } if eyes.everything() => said.clone(),
            Self::Server { .. } => "the server failed; its administrators can see why".to_owned(),
            Self::Deleted { repository } => format!("{} has been deleted", repository.shown(eyes)),
            Self::RemoteGone => "the remote has been deleted".to_owned(),
            Self::ManifestGone { repository, short } => format!(
                "{} no longer has the manifest {short}: it was deleted before it was sent",
                repository.shown(eyes)
            ),
            Self::Manifest { short, error } => format!("the manifest {short} cannot be copied: {error}"),
            Self::TooDeep { short, most } => {
                format!("{short} is an index of indexes, more than {most} deep, which is not copied")
            }
            Self::Halted => "not tried, because the run had already stopped".to_owned(),
            Self::Optional { what, why } => format!("{what}: {}", why.sentence(eyes)),
            Self::Again { why, again } => {
                let what = match again {
                    Again::PartsAfter { seconds } => &format!("checking its parts again in {seconds} s"),
                    Again::PutAfter { seconds } => &format!("sending it again in {seconds} s"),
                    Again::Fetch => "fetching it again",
                    Again::FromStart => "fetching it again from the start",
                    Again::Tag => "checking the tag again",
                    Again::Unlisted => "it is not in the list of its subject's referrers",
                };
                format!("{}; {what}", why.sentence(eyes))
            }
            Self::Later { why, at } => {
                format!("{}; next attempt at {}", why.sentence(eyes), at.strftime("%H:%M:%S UTC"))
            }
        }
    }
}
