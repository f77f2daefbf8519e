//! The checks up to the sign-in, in order. Each notes its result; `Err(Stop)` means that the checks after it
//! cannot be run.

use http::{StatusCode, Version};
use longshore_model::connect::{Check, CheckKind, CheckStatus, ConnectReport, Direction, Permissions};
use longshore_oci::{RemoteName, ScopeAction};

use super::explain::{self, HOST, PASSWORD, USERNAME, failed};
use crate::answer::{Markup, markup};
use crate::auth::{Scheme, has_usable_challenge, scheme_names};
use crate::endpoint::{host_of, is_loopback};
use crate::identify::registry_type;
use crate::transport::Call;
use crate::{Endpoint, Error, Ping, Registry};

/// The checks after this one are skipped.
pub(super) struct Stop;

pub(super) struct Findings {
    pub(super) host: String,
    checks: Vec<Check>,
    pub(super) permissions: Permissions,
    registry_type: String,
    realm: Option<String>,
}

impl Findings {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            host: endpoint.host(),
            checks: Vec::new(),
            permissions: Permissions::default(),
            registry_type: "unknown".into(),
            realm: None,
        }
    }

    pub(super) fn into_report(mut self) -> ConnectReport {
        for &kind in CheckKind::ALL {
            if self.checks.iter().all(|check| check.kind != kind) {
                self.note(kind, CheckStatus::Skipped, "Not tried, because an earlier check failed");
            }
        }
        self.checks.sort_by_key(|check| CheckKind::ALL.iter().position(|kind| *kind == check.kind));
        ConnectReport {
            usable: self.checks.iter().all(|check| check.status != CheckStatus::Failed),
            checks: self.checks,
            permissions: self.permissions,
            registry_type: self.registry_type,
            realm: self.realm,
        }
    }

    pub(super) fn note(&mut self, kind: CheckKind, status: CheckStatus, message: impl Into<String>) {
        self.checks.push(Check { kind, status, message: message.into(), remedy: None, field: None });
    }

    pub(super) fn warn(&mut self, kind: CheckKind, message: impl Into<String>, remedy: &str, field: &str) {
        let (status, remedy) = (CheckStatus::Warning, Some(remedy.to_owned()));
        let field = Some(field.to_owned());
        self.checks.push(Check { kind, status, message: message.into(), remedy, field });
    }

    pub(super) fn fail(&mut self, check: Check) -> Stop {
        self.checks.push(check);
        Stop
    }

    pub(super) async fn run(
        &mut self,
        endpoint: Endpoint,
        repository: &RemoteName,
        direction: Direction,
    ) -> Result<(), Stop> {
        let registry = match Registry::connect_to(endpoint.clone()) {
            Ok(registry) => registry,
            Err(error) => return Err(self.fail(explain::unreachable(&error, &endpoint))),
        };
        let ping = self.reach(&registry).await?;
        self.tls(&registry, &ping);
        self.is_registry(&ping)?;
        self.credentials(&registry, &ping, repository, direction).await?;
        let reading = self.read(&registry, repository, direction).await?;
        match direction {
            Direction::Pull => {
                self.note(CheckKind::Write, CheckStatus::Skipped, "Not needed to pull");
                Ok(())
            }
            Direction::Push => self.write(&registry, repository, reading).await,
        }
    }

    async fn reach(&mut self, registry: &Registry) -> Result<Ping, Stop> {
        let endpoint = registry.endpoint();
        let ping = match registry.ping().await {
            Ok(ping) => ping,
            Err(error) => {
                let check = explain::unreachable(&error, endpoint);
                if check.kind == CheckKind::Tls && !matches!(error, Error::Ca(_)) {
                    self.note(CheckKind::Reachable, CheckStatus::Ok, format!("{} answers", self.host));
                }
                return Err(self.fail(check));
            }
        };
        if wants_tls(endpoint, &ping) {
            let failure = crate::Failure::NotHttp;
            let error = Error::Network { host: self.host.clone(), doing: String::new(), failure };
            return Err(self.fail(explain::unreachable(&error, endpoint)));
        }
        let http = if ping.http == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" };
        let spoken = ping.tls.map_or_else(|| http.to_owned(), |tls| format!("{http} over {tls}"));
        let message = format!("{} answered in {} ms by {spoken}", self.host, ping.latency.as_millis());
        self.note(CheckKind::Reachable, CheckStatus::Ok, message);
        Ok(ping)
    }

    fn tls(&mut self, registry: &Registry, ping: &Ping) {
        let endpoint = registry.endpoint();
        let host = self.host.clone();
        match ping.tls {
            None if is_loopback(&endpoint.url) => {
                let message = format!("{host} is this machine itself; the connection is not encrypted");
                self.note(CheckKind::Tls, CheckStatus::Ok, message);
            }
            None => {
                let secret = if endpoint.credentials.is_some() { ", the password too" } else { "" };
                let message = format!(
                    "The connection to {host} is not encrypted: everything can be read on the way{secret}"
                );
                self.warn(CheckKind::Tls, message, "Use https where the registry offers it", HOST);
            }
            Some(version) if endpoint.skip_tls_verify => {
                let message = format!(
                    "{version}, but the certificate of {host} is not verified, as chosen: anybody on the way \
                     could pose as the registry"
                );
                let remedy = "Better paste the certificate of the registry's authority";
                self.warn(CheckKind::Tls, message, remedy, explain::CA);
            }
            Some(version) => {
                let message = format!("{version}; the certificate of {host} is trusted");
                self.note(CheckKind::Tls, CheckStatus::Ok, message);
            }
        }
    }

    fn is_registry(&mut self, ping: &Ping) -> Result<(), Stop> {
        let host = &self.host;
        self.registry_type = registry_type(host, None, &ping.headers);
        let refuse = |message: String, remedy: &str| {
            failed(CheckKind::Registry, message, remedy.to_owned(), Some(HOST))
        };
        let html = markup(&ping.headers, &ping.body) == Some(Markup::WebPage);
        let speaks = ping.headers.contains_key("docker-distribution-api-version");
        let check = match ping.status {
            status if status.is_redirection() => match &ping.redirect {
                Some(to) => refuse(
                    format!("{host} is no registry itself: it redirects /v2/ to {}", host_of(to)),
                    &format!("Write {}://{}", to.scheme(), host_of(to)),
                ),
                None => refuse(format!("{host} answered {status} to /v2/"), "Check the address"),
            },
            StatusCode::UNAUTHORIZED if has_usable_challenge(&ping.headers) => {
                self.note(CheckKind::Registry, CheckStatus::Ok, format!("{host} is a registry"));
                return Ok(());
            }
            StatusCode::UNAUTHORIZED => {
                let schemes = scheme_names(&ping.headers).join(", ");
                let schemes = if schemes.is_empty() { "no known way".to_owned() } else { schemes };
                refuse(
                    format!("{host} asks for authentication by {schemes}; registries ask by Basic or Bearer"),
                    "Check that this is the registry's address and not that of something before it",
                )
            }
            StatusCode::OK if speaks || (!html && is_json_object(&ping.body)) => {
                self.note(CheckKind::Registry, CheckStatus::Ok, format!("{host} is a registry"));
                return Ok(());
            }
            _ if html => refuse(
                format!(
                    "{host} answered {} with a web page: this is a web site, not a registry",
                    ping.status
                ),
                "Check host and port; a registry often has an address of its own",
            ),
            StatusCode::NOT_FOUND => refuse(
                format!("{host} is no registry: it answered {} to /v2/", ping.status),
                "Check host and port; a registry often has an address of its own",
            ),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                refuse(format!("{host} answered {status} to /v2/"), "Try again later")
            }
            status => {
                refuse(format!("{host} is no registry: it answered {status} to /v2/"), "Check the address")
            }
        };
        Err(self.fail(check))
    }

    async fn credentials(
        &mut self,
        registry: &Registry,
        ping: &Ping,
        repository: &RemoteName,
        direction: Direction,
    ) -> Result<(), Stop> {
        let scheme = match registry.auth().learn(ping.status, &ping.headers) {
            Ok(scheme) => scheme,
            Err(error) => {
                if let Error::RealmChanged { now, .. } = &error {
                    self.realm = Some(now.clone());
                }
                let remedy =
                    "Make sure that the registry is meant to name this address, and type the password again";
                let check = failed(CheckKind::Credentials, error.to_string(), remedy.to_owned(), Some(HOST));
                return Err(self.fail(check));
            }
        };
        if let Scheme::Bearer { realm, .. } = &scheme {
            self.realm = Some(realm.to_string());
            self.registry_type = registry_type(&self.host, Some(realm), &ping.headers);
        }
        let host = self.host.clone();
        let username = registry.auth().credentials().map(|credentials| credentials.username.clone());
        let Some(username) = username else {
            return self.anonymous(&scheme);
        };
        if scheme == Scheme::Open {
            let message = format!("{host} does not ask for credentials; those of {username:?} are not used");
            self.warn(CheckKind::Credentials, message, "Leave username and password empty", USERNAME);
            return Ok(());
        }
        let actions: &[ScopeAction] = match direction {
            Direction::Pull => &[ScopeAction::Pull],
            Direction::Push => &[ScopeAction::Pull, ScopeAction::Push],
        };
        // With the scopes that later checks need: the token is reused, and some registries issue none without a
        // repository.
        let scopes = vec![registry.scope(repository, actions)];
        let call = Call::new(http::Method::GET, registry.url(""), scopes, "signing in".into());
        match registry.send(call).await {
            Ok(_) => {
                let realm = match &self.realm {
                    Some(realm) => format!(", by its token service {realm}"),
                    None => String::new(),
                };
                let message = format!("{host} accepted the credentials of {username:?}{realm}");
                self.note(CheckKind::Credentials, CheckStatus::Ok, message);
                Ok(())
            }
            Err(error @ Error::WrongCredentials { .. }) => {
                let remedy = "Check username and password; many registries want an access token here";
                Err(self.fail(failed(
                    CheckKind::Credentials,
                    error.to_string(),
                    remedy.to_owned(),
                    Some(PASSWORD),
                )))
            }
            Err(Error::Unauthorized { message, .. }) => {
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                let message = format!("{host} did not let {username:?} in{said}");
                let remedy = "Check username and password".to_owned();
                Err(self.fail(failed(CheckKind::Credentials, message, remedy, Some(PASSWORD))))
            }
            Err(error) => {
                let check = explain::unreachable(&error, registry.endpoint());
                Err(self.fail(Check { kind: CheckKind::Credentials, ..check }))
            }
        }
    }

    fn anonymous(&mut self, scheme: &Scheme) -> Result<(), Stop> {
        let host = self.host.clone();
        match scheme {
            Scheme::Basic => {
                let message = format!("{host} lets nobody in without credentials, and none are given");
                let remedy = "Enter username and password".to_owned();
                Err(self.fail(failed(CheckKind::Credentials, message, remedy, Some(USERNAME))))
            }
            Scheme::Bearer { .. } | Scheme::Open => {
                let message = format!("No credentials are given; {host} is used anonymously");
                self.note(CheckKind::Credentials, CheckStatus::Ok, message);
                Ok(())
            }
        }
    }
}

/// Whether the response is the one that servers give to plain HTTP on a TLS port.
fn wants_tls(endpoint: &Endpoint, ping: &Ping) -> bool {
    let body = String::from_utf8_lossy(&ping.body);
    endpoint.url.scheme() == "http" && ping.status == StatusCode::BAD_REQUEST && body.contains("HTTPS")
}

fn is_json_object(body: &[u8]) -> bool {
    body.trim_ascii().is_empty()
        || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body).is_ok()
}
