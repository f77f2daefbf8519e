//! From a saved remote to something that can be spoken to: its secret is opened, its settings are read. One
//! handle per remote is kept, so that jobs share connections and tokens.

use crate::{Engine, trouble::Trouble};
use longshore_metadata::{self as metadata, Conn, remotes};
use longshore_model::{Remote, RemoteId, Version, message::TroubleMessage};
use longshore_remote::{self as remote, Credentials, Endpoint, NetworkPolicy, Registry};
use parking_lot::Mutex;
use secrecy::SecretString;
use std::{collections::HashMap, sync::Arc};
use url::Url;

/// Why a saved remote cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// It was deleted.
    #[error("the connection to the other registry has been deleted")]
    Gone,
    /// Its address, as stored, is none.
    #[error("the address of the remote {name} cannot be used: {reason}")]
    Address {
        /// What it is called.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The database failed, or the secret cannot be opened with this server's key.
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
}

impl From<ReachError> for Trouble {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Metadata(error) => Self::Metadata(error),
            ReachError::Gone => Self::Final(TroubleMessage::RemoteGone.into()),
            error => Self::Foreign(error.to_string()),
        }
    }
}

/// Handles that are kept, each with the state of the remote it was made of.
#[derive(Debug, Default)]
pub(crate) struct Registries(Mutex<HashMap<RemoteId, (MadeOf, Registry)>>);

/// What a handle stays good for: the settings as of their last change, the realm that is pinned, and what their
/// author may reach.
type MadeOf = (Version, Option<String>, NetworkPolicy);

impl Engine {
    /// Everything needed to speak to a saved remote, its secret opened.
    pub async fn endpoint(&self, id: RemoteId) -> Result<Endpoint, ReachError> {
        let mut conn = self.db().read().await?;
        let (saved, secret) = remotes::get_with_secret(&mut conn, id).await?.ok_or(ReachError::Gone)?;
        let credentials = secret.map(|secret| (saved.username.clone(), secret));
        let network = self.network_of(&mut conn, &saved).await?;
        let endpoint = endpoint_of(&saved, credentials, network)?;
        let (is_this_server, settings) = (self.is_this_server(&endpoint.url), self.settings());
        let (budget, patience) = (settings.budget, settings.patience);
        let clock = self.0.clock.clone();
        let clock: remote::Clock = Arc::new(move || clock.now());
        Ok(Endpoint { is_this_server, budget, patience, clock: Some(clock), ..endpoint })
    }

    /// Whether this very server answers there; it is reached wherever it is (semantics 28).
    #[must_use]
    pub fn is_this_server(&self, url: &Url) -> bool {
        self.settings().self_urls.iter().any(|own| own.origin() == url.origin())
    }

    /// Which addresses a saved remote may have, by what its author may reach at present (semantics 44).
    pub async fn network_of(
        &self,
        conn: &mut Conn,
        saved: &Remote,
    ) -> Result<NetworkPolicy, metadata::Error> {
        let by_administrator = remotes::is_by_administrator(conn, saved).await?;
        Ok(self.settings().private_remotes.policy(by_administrator))
    }

    /// The handle for a saved remote; the one used before, while nobody has changed the remote.
    pub(crate) async fn registry(&self, id: RemoteId) -> Result<Registry, Trouble> {
        let made_of = {
            let mut conn = self.db().read().await?;
            let saved = remotes::get(&mut conn, id).await?.ok_or(ReachError::Gone)?;
            let network = self.network_of(&mut conn, &saved).await?;
            (saved.version, saved.realm, network)
        };
        let kept = self.registries();
        {
            let kept = kept.0.lock();
            if let Some((_, registry)) = kept.get(&id).filter(|(of, _)| *of == made_of) {
                return Ok(registry.clone());
            }
        }
        let endpoint = self.endpoint(id).await?;
        let registry = Registry::behind(endpoint, self.gates().of(id).gate.clone())?;
        let mut kept = kept.0.lock();
        kept.insert(id, (made_of, registry.clone()));
        Ok(registry)
    }
}

/// The endpoint that a saved remote describes.
pub fn endpoint_of(
    saved: &Remote,
    credentials: Option<(String, SecretString)>,
    network: NetworkPolicy,
) -> Result<Endpoint, ReachError> {
    let unusable = |reason: String| ReachError::Address { name: saved.name.clone(), reason };
    let url = Endpoint::parse_url(saved.kind, &saved.url).map_err(|error| unusable(error.to_string()))?;
    let proxy = match saved.proxy.as_deref().filter(|proxy| !proxy.is_empty()) {
        Some(proxy) => Some(proxy.parse().map_err(|error| unusable(format!("its proxy {proxy}: {error}")))?),
        None => None,
    };
    Ok(Endpoint {
        credentials: credentials.map(|(username, secret)| Credentials { username, secret }),
        ca_pem: saved.ca_pem.clone(),
        skip_tls_verify: saved.skip_tls_verify,
        proxy,
        pinned_realm: saved.realm.clone(),
        network,
        ..Endpoint::new(url, saved.kind)
    })
}
