//! Everything that happens in the background: jobs, schedules, promotions, and the transfers of push and pull mirrors.
//! A change of a tag enqueues a job in the database; this crate claims it, evaluates the policies, and acts on their
//! verdicts.
//!
//! Permissions are checked in `admin`, rules are defined in `policy`, tables in `metadata`, and the client for other
//! registries is in `remote`.

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

/// The dependencies and settings of an [`Engine`].
pub struct EngineParts {
    pub db: Database,
    pub content: Content,
    pub clock: Arc<dyn Clock>,
    pub settings: EngineSettings,
}

/// The settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The maximum number of pushes that run at once, and also of polls; evaluations, promotions and housekeeping have
    /// workers of their own. One remote or namespace gets at most half of them.
    pub workers: usize,
    /// How long a job that fails for a temporary reason is retried.
    pub retry_for: SignedDuration,
    /// The time zone of tag templates.
    pub zone: TimeZone,
    /// Whose remotes may have loopback and private addresses.
    pub private_remotes: PrivateRemotes,
    /// How much of a registry's lists is read in one run.
    pub budget: Budget,
    /// Timeouts for requests to other registries.
    pub patience: Patience,
    /// The URLs of this server itself.
    pub self_urls: Vec<Url>,
    /// The name of this server in the job list.
    pub server_name: String,
    /// The source of the jitter of retries.
    pub jitter: Jitter,
    /// When garbage is collected, and how long unreferenced content is kept.
    pub garbage: GarbageSettings,
    /// How much history is kept.
    pub history: History,
    /// How long a server holds a job without renewing its lease.
    pub lease: SignedDuration,
    /// The delays before a manifest that another registry refused is put again.
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

/// The engine; cheap to clone. It does nothing before [`Engine::run`].
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    db: Database,
    content: Content,
    clock: Arc<dyn Clock>,
    settings: EngineSettings,
    /// Identifies the leases that this process has taken since it started.
    boot: BootId,
    running: Running,
    registries: Registries,
    gates: Gates,
    memory: Arc<Memory>,
    shared: Arc<Shared>,
}

impl Engine {
    /// An engine that does not run yet.
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

    /// The current time in the server's time zone, for tag templates.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment::in_zone(self.now(), &self.0.settings.zone)
    }

    /// The settings of this engine.
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

    /// The context in which `job` evaluates policies: the current time.
    pub(crate) fn context(&self, job: JobId) -> JobContext {
        let now = self.now();
        JobContext { job, now, moment: Moment::in_zone(now, &self.0.settings.zone) }
    }
}
