//! The only door for people: every use case of the site and the REST interface, each with its
//! permission check, answering what happened or a [`Problem`] that can be shown as it is. What a
//! permission is stands in `access`, what a job does in `engine`, how it looks in `app` and `api`.

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

pub use accounts::NewAccount;
pub use events::{EventFilter, EventStream, News, SharedEvent};
pub use session::auth_problem;

use longshore_access::Access;
use longshore_content::Content;
use longshore_engine::Engine;
use longshore_metadata::{Conn, Database, Priority, Tx};
use longshore_model::{Clock, Problem, Timestamp};
use std::sync::Arc;

/// What [`Admin`] is made of.
pub struct AdminParts {
    /// The database.
    pub db: Database,
    /// What the registry holds.
    pub content: Content,
    /// Who may do what.
    pub access: Access,
    /// Who does the work.
    pub engine: Engine,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What can be set.
    pub settings: AdminSettings,
}

/// What can be set about the use cases.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Longshore's version.
    pub version: String,
    /// Host and port of this registry as image names have it, for messages.
    pub host: String,
    /// When this server started.
    pub started_at: Timestamp,
}

/// All use cases; cheap to clone. The actor is the first argument of each.
#[derive(Clone)]
pub struct Admin(Arc<AdminParts>, Arc<events::Hub>);

impl Admin {
    /// The use cases over these parts.
    #[must_use]
    pub fn new(parts: AdminParts) -> Self {
        Self(Arc::new(parts), Arc::default())
    }

    /// Who may do what, for those who turn requests into actors.
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
