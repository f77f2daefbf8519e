//! Builds the client for a saved remote from its settings and its decrypted secret. One client per remote is kept, so
//! that jobs share connections and tokens.

use crate::{Engine, trouble::Trouble};
use longshore_metadata::{self as metadata, Conn, remotes};
use longshore_model::{Remote, RemoteId, Version, message::TroubleMessage};
use longshore_remote::{self as remote, Credentials, Endpoint, NetworkPolicy, Registry};
use parking_lot::Mutex;
use secrecy::SecretString;
use std::{collections::HashMap, sync::Arc};
use url::Url;

/// Why no client can be built for a saved remote.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The remote was deleted.
    #[error("the connection to the other registry has been deleted")]
    Gone,
    /// The stored URL or proxy is invalid.
    #[error("the address of the remote {name} cannot be used: {reason}")]
    Address {
        /// The name of the remote.
        name: String,
        reason: String,
    },
    /// The database failed, or the secret cannot be decrypted with this server's key.
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

/// The clients in use, each with the state of the remote that it was built from.
#[derive(Debug, Default)]
pub(crate) struct Registries(Mutex<HashMap<RemoteId, (MadeOf, Registry)>>);

/// The state that a client depends on: the version of the settings, the pinned realm, and the addresses that the author
/// of the settings may use.
type MadeOf = (Version, Option<String>, NetworkPolicy);

impl Engine {
    /// The endpoint of a saved remote, with its decrypted secret.
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

    /// Whether `url` is this server itself, which a remote may always use (semantics 28).
    #[must_use]
    pub fn is_this_server(&self, url: &Url) -> bool {
        self.settings().self_urls.iter().any(|own| own.origin() == url.origin())
    }

    /// The addresses that a saved remote may have, according to its author's present permissions (semantics 44).
    pub async fn network_of(
        &self,
        conn: &mut Conn,
        saved: &Remote,
    ) -> Result<NetworkPolicy, metadata::Error> {
        let by_administrator = remotes::is_by_administrator(conn, saved).await?;
        Ok(self.settings().private_remotes.policy(by_administrator))
    }

    /// The client for a saved remote; reused until the remote changes.
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

/// The endpoint of a saved remote.
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
