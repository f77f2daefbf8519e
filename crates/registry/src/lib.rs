//! The OCI distribution interface over `content`: paths, headers and statuses of `/v2/`, and its
//! token service. Who sends a request was found out before (`access::RequestActor`); what is asked
//! for is decided here, request by request. No byte and no row is touched but through `content`
//! and `metadata`.

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

/// What the registry is made of.
#[derive(Clone)]
pub struct RegistryParts {
    /// The database.
    pub db: Database,
    /// The content.
    pub content: Content,
    /// Who may do what.
    pub access: Access,
    /// Tells when a token was issued.
    pub clock: Arc<dyn Clock>,
    /// What can be set.
    pub settings: RegistrySettings,
}

/// What can be set about the registry.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// The address under which clients reach this server; none: the one that a request was sent to.
    pub external_url: Option<Url>,
    /// The registry's name in challenges; the same as in `access::AccessSettings`.
    pub service: String,
    /// Whether pulls of blobs are sent to the store, where it has addresses for that.
    pub redirects: bool,
}

/// The distribution interface; cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<RegistryParts>);

impl Registry {
    /// A registry of these parts.
    #[must_use]
    pub fn new(parts: RegistryParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Everything below `/v2/`, and the token service once more at `/auth/token`. Each request
    /// needs an `Extension<access::RequestActor>`.
    pub fn router(self) -> Router {
        // Names have slashes, which no pattern of axum's can hold in the middle of a path; so
        // there is one handler, and `Address` reads the path.
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
