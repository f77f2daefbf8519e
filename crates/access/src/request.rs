//! The actor of a request, which `server` determines once and every handler reads.

use crate::Credential;
use longshore_model::Actor;
use longshore_oci::Scope;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// The actor of a request.
#[derive(Debug, Clone)]
pub struct RequestActor {
    pub actor: Actor,
    /// The address of the client, as reported by trusted proxies.
    pub peer: IpAddr,
    pub via: Via,
    /// The credential of the actor; `None` for an anonymous actor.
    pub credential: Option<Credential>,
}

/// How a request was authenticated.
#[derive(Clone, PartialEq, Eq)]
pub enum Via {
    /// By the cookie of a session.
    Session {
        /// The anti-forgery token of the session, which forms must contain.
        csrf: String,
    },
    /// By username and password.
    Basic,
    /// By a registry token.
    Bearer {
        /// The scopes that the token was issued for.
        scopes: Vec<Scope>,
    },
    /// A registry token was sent that is not valid: the actor is anonymous.
    Refused {
        /// What is wrong with the token, for its owner.
        why: String,
    },
    /// No credentials were sent: the actor is anonymous.
    None,
}

impl Via {
    /// Whether a form's token is that of the session; false without a session.
    #[must_use]
    pub fn csrf_matches(&self, given: &str) -> bool {
        match self {
            Self::Session { csrf } => csrf.as_bytes().ct_eq(given.as_bytes()).into(),
            Self::Basic | Self::Bearer { .. } | Self::Refused { .. } | Self::None => false,
        }
    }
}

impl std::fmt::Debug for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keeps the anti-forgery token out of logs.
        f.write_str(match self {
            Self::Session { .. } => "Session",
            Self::Basic => "Basic",
            Self::Bearer { .. } => "Bearer",
            Self::Refused { .. } => "Refused",
            Self::None => "None",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_of_the_session_matches() {
        let session = Via::Session { csrf: "abc".to_owned() };
        assert!(session.csrf_matches("abc"));
        assert!(!session.csrf_matches("abd") && !session.csrf_matches("") && !session.csrf_matches("abcd"));
        assert!(!Via::Basic.csrf_matches("") && !Via::None.csrf_matches(""));
        assert!(!format!("{session:?}").contains("abc"));
    }
}
