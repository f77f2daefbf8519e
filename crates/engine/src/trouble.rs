//! Why a job could not do its work, and what that means for it: another try, or the end.

use http::StatusCode;
use jiff::SignedDuration;
use longshore_content as content;
use longshore_metadata as metadata;
use longshore_model::{
    Message,
    job::Status,
    message::{Everything, JobMessage, RemoteRef, RepositoryRef, TroubleMessage, Withdrawal},
};
use longshore_oci::Digest;
use longshore_remote as remote;
use std::fmt;

/// The most characters of another's words that are kept.
pub(crate) const LONGEST: usize = 2_000;

/// What stopped a job. What is stored of it is a [`Message`] that names the thing, the cause, and where there is
/// one the remedy.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Another registry.
    Remote(remote::Error),
    /// Content named by digest is not there (any more): the tag must be planned anew (semantics 24).
    Gone(remote::Error),
    /// A part of what was asked for is not there, though what names it is.
    PartGone {
        /// What names it.
        whole: Digest,
        /// What is missing.
        part: Digest,
        /// Whether an index without it could be taken by another setting.
        is_index: bool,
        /// The registry's answer.
        error: remote::Error,
    },
    /// What came is longer than what was asked for; in words that may name the registry.
    WrongContent(String),
    /// Another registry did what no retry will mend; in words that may name it.
    Foreign(String),
    /// This registry's own content.
    Content(content::Error),
    /// The database.
    Metadata(metadata::Error),
    /// What no retry will change.
    Final(Message),
    /// What may be otherwise soon.
    Passing(Message),
    /// A later change took the place of the job's own (semantics 1).
    Superseded(Message),
    /// Some tags of a poll could not be had for a reason that may pass (semantics 37).
    Tags {
        /// Which, and how the others fared.
        message: Message,
        /// The poll's own schedule would look at them again after so long at most.
        comes_round: SignedDuration,
    },
    /// Not asked for, because the registry as a whole had failed before or wants to be left alone.
    Halted,
    /// The policy behind the job was changed, disabled or deleted (semantics 34).
    Withdrawn(Withdrawal),
}

impl From<content::Error> for Trouble {
    fn from(error: content::Error) -> Self {
        Self::Content(error)
    }
}

impl From<metadata::Error> for Trouble {
    fn from(error: metadata::Error) -> Self {
        Self::Metadata(error)
    }
}

/// For the server's own log, which administrators read.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(None, None).sentence(&Everything))
    }
}

/// What becomes of a job in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is tried again, not before the registry's `Retry-After`.
    Retry(Option<SignedDuration>),
    /// It ends.
    Errored,
    /// It ends without anybody's fault.
    Superseded,
    /// It ends because nobody wants it any more.
    Canceled,
    /// It is somebody else's by now.
    Lost,
}

impl Trouble {
    /// What becomes of the job.
    pub(crate) fn fate(&self) -> Fate {
        use metadata::Error::LeaseLost;
        match self {
            Self::Metadata(LeaseLost { .. }) | Self::Content(content::Error::Metadata(LeaseLost { .. })) => {
                Fate::Lost
            }
            Self::Remote(error) if error.is_transient() => {
                let asked = error.retry_after().and_then(|asked| SignedDuration::try_from(asked).ok());
                Fate::Retry(asked)
            }
            Self::Remote(_) | Self::Gone(_) | Self::PartGone { .. } => Fate::Errored,
            Self::WrongContent(_) | Self::Foreign(_) | Self::Final(_) => Fate::Errored,
            // No retry brings the right key (semantics 30).
            Self::Metadata(metadata::Error::SecretUnreadable) => Fate::Errored,
            Self::Metadata(_) | Self::Passing(_) | Self::Tags { .. } | Self::Halted => Fate::Retry(None),
            Self::Content(error) if content_may_recover(error) => Fate::Retry(None),
            Self::Content(_) => Fate::Errored,
            Self::Superseded(_) => Fate::Superseded,
            Self::Withdrawn(why) if why.status() == Status::Superseded => Fate::Superseded,
            Self::Withdrawn(_) => Fate::Canceled,
        }
    }

    /// The longest that another try may be put off; none: as long as the number of tries says.
    pub(crate) fn longest_wait(&self) -> Option<SignedDuration> {
        match self {
            Self::Tags { comes_round, .. } => Some(*comes_round),
            _ => None,
        }
    }

    /// Whether nothing was asked, because the remote is left alone for now: whatever else the run has to do
    /// will fare the same.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self, Self::Remote(error) if error.is_waiting())
    }

    /// What is stored of it. Words of another registry belong to `remote`, words about content to `repository`:
    /// who may see those is shown them.
    pub(crate) fn message(&self, remote: Option<&RemoteRef>, repository: Option<&RepositoryRef>) -> Message {
        let foreign = |said: String| match remote {
            Some(remote) => TroubleMessage::Remote { remote: remote.clone(), said }.into(),
            None => TroubleMessage::Server { said }.into(),
        };
        let message: Message = match self {
            Self::Remote(error) => foreign(format!("{error}{}", remedy(error))),
            Self::Gone(error) => foreign(error.to_string()),
            Self::PartGone { whole, part, is_index, error } => {
                let advice = match is_index {
                    true => {
                        "; a server takes indexes without all their parts if it is started with \
                         --sparse-manifests=indexes"
                    }
                    false => "",
                };
                foreign(format!(
                    "the registry has no {part}, which {} names ({error}){advice}",
                    whole.short()
                ))
            }
            Self::WrongContent(said) | Self::Foreign(said) => foreign(said.clone()),
            Self::Halted => TroubleMessage::Halted.into(),
            Self::Withdrawn(why) => JobMessage::Withdrawn { why: *why }.into(),
            Self::Content(error) => match repository.filter(|_| !is_servers_own(error)) {
                Some(repository) => {
                    TroubleMessage::Repository { repository: repository.clone(), said: error.to_string() }
                        .into()
                }
                None => TroubleMessage::Server { said: error.to_string() }.into(),
            },
            Self::Metadata(error) => TroubleMessage::Server { said: error.to_string() }.into(),
            Self::Final(message)
            | Self::Passing(message)
            | Self::Superseded(message)
            | Self::Tags { message, .. } => message.clone(),
        };
        message.shortened(LONGEST)
    }

    /// Whether the job is not this worker's any more, or nobody's: nothing else of it needs to be tried.
    pub(crate) fn ends_all(&self) -> bool {
        self.fate() == Fate::Lost || matches!(self, Self::Withdrawn(_))
    }

    /// Whether the policy behind the job must not go on before a person has looked (semantics 15).
    pub(crate) fn stops_policy(&self) -> bool {
        matches!(self, Self::Remote(remote::Error::RealmChanged { .. }))
    }

    /// Whether the other registry as a whole fails, refuses these credentials or wants to be left alone, so that
    /// the next request would meet the same (semantics 39). An answer about one thing that was asked for, and a
    /// request for one thing that goes unanswered, say nothing of the rest (semantics 37).
    pub(crate) fn is_of_the_whole(&self, registry: &remote::Registry) -> bool {
        use remote::Error;
        let Self::Remote(error) = self else { return false };
        match error {
            Error::AddressRefused(_)
            | Error::WrongCredentials { .. }
            | Error::RealmChanged { .. }
            | Error::RealmRefused { .. }
            | Error::Ca(_)
            | Error::Settings(_) => true,
            // A certificate that is not trusted, and the like.
            Error::Network { .. } if !error.is_transient() => true,
            error => registry.is_away(error),
        }
    }

    /// Whether the registry answered that what need not be there is not there, or gives it to nobody. Some answer 403
    /// for either (semantics 40), and a licence may be the reason too.
    pub(crate) fn says_not_there(&self) -> bool {
        match self {
            Self::Gone(_) => true,
            Self::Remote(error) => matches!(
                error.status(),
                Some(StatusCode::FORBIDDEN | StatusCode::GONE | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS)
            ),
            _ => false,
        }
    }

    /// Whether the content came, but is not what was asked for.
    pub(crate) fn is_wrong_content(&self) -> bool {
        matches!(
            self,
            Self::WrongContent(_)
                | Self::Remote(remote::Error::DigestMismatch { .. })
                | Self::Content(content::Error::DigestMismatch { .. } | content::Error::SizeMismatch { .. })
        )
    }
}

/// Errors of a registry as they come; what is gone by digest is told apart where it is asked for.
impl From<remote::Error> for Trouble {
    fn from(error: remote::Error) -> Self {
        Self::Remote(error)
    }
}

/// An error about content that was asked for by digest.
pub(crate) fn by_digest(error: remote::Error) -> Trouble {
    if error.is_not_found() { Trouble::Gone(error) } else { Trouble::Remote(error) }
}

/// The store may have room again, and a broken connection may hold.
fn content_may_recover(error: &content::Error) -> bool {
    matches!(error, content::Error::Storage(_) | content::Error::Metadata(_) | content::Error::BrokenOff(_))
}

/// Words of the store and the database name files and tables.
fn is_servers_own(error: &content::Error) -> bool {
    matches!(error, content::Error::Storage(_) | content::Error::Metadata(_))
}

/// What to do about an error of a registry, where a person can do something.
fn remedy(error: &remote::Error) -> &'static str {
    match error {
        remote::Error::WrongCredentials { .. } => "; type the right ones at its remote",
        error if error.is_denied() => {
            "; check the rights of this account there, or use another at its remote"
        }
        error if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE) => {
            "; raise the most that the registry, or the proxy before it, takes in one request (nginx calls it \
             client_max_body_size)"
        }
        error if error.is_not_found() => "; check the repository's name and the rights of this account",
        remote::Error::Network { failure: remote::Failure::Certificate(_), .. } => {
            "; give the certificate authority at its remote"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantics_25_a_lost_lease_is_nobodys_failure() {
        let lost = metadata::Error::LeaseLost(longshore_model::JobId::new());
        assert_eq!(Trouble::Metadata(lost).fate(), Fate::Lost);
    }

    #[test]
    fn semantics_24_errors_that_may_pass_are_tried_again_and_others_are_not() {
        let network = |failure| {
            let (host, doing) = ("registry.example".to_owned(), "listing the tags of a/b".to_owned());
            Trouble::Remote(remote::Error::Network { host, doing, failure }).fate()
        };
        assert_eq!(network(remote::Failure::Refused), Fate::Retry(None));
        assert_eq!(network(remote::Failure::NotTls), Fate::Errored);
        let wrong = remote::Error::WrongCredentials {
            host: "registry.example".to_owned(),
            username: "amelia".to_owned(),
            message: String::new(),
        };
        let trouble = Trouble::from(wrong);
        assert_eq!(trouble.fate(), Fate::Errored);
        assert!(
            trouble.to_string().contains("registry.example") && trouble.to_string().contains("right ones")
        );
    }
}
