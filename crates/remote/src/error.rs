//! Errors of other registries. Each names the host, the operation and the cause, and knows whether a retry may help.

use std::time::Duration;

use http::StatusCode;
use longshore_model::remote::WaitReason;
use longshore_oci::{Digest, ErrorCode};

use crate::{AddressRefused, CaError, CertificateProblem, Failure};

/// Why an operation at another registry failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was no response.
    #[error("{doing}: {host} failed: {failure}")]
    Network { host: String, doing: String, failure: Failure },
    /// No request was sent because the gate is closed for now (semantics 39).
    #[error("{doing}: {host} is not asked for the next {seconds} s, because {}", .reason.because())]
    Waits {
        host: String,
        doing: String,
        reason: WaitReason,
        /// How long the gate stays closed, at least.
        seconds: u64,
    },
    /// The host is at an address that must not be connected to.
    #[error(transparent)]
    AddressRefused(#[from] AddressRefused),
    /// It returned an error.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The username or password is wrong.
    #[error("{host} did not accept the credentials of {username:?}{}", bracketed(.message))]
    WrongCredentials {
        /// The host that rejected them: the registry or its token service.
        host: String,
        username: String,
        /// The message of the registry.
        message: String,
    },
    /// Credentials are missing or insufficient.
    #[error(
        "{doing}: {host} {}{}",
        if *.anonymous { "asks for credentials, and none are given" } else { "does not allow it to these credentials" },
        bracketed(.message)
    )]
    Unauthorized {
        host: String,
        doing: String,
        anonymous: bool,
        /// The message of the registry.
        message: String,
    },
    /// The registry names a token realm other than the one that credentials may be sent to.
    #[error(
        "{host} now asks to send the credentials to {now} instead of {pinned}; nothing was sent. If the \
         change is right, run Connect and save again"
    )]
    RealmChanged {
        host: String,
        /// The realm that Connect saw.
        pinned: String,
        now: String,
    },
    /// The registry names a realm to which no credentials are sent.
    #[error("{host} asks to send the credentials to {realm}, and nothing was sent: {reason}")]
    RealmRefused { host: String, realm: String, reason: &'static str },
    /// The response violates the specification.
    #[error("{doing}: {host} answered something that no registry should: {what}")]
    BadAnswer { host: String, doing: String, what: String },
    /// The content does not match the requested digest.
    #[error("{doing}: {host} sent content with the digest {actual} instead of {expected}")]
    DigestMismatch { host: String, doing: String, expected: Digest, actual: Digest },
    /// The stream to upload failed; the registry is not to blame.
    #[error("{doing}: the content to send to {host} could not be read: {source}")]
    Source { host: String, doing: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// The certificate authority is not usable.
    #[error("the certificate authority is not usable: {0}")]
    Ca(#[from] CaError),
    /// No client can be built from the settings.
    #[error("these connection settings do not work: {0}")]
    Settings(String),
}

/// An error response of a registry.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}: {host} answered {status}{}", self.reason())]
pub struct Refusal {
    pub host: String,
    pub doing: String,
    pub status: StatusCode,
    /// The first error code of the body.
    pub code: Option<ErrorCode>,
    /// The message of the registry, shortened and without control characters.
    pub message: String,
    /// From `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the registry limits requests: 429, or 403 with `Retry-After`.
    pub(crate) fn is_limit(&self) -> bool {
        asks_to_wait(self.status, self.retry_after)
    }

    /// Code and message, as far as present.
    pub(crate) fn words(&self) -> String {
        match (&self.code, self.message.as_str()) {
            (None, message) => message.to_owned(),
            (Some(code), "") => code.to_string(),
            (Some(code), message) => format!("{code}: {message}"),
        }
    }

    /// [`Self::words`] in brackets.
    pub(crate) fn reason(&self) -> String {
        bracketed(&self.words())
    }
}

/// Whether a response with this status and `Retry-After` is a rate limit rather than an answer to the request.
pub(crate) fn asks_to_wait(status: StatusCode, retry_after: Option<Duration>) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && retry_after.is_some())
}

/// Whether a proxy in front of a registry returns this status while the registry is down.
pub(crate) fn is_unavailable(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Whether this is a server error that may pass: any 5xx except those that mean that the operation is unsupported.
pub(crate) fn server_fails(status: StatusCode) -> bool {
    let cannot = matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    status.is_server_error() && !cannot
}

fn bracketed(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}

impl Error {
    /// Whether the same request may succeed later without any intervention.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Network { failure, .. } => match failure {
                // A network that is being restarted fails to resolve names, too.
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

    /// Whether this may mean that the registry as a whole is unavailable: overloaded, unreachable or silent.
    /// [`crate::Registry::is_away`] knows whether it is.
    pub fn may_be_away(&self) -> bool {
        match self {
            Error::Network { .. } => self.is_transient(),
            Error::Refused(refusal) => refusal.is_limit() || is_unavailable(refusal.status),
            _ => false,
        }
    }

    /// Whether the registry failed, rather than rejected the request.
    pub(crate) fn server_fails(&self) -> bool {
        self.status().is_some_and(server_fails)
    }

    /// The `Retry-After` of the registry.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Whether no request was sent because the gate is closed; every other request would fail the same way.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Error::Waits { .. })
    }

    /// The HTTP status, if this is an error response.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Error::Refused(refusal) => Some(refusal.status),
            Error::Unauthorized { .. } | Error::WrongCredentials { .. } => Some(StatusCode::UNAUTHORIZED),
            _ => None,
        }
    }

    /// The error code of the registry, if it sent one.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Error::Refused(refusal) => refusal.code.as_ref(),
            _ => None,
        }
    }

    /// Whether the requested resource does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Whether this may mean that the requested resource does not exist. Registries use 404 or 410, but also 403, 401
    /// for a token that is sufficient for existing resources, and 400 for an unknown name.
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

    /// Whether the credentials, or the lack of them, are the reason.
    pub fn is_denied(&self) -> bool {
        if matches!(self, Error::Refused(refusal) if refusal.is_limit()) {
            return false;
        }
        matches!(self.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }
}
