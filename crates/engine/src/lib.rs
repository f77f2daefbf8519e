//! What happens by itself: jobs, schedules, promotions, and the transfers of push and pull mirrors. A change of
//! a tag leaves a job in the database; this room claims it, asks the policies, and carries out what they say.
//!
//! Who may set a policy up is decided in `admin`, what a rule means in `policy`, how rows look in `metadata`,
//! how another registry is spoken to in `remote`.

mod answer;
mod apply;
mod back_off;
mod ending;
mod evaluate;
mod evaluator;
mod family;
mod finished;
mod follow;
mod foresee;
mod journal;
mod listening;
mod locks;
mod memory;
mod outgoing;
mod poll;
mod promote;
mod push;
mod queues;
mod reach;
mod retry;
mod running;
mod scheduler;
mod sorts;
mod stopping;
mod transfer;
mod trouble;
mod worker;

pub use foresee::Ahead;
pub use longshore_metadata::history::{History, Keep};
pub use poll::ForeseeError;
pub use promote::{PromoteError, PromoteNow};
pub use reach::{ReachError, endpoint_of};
pub use retry::Jitter;
pub use sorts::garbage::GarbageSettings;
pub use transfer::push::Waits;

use crate::{
    back_off::Gates, evaluate::JobContext, memory::Memory, reach::Registries, running::Running,
    transfer::push::Shared,
};
use jiff::{SignedDuration, tz::TimeZone};
use longshore_content::Content;
use longshore_metadata::Database;
use longshore_model::{BootId, Clock, JobId, Timestamp};
use longshore_policy::Moment;
use longshore_remote::{Budget, Patience, PrivateRemotes};
use std::sync::Arc;
use url::Url;

/// What an engine is made of.
pub struct EngineParts {
    /// The database.
    pub db: Database,
    /// The registry's content.
    pub content: Content,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What an administrator decides.
    pub settings: EngineSettings,
}

/// What an administrator decides about the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// How many copies to other registries run at once, and how many polls of pull mirrors; evaluations,
    /// promotions and housekeeping have workers of their own. One remote or namespace gets half of them.
    pub workers: usize,
    /// For how long a job that fails for reasons that may pass is tried again.
    pub retry_for: SignedDuration,
    /// The zone whose time tag templates use.
    pub zone: TimeZone,
    /// Whose remotes may be at loopback and private addresses.
    pub private_remotes: PrivateRemotes,
    /// How much of what a registry lists is read in one run.
    pub budget: Budget,
    /// How long the answers of other registries are waited for.
    pub patience: Patience,
    /// The addresses under which this very server is known.
    pub self_urls: Vec<Url>,
    /// What this server is called in the job list.
    pub server_name: String,
    /// Where the jitter of retries comes from.
    pub jitter: Jitter,
    /// When garbage is collected, and what counts as such.
    pub garbage: GarbageSettings,
    /// How much of the past is remembered.
    pub history: History,
    /// How long a job stays with a server that says nothing any more.
    pub lease: SignedDuration,
    /// How long it is waited for other registries to find the parts of a manifest.
    pub waits: Waits,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            workers: 8,
            retry_for: SignedDuration::from_hours(24),
            zone: TimeZone::UTC,
            private_remotes: PrivateRemotes::default(),
            budget: Budget::default(),
            patience: Patience::default(),
            self_urls: Vec::new(),
            server_name: "longshore".to_owned(),
            jitter: Jitter::default(),
            garbage: GarbageSettings::default(),
            history: History::default(),
            lease: SignedDuration::from_secs(30),
            waits: Waits::default(),
        }
    }
}

/// The engine; cheap to clone. Nothing happens before [`Engine::run`].
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    db: Database,
    content: Content,
    clock: Arc<dyn Clock>,
    settings: EngineSettings,
    /// Leases of this start of this process.
    boot: BootId,
    running: Running,
    registries: Registries,
    gates: Gates,
    memory: Arc<Memory>,
    shared: Arc<Shared>,
}

impl Engine {
    /// An engine that stands still.
    #[must_use]
    pub fn new(parts: EngineParts) -> Self {
        let EngineParts { db, content, clock, settings } = parts;
        Self(Arc::new(Inner {
            db,
            content,
            clock,
            settings,
            boot: BootId::new(),
            running: Running::default(),
            registries: Registries::default(),
            gates: Gates::default(),
            memory: Arc::default(),
            shared: Arc::default(),
        }))
    }

    /// The present instant as tag templates see it: in the server's zone.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment::in_zone(self.now(), &self.0.settings.zone)
    }

    /// What an administrator decided.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.0.settings
    }

    pub(crate) fn db(&self) -> &Database {
        &self.0.db
    }

    pub(crate) fn content(&self) -> &Content {
        &self.0.content
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn boot(&self) -> BootId {
        self.0.boot
    }

    pub(crate) fn running(&self) -> &Running {
        &self.0.running
    }

    pub(crate) fn registries(&self) -> &Registries {
        &self.0.registries
    }

    pub(crate) fn gates(&self) -> &Gates {
        &self.0.gates
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.0.memory
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.0.shared.clone()
    }

    /// The present instant, for a job that asks policies.
    pub(crate) fn context(&self, job: JobId) -> JobContext {
        let now = self.now();
        JobContext { job, now, moment: Moment::in_zone(now, &self.0.settings.zone) }
    }
}
