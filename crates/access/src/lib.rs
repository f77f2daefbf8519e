//! Authentication and permissions: passwords, sessions, registry tokens, throttling of guesses, and the one function
//! that decides a permission. This crate knows no HTTP: `server` turns a request into a [`RequestActor`], and
//! `registry` and `admin` call [`Access::may`].

mod actors;
mod argon;
mod authenticate;
mod credential;
mod flights;
mod line;
mod password;
mod permission;
mod recent;
mod request;
mod session;
mod throttle;
mod token;

pub use authenticate::AuthError;
pub use credential::{Credential, Held, Proven};
pub use password::{MAX_PASSWORD, MIN_PASSWORD, PasswordError, generate_password};
pub use permission::Permission;
pub use request::{RequestActor, Via};
pub use session::{Session, SessionActor};
pub use token::{TokenClaims, TokenError};

use crate::actors::Actors;
use crate::flights::Flights;
use crate::line::Line;
use crate::password::Hasher;
use crate::recent::Recent;
use crate::throttle::Throttle;
use crate::token::Signer;
use jiff::SignedDuration;
use longshore_metadata::Database;
use longshore_model::Clock;
use std::sync::Arc;

/// The settings of access.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// The lifetime of a session after its last use.
    pub session_ttl: SignedDuration,
    /// The lifetime of a registry token.
    pub token_ttl: SignedDuration,
    /// The issuer and audience of registry tokens; clients see it as `service` in challenges.
    pub service: String,
    /// The maximum number of password checks that wait; further ones are rejected.
    pub password_checks: usize,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            session_ttl: SignedDuration::from_hours(12),
            token_ttl: SignedDuration::from_mins(15),
            service: "longshore".to_owned(),
            password_checks: 64,
        }
    }
}

/// Authentication and permissions; cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    db: Database,
    clock: Arc<dyn Clock>,
    settings: AccessSettings,
    hasher: Hasher,
    line: Line,
    flights: Flights,
    throttle: Throttle,
    recent: Recent,
    actors: Actors,
    signer: Signer,
}

impl Access {
    /// Access control for the accounts of `db`. Takes as long as hashing one password.
    #[must_use]
    pub fn new(db: Database, clock: Arc<dyn Clock>, settings: AccessSettings) -> Self {
        let signer = Signer::new(&db.vault().derive("token-signing"), &settings);
        // Each check needs 19 MiB and a core.
        let cores = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 8);
        Self(Arc::new(Inner {
            hasher: Hasher::new(),
            line: Line::new(cores, settings.password_checks),
            flights: Flights::default(),
            throttle: Throttle::default(),
            recent: Recent::new(),
            actors: Actors::new(&db),
            signer,
            db,
            clock,
            settings,
        }))
    }
}
