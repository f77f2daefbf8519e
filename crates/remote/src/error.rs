//! What can go wrong with another registry. Each error names the host, what was asked, what it
//! answered and why, and knows whether trying again may help.

use std::time::Duration;

use http::StatusCode;
use longshore_model::remote::WaitReason;
use longshore_oci::{Digest, ErrorCode};

use crate::{AddressRefused, CaError, CertificateProblem, Failure};

/// The outcome of an operation at another registry that did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came.
    #[error("{doing}: {host} failed: {failure}")]
    Network {
        /// Host and port.
        host: String,
        /// What was being done.
        doing: String,
        /// Why.
        failure: Failure,
    },
    /// It was not asked, because it is left alone for now (semantics 39).
    #[error("{doing}: {host} is not asked for the next {seconds} s, because {}", .reason.because())]
    Waits {
        /// Host and port.
        host: String,
        /// What was to be done.
        doing: String,
        /// Why it is left alone.
        reason: WaitReason,
        /// How long it still is, at least.
        seconds: u64,
    },
    /// The host is at an address that is not spoken to.
    #[error(transparent)]
    AddressRefused(#[from] AddressRefused),
    /// It answered with an error.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// User name or password are wrong.
    #[error("{host} did not accept the credentials of {username:?}{}", bracketed(.message))]
    WrongCredentials {
        /// Who refused them: the registry or its token service.
        host: String,
        /// For whom.
        username: String,
        /// Its own words.
        message: String,
    },
    /// Credentials are missing, or those given do not suffice.
    #[error(
        "{doing}: {host} {}{}",
        if *.anonymous { "asks for credentials, and none are given" } else { "does not allow it to these credentials" },
        bracketed(.message)
    )]
    Unauthorized {
        /// Host and port.
        host: String,
        /// What was being done.
        doing: String,
        /// Whether no credentials were given.
        anonymous: bool,
        /// Its own words.
        message: String,
    },
    /// The registry names another token realm than the one that credentials may go to.
    #[error(
        "{host} now asks to send the credentials to {now} instead of {pinned}; nothing was sent. If the \
         change is right, run Connect and save again"
    )]
    RealmChanged {
        /// The registry.
        host: String,
        /// The realm that was seen by Connect.
        pinned: String,
        /// The realm that it names now.
        now: String,
    },
    /// The registry names a realm to which no credentials are sent.
    #[error("{host} asks to send the credentials to {realm}, and nothing was sent: {reason}")]
    RealmRefused {
        /// The registry.
        host: String,
        /// The realm.
        realm: String,
        /// Why not.
        reason: &'static str,
    },
    /// An answer that breaks the specification.
    #[error("{doing}: {host} answered something that no registry should: {what}")]
    BadAnswer {
        /// Host and port.
        host: String,
        /// What was being done.
        doing: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// The bytes are not those that were asked for.
    #[error("{doing}: {host} sent content with the digest {actual} instead of {expected}")]
    DigestMismatch {
        /// Host and port.
        host: String,
        /// What was being done.
        doing: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The stream that was to be uploaded failed; the registry is not to blame.
    #[error("{doing}: the content to send to {host} could not be read: {source}")]
    Source {
        /// Host and port.
        host: String,
        /// What was being done.
        doing: String,
        /// What the stream said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate authority is unusable.
    #[error("the certificate authority is not usable: {0}")]
    Ca(#[from] CaError),
    /// No client can be made of the settings.
    #[error("these connection settings do not work: {0}")]
    Settings(String),
}

/// An error answer of a registry.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}: {host} answered {status}{}", self.reason())]
pub struct Refusal {
    /// Host and port.
    pub host: String,
    /// What was being done.
    pub doing: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// The first error code of its body.
    pub code: Option<ErrorCode>,
    /// Its own words: shortened, without control characters.
    pub message: String,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the registry asks to be left alone for a while: with 429, or with a 403 that says when to come back.
    pub(crate) fn is_limit(&self) -> bool {
        asks_to_wait(self.status, self.retry_after)
    }

    /// Code and message, as far as there are any.
    pub(crate) fn words(&self) -> String {
        match (&self.code, self.message.as_str()) {
            (None, message) => message.to_owned(),
            (Some(code), "") => code.to_string(),
            (Some(code), message) => format!("{code}: {message}"),
        }
    }

    /// The same in brackets.
    pub(crate) fn reason(&self) -> String {
        bracketed(&self.words())
    }
}

/// Whether an answer with this status and `Retry-After` is about how much was asked, and not about what.
pub(crate) fn asks_to_wait(status: StatusCode, retry_after: Option<Duration>) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && retry_after.is_some())
}

/// Whether what stands in front of a registry answers so while the registry is away.
pub(crate) fn is_unavailable(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Whether a server failed that may work later: any 5xx but those that say that it cannot do this at all.
pub(crate) fn server_fails(status: StatusCode) -> bool {
    let cannot = matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    status.is_server_error() && !cannot
}

fn bracketed(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}

impl Error {
    /// Whether the same request may work later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Network { failure, .. } => match failure {
                // A network that is being restarted loses names, too.
                Failure::UnknownHost
                | Failure::Refused
                | Failure::Unreachable(_)
                | Failure::Timeout { .. }
                | Failure::TooSlow { .. }
                | Failure::Broken(_) => true,
                Failure::Certificate(CertificateProblem::NotYetValid) => true,
                Failure::Certificate(_) | Failure::NotTls | Failure::NotHttp | Failure::Tls(_) => false,
            },
            Error::Refused(refusal) if refusal.is_limit() => true,
            Error::Refused(refusal) => {
                server_fails(refusal.status)
                    || matches!(
                        refusal.status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::LOCKED | StatusCode::TOO_EARLY
                    )
            }
            Error::Source { .. } | Error::Waits { .. } => true,
            Error::AddressRefused(_)
            | Error::WrongCredentials { .. }
            | Error::Unauthorized { .. }
            | Error::RealmChanged { .. }
            | Error::RealmRefused { .. }
            | Error::BadAnswer { .. }
            | Error::DigestMismatch { .. }
            | Error::Ca(_)
            | Error::Settings(_) => false,
        }
    }

    /// Whether this may mean that the registry as a whole cannot be spoken to for now: it is overloaded, not reached,
    /// or says nothing. [`crate::Registry::is_away`] knows whether it does.
    pub fn may_be_away(&self) -> bool {
        match self {
            Error::Network { .. } => self.is_transient(),
            Error::Refused(refusal) => refusal.is_limit() || is_unavailable(refusal.status),
            _ => false,
        }
    }

    /// Whether the registry failed, and not what was asked of it.
    pub(crate) fn server_fails(&self) -> bool {
        self.status().is_some_and(server_fails)
    }

    /// How long the registry asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Whether nothing was asked, because the registry is left alone for now: whatever else is to be asked
    /// will fare the same.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Error::Waits { .. })
    }

    /// The HTTP status, where it is an error answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Error::Refused(refusal) => Some(refusal.status),
            Error::Unauthorized { .. } | Error::WrongCredentials { .. } => Some(StatusCode::UNAUTHORIZED),
            _ => None,
        }
    }

    /// The registry's error code, where it gave one.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Error::Refused(refusal) => refusal.code.as_ref(),
            _ => None,
        }
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Whether it may mean that what was asked for is not there. Registries say so with 404 or 410, and also with 403, with
    /// 401 to a token that suffices for what is there, and with 400 for a name that they do not know.
    pub fn may_mean_absent(&self) -> bool {
        match self {
            Error::Unauthorized { .. } => true,
            Error::Refused(refusal) if refusal.is_limit() => false,
            Error::Refused(refusal) => matches!(
                refusal.status,
                StatusCode::NOT_FOUND
                    | StatusCode::GONE
                    | StatusCode::FORBIDDEN
                    | StatusCode::UNAUTHORIZED
                    | StatusCode::BAD_REQUEST
            ),
            _ => false,
        }
    }

    /// Whether the credentials, or their absence, are the reason.
    pub fn is_denied(&self) -> bool {
        if matches!(self, Error::Refused(refusal) if refusal.is_limit()) {
            return false;
        }
        matches!(self.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }
}
