//! Remotes: saved connections to other registries. A secret is only ever received; no type that leaves the server
//! contains one.

mod kind;

pub use kind::{Address, Quirks, RemoteKind};

use crate::id::RemoteId;
use crate::version::{LastChange, Version};
use jiff::Timestamp;
use longshore_oci::Namespace;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A saved connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    pub id: RemoteId,
    /// The owning namespace; `None` for the system, whose remotes administrators manage (semantics 15).
    pub owner: Option<Namespace>,
    /// The user who last set its address. What this user may reach now decides which addresses are allowed
    /// (semantics 44); `None` means the system, with the permissions of an administrator.
    #[serde(default)]
    pub author: Option<Namespace>,
    /// The name in lists; the host unless somebody named it.
    pub name: String,
    pub kind: RemoteKind,
    /// Scheme, host and port.
    pub url: String,
    /// Empty for anonymous access.
    pub username: String,
    /// Whether a password or token is stored.
    pub has_secret: bool,
    /// The PEM of a private certificate authority.
    pub ca_pem: Option<String>,
    /// Whether the certificate is not verified.
    pub skip_tls_verify: bool,
    pub proxy: Option<String>,
    /// The token realm that Connect found and pinned.
    pub realm: Option<String>,
    /// Grows with each change. A change names the version that it is based on (semantics 33).
    pub version: Version,
    pub last_change: Option<LastChange>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When the registry last responded.
    pub last_contact: Option<Timestamp>,
    /// The error of the last contact; `None` if it succeeded.
    pub last_error: Option<String>,
    /// The number of mirrors that use it.
    pub used_by: u32,
    /// Why and until when all work for it waits; `None` if it does not (semantics 39).
    pub back_off: Option<BackOff>,
}

impl Remote {
    /// Host and port as a person writes them.
    #[must_use]
    pub fn host(&self) -> &str {
        host_of(&self.url)
    }
}

/// Host and port of a registry's URL.
#[must_use]
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Why the work for a registry waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// The registry responded with 429: too many requests.
    RateLimited,
    /// The registry, or a proxy in front of it, responded with 502, 503 or 504, or with any 5xx to many requests in a
    /// row.
    Unavailable,
    /// The registry could not be reached or did not respond.
    Unreachable,
}

impl WaitReason {
    /// The word used in REST, in the database and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Unreachable => "unreachable",
        }
    }

    /// The reason as the end of a sentence about the registry.
    #[must_use]
    pub fn because(self) -> &'static str {
        match self {
            Self::RateLimited => "it is rate-limiting requests",
            Self::Unavailable => "it is unavailable",
            Self::Unreachable => "it could not be reached",
        }
    }
}

/// Delays all work for a remote that failed (semantics 39).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOff {
    pub reason: WaitReason,
    /// Whether the registry requested the delay with `Retry-After`.
    pub asked: bool,
    /// The number of failures in a row.
    pub failures: u32,
    pub since: Timestamp,
    /// When the registry is contacted again.
    pub until: Timestamp,
}

impl BackOff {
    /// The reason as the end of a sentence about the registry.
    #[must_use]
    pub fn because(&self) -> &'static str {
        match (self.reason, self.asked) {
            (WaitReason::RateLimited, true) => "it is rate-limiting requests and asked for this delay",
            (WaitReason::Unavailable, true) => "it is unavailable and asked for this delay",
            (reason, _) => reason.because(),
        }
    }
}

/// A connection as submitted. A `secret` of `None` keeps the stored one, if host and TLS settings are unchanged
/// (semantics 15).
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RemoteDraft {
    /// Empty to use the host.
    #[serde(default)]
    pub name: String,
    /// The owning namespace; empty for that of the repository in which it is set up.
    #[serde(default)]
    pub owner: String,
    pub kind: RemoteKind,
    /// Scheme, host and port as typed.
    pub url: String,
    /// Empty for anonymous access.
    #[serde(default)]
    pub username: String,
    /// A password or access token.
    #[serde(default)]
    pub secret: Option<String>,
    /// The PEM of a private certificate authority.
    #[serde(default)]
    pub ca_pem: String,
    /// Whether the certificate is not verified.
    #[serde(default)]
    pub skip_tls_verify: bool,
    /// Empty to connect directly.
    #[serde(default)]
    pub proxy: String,
}

impl fmt::Debug for RemoteDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keeps the secret out of logs.
        f.debug_struct("RemoteDraft")
            .field("kind", &self.kind)
            .field("url", &self.url)
            .field("username", &self.username)
            .field("secret", &self.secret.as_ref().map(|_| "[redacted]"))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_output_of_a_draft_omits_its_secret() {
        let draft = RemoteDraft { secret: Some("correct horse".into()), ..RemoteDraft::default() };
        assert!(!format!("{draft:?}").contains("horse"));
    }

    #[test]
    fn the_host_of_a_url_includes_its_port() {
        assert_eq!(host_of("https://qa-example.com:5443/v2/"), "qa-example.com:5443");
        assert_eq!(host_of("qa-example.com"), "qa-example.com");
    }
}
