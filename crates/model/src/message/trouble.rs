//! What failed. What comes as text from below is kept with who may read it: the words of another registry are
//! for those who may see its remote, words about a repository for those who may read it, and those of
//! the server's own parts for administrators.

use super::{
    Message,
    eyes::Eyes,
    reference::{RemoteRef, RepositoryRef},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The parts of a manifest are looked at again.
    PartsAfter {
        /// After so long.
        seconds: u64,
    },
    /// The manifest is put again.
    PutAfter {
        /// After so long.
        seconds: u64,
    },
    /// The content is fetched again.
    Fetch,
    /// The content is fetched again, from the first byte.
    FromStart,
    /// The tag is looked up again.
    Tag,
    /// Nothing: a referrer is there, and missing from its subject's list.
    Unlisted,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trouble {
    /// Another registry.
    Remote {
        /// Which.
        remote: RemoteRef,
        /// What it answered or did not, with its name and names there.
        said: String,
    },
    /// Something in a repository of this server.
    Repository {
        /// Which.
        repository: RepositoryRef,
        /// What; may name the repository and its namespace.
        said: String,
    },
    /// The server itself: its database, its storage, a part of it that broke down.
    Server {
        /// What, in words for who runs it.
        said: String,
    },
    /// A repository is gone.
    Deleted {
        /// Which.
        repository: RepositoryRef,
    },
    /// The remote is gone.
    RemoteGone,
    /// A manifest is gone that was to be sent.
    ManifestGone {
        /// From which repository.
        repository: RepositoryRef,
        /// The beginning of its digest.
        short: String,
    },
    /// A manifest is none, or none that is copied.
    Manifest {
        /// The beginning of its digest.
        short: String,
        /// What is wrong with it.
        error: String,
    },
    /// An index of indexes goes too deep.
    TooDeep {
        /// The beginning of its digest.
        short: String,
        /// So many levels are copied.
        most: u64,
    },
    /// Not asked for, because the registry as a whole had failed before or wants to be left alone.
    Halted,
    /// What is optional did not come (semantics 37).
    Optional {
        /// A digest tag, or the beginning of a digest.
        what: String,
        /// Why not.
        why: Box<Message>,
    },
    /// It is tried again at once.
    Again {
        /// Why.
        why: Box<Message>,
        /// What is tried.
        again: Again,
    },
    /// It is tried again later.
    Later {
        /// Why.
        why: Box<Message>,
        /// When.
        at: Timestamp,
    },
}

impl Trouble {
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
                repository.words(said, eyes).unwrap_or("another repository stood in the way").to_owned()
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
            Self::Halted => "the run had stopped before".to_owned(),
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
