//! The OCI distribution API over `content`: paths, headers and statuses of `/v2/`, and its token service. Requests are
//! authenticated before they get here (`access::RequestActor`); permissions are checked here for each request. All
//! bytes and rows are accessed through `content` and `metadata`.

mod address;
mod blobs;
mod body;
mod dispatch;
mod error;
mod gate;
mod headers;
mod lists;
mod manifests;
mod origin;
mod query;
mod token;
mod uploads;

pub use address::Address;
pub use origin::Origin;

use axum::Router;
use axum::routing::any;
use longshore_access::Access;
use longshore_content::Content;
use longshore_metadata::Database;
use longshore_model::Clock;
use std::sync::Arc;
use url::Url;

/// The parts from which [`Registry`] is built.
#[derive(Clone)]
pub struct RegistryParts {
    pub db: Database,
    pub content: Content,
    pub access: Access,
    /// The source of the issue time of tokens.
    pub clock: Arc<dyn Clock>,
    pub settings: RegistrySettings,
}

/// The settings of the registry.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// The public URL of this server; `None` to use the one that a request was sent to.
    pub external_url: Option<Url>,
    /// The name of the registry in challenges; the same as in `access::AccessSettings`.
    pub service: String,
    /// Whether pulls of blobs are redirected to the store, if it supports presigned URLs.
    pub redirects: bool,
}

/// The distribution API; cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<RegistryParts>);

impl Registry {
    /// Builds a registry from its parts.
    #[must_use]
    pub fn new(parts: RegistryParts) -> Self {
        Self(Arc::new(parts))
    }

    /// All routes below `/v2/`, and the token service also at `/auth/token`. Each request needs an
    /// `Extension<access::RequestActor>`.
    pub fn router(self) -> Router {
        // Repository names contain slashes, which axum's patterns cannot match in the middle of a path, so a single
        // handler serves all paths, and `Address` parses them.
        Router::new()
            .route("/v2", any(dispatch::handle))
            .route("/v2/", any(dispatch::handle))
            .route("/v2/{*rest}", any(dispatch::handle))
            .route("/auth/token", any(dispatch::token))
            .with_state(self)
    }
}

impl std::ops::Deref for Registry {
    type Target = RegistryParts;

    fn deref(&self) -> &RegistryParts {
        &self.0
    }
}
