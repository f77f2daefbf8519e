//! Who is asking, and may they: passwords, sessions, registry tokens, the throttling of guesses,
//! and the one function that decides a permission. There is no HTTP in here; `server` turns a
//! request into a [`RequestActor`], `registry` and `admin` ask [`Access::may`].

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

/// What can be set about access.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// How long a session lives after it was last used.
    pub session_ttl: SignedDuration,
    /// How long a registry token lives.
    pub token_ttl: SignedDuration,
    /// Issuer and audience of registry tokens; clients see it as `service` in challenges.
    pub service: String,
    /// How many passwords may wait to be checked; whoever comes to more is sent away.
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
    /// Access over the accounts of `db`. Takes as long as hashing one password.
    #[must_use]
    pub fn new(db: Database, clock: Arc<dyn Clock>, settings: AccessSettings) -> Self {
        let signer = Signer::new(&db.vault().derive("token-signing"), &settings);
        // Each check takes 19 MiB and a core.
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
