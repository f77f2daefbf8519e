//! Remotes: saved connections to other registries. A secret is never part of anything in here that
//! leaves the server; it only ever arrives.

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
    /// Its identifier.
    pub id: RemoteId,
    /// The namespace it belongs to; none: the system, for administrators (semantics 15).
    pub owner: Option<Namespace>,
    /// The user who last decided where it is. What this user may reach at present decides which addresses it
    /// may have (semantics 44); none: the system's, as an administrator.
    #[serde(default)]
    pub author: Option<Namespace>,
    /// What it is called in lists; the host where nobody named it.
    pub name: String,
    /// Its kind.
    pub kind: RemoteKind,
    /// Scheme, host and port.
    pub url: String,
    /// The user name; empty: anonymous.
    pub username: String,
    /// Whether a password or token is stored.
    pub has_secret: bool,
    /// The certificate authority's PEM, where it is a private one.
    pub ca_pem: Option<String>,
    /// Whether the certificate is not checked.
    pub skip_tls_verify: bool,
    /// A proxy's URL.
    pub proxy: Option<String>,
    /// The token realm that Connect saw and pinned.
    pub realm: Option<String>,
    /// Grows with each change; who changes it names the version that the change is based on
    /// (semantics 33).
    pub version: Version,
    /// Who changed it last, and what.
    pub last_change: Option<LastChange>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When the registry last answered.
    pub last_contact: Option<Timestamp>,
    /// The last error, when the last contact failed.
    pub last_error: Option<String>,
    /// How many mirrors use it.
    pub used_by: u32,
    /// Why and until when all work for it waits, where it does (semantics 39).
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

/// Why a registry is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// It answered 429: too many requests.
    RateLimited,
    /// It, or what stands in front of it, answered 502, 503 or 504, or any 5xx to many requests in a row.
    Unavailable,
    /// It could not be connected to, or did not answer.
    Unreachable,
}

impl WaitReason {
    /// The word on the wire, in the database and in metrics.
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

/// A remote that is left alone for a while: all work for it waits (semantics 39).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOff {
    /// Why.
    pub reason: WaitReason,
    /// Whether the registry itself asked for it, by `Retry-After`.
    pub asked: bool,
    /// How often it failed in a row.
    pub failures: u32,
    /// Since when.
    pub since: Timestamp,
    /// When it is asked again.
    pub until: Timestamp,
}

impl BackOff {
    /// Why, as the end of a sentence about the registry.
    #[must_use]
    pub fn because(&self) -> &'static str {
        match (self.reason, self.asked) {
            (WaitReason::RateLimited, true) => "it is rate-limiting requests and asked for this delay",
            (WaitReason::Unavailable, true) => "it is unavailable and asked for this delay",
            (reason, _) => reason.because(),
        }
    }
}

/// A connection as filled in. `secret`: `None` keeps the stored one, where host and TLS settings
/// stay the same (semantics 15).
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RemoteDraft {
    /// What to call it; empty: the host.
    #[serde(default)]
    pub name: String,
    /// The namespace it shall belong to; empty: that of the repository it is set up in.
    #[serde(default)]
    pub owner: String,
    /// Its kind.
    pub kind: RemoteKind,
    /// Scheme, host and port as typed.
    pub url: String,
    /// The user name; empty: anonymous.
    #[serde(default)]
    pub username: String,
    /// Password or access token.
    #[serde(default)]
    pub secret: Option<String>,
    /// A private certificate authority's PEM.
    #[serde(default)]
    pub ca_pem: String,
    /// Do not check the certificate.
    #[serde(default)]
    pub skip_tls_verify: bool,
    /// A proxy's URL; empty: none.
    #[serde(default)]
    pub proxy: String,
}

impl fmt::Debug for RemoteDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of logs, whoever prints the draft.
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
    fn printing_a_draft_does_not_print_its_secret() {
        let draft = RemoteDraft { secret: Some("correct horse".into()), ..RemoteDraft::default() };
        assert!(!format!("{draft:?}").contains("horse"));
    }

    #[test]
    fn the_host_of_a_url_is_what_a_person_writes() {
        assert_eq!(host_of("https://qa-example.com:5443/v2/"), "qa-example.com:5443");
        assert_eq!(host_of("qa-example.com"), "qa-example.com");
    }
}
