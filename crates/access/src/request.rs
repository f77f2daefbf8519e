//! Who sent a request, as `server` found out once and every handler reads.

use crate::Credential;
use longshore_model::Actor;
use longshore_oci::Scope;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// Who sent a request.
#[derive(Debug, Clone)]
pub struct RequestActor {
    /// Who.
    pub actor: Actor,
    /// From which address, after trusted proxies were asked.
    pub peer: IpAddr,
    /// By which proof.
    pub via: Via,
    /// What the proof rests on; none where the actor is anonymous.
    pub credential: Option<Credential>,
}

/// How a request proved whose it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Via {
    /// A session's cookie.
    Session {
        /// What forms of this session carry.
        csrf: String,
    },
    /// User name and password.
    Basic,
    /// A registry token.
    Bearer {
        /// What it was issued for.
        scopes: Vec<Scope>,
    },
    /// By a registry token that proves nothing: the actor is anonymous.
    Refused {
        /// What is wrong with it, for its owner.
        why: String,
    },
    /// It did not: the actor is anonymous.
    None,
}

impl Via {
    /// Whether a form's token is the one of this session; never, where there is no session.
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
        // The token of the session's forms stays out of logs.
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
    fn only_the_sessions_own_token_matches() {
        let session = Via::Session { csrf: "abc".to_owned() };
        assert!(session.csrf_matches("abc"));
        assert!(!session.csrf_matches("abd") && !session.csrf_matches("") && !session.csrf_matches("abcd"));
        assert!(!Via::Basic.csrf_matches("") && !Via::None.csrf_matches(""));
        assert!(!format!("{session:?}").contains("abc"));
    }
}
