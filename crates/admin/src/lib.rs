//! Every use case of the site and the REST interface, each with its permission check. People reach the system only
//! through this crate. A use case returns its result or a [`Problem`] that can be shown as it is. Permissions are
//! decided by `access`, jobs are run by `engine`, and `app` and `api` present the results.

mod accounts;
mod activity;
mod ahead;
mod answers;
mod connection;
mod events;
mod guard;
mod hide;
mod jobs;
mod mirrors;
mod pauses;
mod policies;
mod promotions;
mod pull_mirrors;
mod push_mirrors;
mod remotes;
mod repositories;
mod retries;
mod session;
mod storage;
mod system;
mod tags;
mod undo;
mod validate;
mod versions;

pub use accounts::NewAccount;
pub use events::{EventFilter, EventStream, News, SharedEvent};
pub use session::auth_problem;

use longshore_access::Access;
use longshore_content::Content;
use longshore_engine::Engine;
use longshore_metadata::{Conn, Database, Priority, Tx};
use longshore_model::{Clock, Problem, Timestamp};
use std::sync::Arc;

/// The parts from which [`Admin`] is built.
pub struct AdminParts {
    pub db: Database,
    pub content: Content,
    pub access: Access,
    pub engine: Engine,
    pub clock: Arc<dyn Clock>,
    pub settings: AdminSettings,
}

/// The settings of the use cases.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    pub version: String,
    /// Host and port of this registry as they appear in image names; used in messages.
    pub host: String,
    pub started_at: Timestamp,
}

/// All use cases; cheap to clone. The first argument of each is the actor.
#[derive(Clone)]
pub struct Admin(Arc<AdminParts>, Arc<events::Hub>);

impl Admin {
    /// Builds the use cases from their parts.
    #[must_use]
    pub fn new(parts: AdminParts) -> Self {
        Self(Arc::new(parts), Arc::default())
    }

    /// Authentication and permissions, for code that turns requests into actors.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn read(&self) -> Result<Conn, Problem> {
        Ok(self.0.db.read().await?)
    }

    async fn write<T, F>(&self, change: F) -> Result<T, Problem>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> futures::future::BoxFuture<'t, Result<T, Problem>> + Send + 'static,
        T: Send + 'static,
    {
        self.0.db.write(Priority::Normal, change).await
    }
}
