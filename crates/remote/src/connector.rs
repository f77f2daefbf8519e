//! The single place that connects to other servers: registries, token services, redirect targets and upload locations,
//! with or without a proxy. Nothing else in Longshore builds an HTTP client for external servers (semantics 44).

use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder};
use tokio::sync::OnceCell;
use url::Url;

use crate::transport::same_origin;
use crate::{Endpoint, Error, NetworkPolicy, Patience};

/// The timeout of the check whether a registry is up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends requests to allowed addresses only.
#[derive(Debug)]
pub(crate) struct Connector {
    endpoint: Endpoint,
    registry: Url,
    /// For addresses that the remote's author may reach and, at the registry itself, this server's own address.
    at_registry: Guarded,
    /// For other hosts that a registry redirects to, by operation. Hardly any remote needs them.
    reading: OnceCell<Guarded>,
    writing: OnceCell<Guarded>,
}

/// A client whose resolver returns only addresses that the policy allows.
#[derive(Debug)]
struct Guarded {
    client: Client,
    policy: NetworkPolicy,
}

impl Connector {
    /// Fails if no client can be built from the settings, or if the proxy is at a forbidden address.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, Error> {
        if let Some(proxy) = &endpoint.proxy {
            endpoint.network.check_url(proxy)?;
        }
        // Behind a proxy, this server is like any other.
        let own = endpoint.is_this_server && endpoint.proxy.is_none();
        let policy = if own { NetworkPolicy::PRIVATE } else { endpoint.network };
        let at_registry = Guarded { client: crate::tls::build_client(&endpoint, policy)?, policy };
        let registry = endpoint.api();
        Ok(Self { endpoint, registry, at_registry, reading: OnceCell::new(), writing: OnceCell::new() })
    }

    /// Builds a request to an allowed address. Checks the address before any connection is made.
    ///
    /// Reads may go wherever the remote's author may. Writes may go to the registry itself, and otherwise only to
    /// global addresses: other targets come from a registry's response, and no registry may make this server change
    /// anything in a private network.
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

    pub(crate) fn patience(&self) -> Patience {
        self.endpoint.patience
    }

    /// The current time, if the endpoint has a clock.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        self.endpoint.clock.as_ref().map(|clock| clock())
    }

    /// Whether an address is at the registry itself.
    pub(crate) fn is_registry(&self, url: &Url) -> bool {
        same_origin(url, &self.registry)
    }

    /// Whether the registry responds to an anonymous `GET /v2/` with anything but a server error.
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
            // A client with a proxy resolves only the name of the proxy, which the author may reach.
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
