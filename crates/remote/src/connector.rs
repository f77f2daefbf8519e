//! The one place where requests to other servers get their connection. Whatever is asked, of a registry, its
//! token service, an address that it redirects to or names for an upload, through a proxy or not, comes by
//! here, and nothing else in Longshore makes an HTTP client for the outside (semantics 44).

use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use tokio::sync::OnceCell;
use url::Url;

use crate::transport::same_origin;
use crate::{Endpoint, Error, NetworkPolicy, Patience};

/// How long a registry may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes requests to addresses that are allowed, and to no others.
#[derive(Debug)]
pub(crate) struct Connector {
    endpoint: Endpoint,
    registry: Url,
    /// For what the remote's author may reach; at the registry itself, for this server's own address too.
    at_registry: Guarded,
    /// For what a registry leads away to, by what is done there. Hardly any remote needs them.
    reading: OnceCell<Guarded>,
    writing: OnceCell<Guarded>,
}

/// A client whose resolver gives out what the policy allows.
#[derive(Debug)]
struct Guarded {
    client: Client,
    policy: NetworkPolicy,
}

impl Connector {
    /// Fails on settings of which no client can be made, and on a proxy that may not be spoken to.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, Error> {
        if let Some(proxy) = &endpoint.proxy {
            endpoint.network.check_url(proxy)?;
        }
        // Through a proxy this server is any other.
        let own = endpoint.is_this_server && endpoint.proxy.is_none();
        let policy = if own { NetworkPolicy::PRIVATE } else { endpoint.network };
        let at_registry = Guarded { client: crate::tls::build_client(&endpoint, policy)?, policy };
        let registry = endpoint.api();
        Ok(Self { endpoint, registry, at_registry, reading: OnceCell::new(), writing: OnceCell::new() })
    }

    /// A request to an address that may be connected to. Nothing is sent, and no connection made, before it
    /// is known that it may.
    ///
    /// What reads goes wherever the remote's author may. What writes goes to the registry, and elsewhere to
    /// global addresses alone: it is the registry's answer that names such a place, and no registry should
    /// have us change things in a private network.
    pub(crate) async fn request(
        &self,
        method: Method,
        url: Url,
        writes: bool,
    ) -> Result<RequestBuilder, Error> {
        let policy = self.endpoint.network;
        let guarded = match writes {
            _ if self.is_registry(&url) => &self.at_registry,
            false => self.other(&self.reading, policy).await?,
            true => self.other(&self.writing, policy.away()).await?,
        };
        guarded.policy.check_url(&url)?;
        if self.endpoint.proxy.is_some() {
            guarded.policy.check_behind_proxy(&url).await?;
        }
        Ok(guarded.client.request(method, url))
    }

    /// How long answers are waited for.
    pub(crate) fn patience(&self) -> Patience {
        self.endpoint.patience
    }

    /// The time of day, if it is known.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        self.endpoint.clock.as_ref().map(|clock| clock())
    }

    /// Whether an address is at the registry itself.
    pub(crate) fn is_registry(&self, url: &Url) -> bool {
        same_origin(url, &self.registry)
    }

    /// Whether the registry itself answers, and not with an error of its own: `GET /v2/`, whatever it says to
    /// strangers.
    pub(crate) async fn is_there(&self) -> bool {
        let mut url = self.registry.clone();
        url.set_path("/v2/");
        let Ok(request) = self.request(Method::GET, url, false).await else { return false };
        let status = match tokio::time::timeout(PATIENCE, request.send()).await {
            Ok(Ok(response)) => response.status(),
            Ok(Err(_)) | Err(_) => return false,
        };
        !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
    }

    async fn other<'a>(
        &'a self,
        cell: &'a OnceCell<Guarded>,
        policy: NetworkPolicy,
    ) -> Result<&'a Guarded, Error> {
        let make = || async {
            // The name that a client with a proxy resolves is the proxy's, which the author may reach.
            let same = policy == self.at_registry.policy || self.endpoint.proxy.is_some();
            let client = match same {
                true => self.at_registry.client.clone(),
                false => crate::tls::build_client(&self.endpoint, policy)?,
            };
            Ok(Guarded { client, policy })
        };
        cell.get_or_try_init(make).await
    }
}
