//! The causes of a failed job, and whether the job is tried again or ends.

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

/// The maximum number of characters that are stored of another registry's message.
pub(crate) const LONGEST: usize = 2_000;

/// The cause of a failed job. It is stored as a [`Message`] that names the object, the cause and, if known, the remedy.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// An error from another registry.
    Remote(remote::Error),
    /// Content requested by digest does not exist (any more), so the tag must be read again (semantics 24).
    Gone(remote::Error),
    /// A part of an image does not exist, although the manifest that references it does.
    PartGone {
        /// The manifest that references it.
        whole: Digest,
        /// The missing part.
        part: Digest,
        /// Whether it is missing from an index, which another setting would accept without it.
        is_index: bool,
        error: remote::Error,
    },
    /// The content received is not what was requested. The text may name the registry.
    WrongContent(String),
    /// A permanent problem of another registry. The text may name it.
    Foreign(String),
    /// An error of this registry's own storage.
    Content(content::Error),
    /// An error of the database.
    Metadata(metadata::Error),
    /// A permanent error.
    Final(Message),
    /// A temporary error.
    Passing(Message),
    /// A later change supersedes the job's (semantics 1).
    Superseded(Message),
    /// Some tags of a poll failed for a temporary reason (semantics 37).
    Tags {
        /// The tags that failed, and the result of the others.
        message: Message,
        /// The mirror's interval, after which its next poll would read them again anyway.
        comes_round: SignedDuration,
    },
    /// Not requested, because the registry as a whole has failed or is in back-off.
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

/// For the server's log, which only administrators read.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(None, None).sentence(&Everything))
    }
}

/// What happens to a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is tried again, not before the registry's `Retry-After`.
    Retry(Option<SignedDuration>),
    /// It ends.
    Errored,
    /// It ends because a later change superseded it.
    Superseded,
    /// It ends because its policy was changed, disabled or deleted.
    Canceled,
    /// Another worker may hold it by now.
    Lost,
}

impl Trouble {
    /// What happens to the job.
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
            // A retry does not help against a wrong key (semantics 30).
            Self::Metadata(metadata::Error::SecretUnreadable) => Fate::Errored,
            Self::Metadata(_) | Self::Passing(_) | Self::Tags { .. } | Self::Halted => Fate::Retry(None),
            Self::Content(error) if content_may_recover(error) => Fate::Retry(None),
            Self::Content(_) => Fate::Errored,
            Self::Superseded(_) => Fate::Superseded,
            Self::Withdrawn(why) if why.status() == Status::Superseded => Fate::Superseded,
            Self::Withdrawn(_) => Fate::Canceled,
        }
    }

    /// The maximum delay of the next attempt; `None` if only the number of attempts counts.
    pub(crate) fn longest_wait(&self) -> Option<SignedDuration> {
        match self {
            Self::Tags { comes_round, .. } => Some(*comes_round),
            _ => None,
        }
    }

    /// Whether no request was sent because the remote is in back-off, which also applies to the rest of the run.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self, Self::Remote(error) if error.is_waiting())
    }

    /// The message to store. Words of another registry are shown only to those who may see `remote`, words about
    /// content only to those who may see `repository`.
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

    /// Whether this worker no longer holds the job, or the job was withdrawn, so that the rest of it must not be tried.
    pub(crate) fn ends_all(&self) -> bool {
        self.fate() == Fate::Lost || matches!(self, Self::Withdrawn(_))
    }

    /// Whether the policy behind the job must stop until a person has looked at it (semantics 15).
    pub(crate) fn stops_policy(&self) -> bool {
        matches!(self, Self::Remote(remote::Error::RealmChanged { .. }))
    }

    /// Whether the error concerns the other registry as a whole, so that the next request would fail as well: it is
    /// unavailable, refuses the credentials or has a rate limit (semantics 39). An error or timeout that concerns one
    /// object says nothing about others (semantics 37).
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
            // Such as an untrusted certificate.
            Error::Network { .. } if !error.is_transient() => true,
            error => registry.is_away(error),
        }
    }

    /// Whether the registry answered that optional content does not exist or is not given out. Some registries answer
    /// 403 for either (semantics 40), and a licence may also be the reason.
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

    /// Whether the content received is not what was requested.
    pub(crate) fn is_wrong_content(&self) -> bool {
        matches!(
            self,
            Self::WrongContent(_)
                | Self::Remote(remote::Error::DigestMismatch { .. })
                | Self::Content(content::Error::DigestMismatch { .. } | content::Error::SizeMismatch { .. })
        )
    }
}

/// For any error of a registry; see [`by_digest`] for requests by digest.
impl From<remote::Error> for Trouble {
    fn from(error: remote::Error) -> Self {
        Self::Remote(error)
    }
}

/// An error of a request by digest.
pub(crate) fn by_digest(error: remote::Error) -> Trouble {
    if error.is_not_found() { Trouble::Gone(error) } else { Trouble::Remote(error) }
}

/// The storage may have space again, and a connection may not break the next time.
fn content_may_recover(error: &content::Error) -> bool {
    matches!(error, content::Error::Storage(_) | content::Error::Metadata(_) | content::Error::BrokenOff(_))
}

/// Errors of the storage and the database name files and tables, so only administrators see them.
fn is_servers_own(error: &content::Error) -> bool {
    matches!(error, content::Error::Storage(_) | content::Error::Metadata(_))
}

/// What a person can do about an error of a registry; empty if nothing.
fn remedy(error: &remote::Error) -> &'static str {
    match error {
        remote::Error::WrongCredentials { .. } => "; correct them in the settings of the remote",
        error if error.is_denied() => {
            "; check the permissions of this account there, or enter another one at the remote"
        }
        error if error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE) => {
            "; raise the most that the registry, or the proxy before it, takes in one request (nginx calls it \
             client_max_body_size)"
        }
        error if error.is_not_found() => "; check the repository's name and the permissions of this account",
        remote::Error::Network { failure: remote::Failure::Certificate(_), .. } => {
            "; add the certificate authority to the settings of the remote"
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
    fn semantics_24_temporary_errors_are_retried_and_permanent_ones_are_not() {
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
            trouble.to_string().contains("registry.example") && trouble.to_string().contains("correct them")
        );
    }
}
