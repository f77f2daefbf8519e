//! The connection settings of a registry: address, quirks, credentials, TLS, proxy. User input is parsed into an
//! [`Endpoint`] here, or rejected with a message that says what to type instead.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use url::{Host, Url};

use longshore_model::remote::{Quirks, RemoteKind};
use longshore_oci::RemoteName;

use crate::{Budget, NetworkPolicy};

/// A username with its password or access token.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub username: String,
    /// Password or token; never printed.
    pub secret: SecretString,
}

/// The connection settings of one registry.
#[derive(Clone)]
pub struct Endpoint {
    /// Scheme, host and port, from [`Endpoint::parse_url`].
    pub url: Url,
    pub quirks: &'static Quirks,
    /// `None` means anonymous.
    pub credentials: Option<Credentials>,
    /// Certificate authorities to trust in addition to the system's, in PEM.
    pub ca_pem: Option<String>,
    /// Accept any certificate.
    pub skip_tls_verify: bool,
    pub proxy: Option<Url>,
    /// The only token realm that credentials may be sent to; any other is an error (semantics 15).
    pub pinned_realm: Option<String>,
    /// Which addresses may be connected to.
    pub network: NetworkPolicy,
    /// Whether this is the local server itself. Its own address may then be private whatever `network` says, but no
    /// other address may (semantics 28).
    pub is_this_server: bool,
    /// How much of its listings one run reads.
    pub budget: Budget,
    /// The clock for responses without a `Date` header; `None` leaves those without a time.
    pub clock: Option<Clock>,
    /// How long to wait for responses.
    pub patience: Patience,
}

/// How long to wait for responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the headers of a response; a pull-through registry may have to query its upstream first.
    pub answer: Duration,
    /// For the headers of a blob, for each further chunk of any body, and for an upload that makes no progress.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer: Duration::from_secs(30), idle: Duration::from_secs(60) }
    }
}

/// Returns the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl std::fmt::Debug for Endpoint {
    /// Omits everything that may be secret; the address of a proxy can contain a password, too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url.as_str())
            .field("kind", &self.quirks.label)
            .field("username", &self.credentials.as_ref().map(|credentials| &credentials.username))
            .field("skip_tls_verify", &self.skip_tls_verify)
            .field("proxy", &self.proxy.as_ref().map(host_of))
            .field("pinned_realm", &self.pinned_realm)
            .field("network", &self.network)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Why a registry's address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The input is empty.
    #[error("the registry's address is missing; write it as https://registry.example.com")]
    Missing,
    /// The input is not a URL.
    #[error(
        "this is not the address of a registry ({0}); write it as https://registry.example.com or host:5000"
    )]
    Unreadable(url::ParseError),
    /// The scheme is neither http nor https.
    #[error("registries are reached by https:// or http://, not by {0}://")]
    Scheme(String),
    /// It contains a username or password.
    #[error("leave username and password out of the address (write {origin}); they have fields of their own")]
    Credentials {
        /// The address without these parts.
        origin: String,
    },
    /// There is a path, query or fragment after host and port.
    #[error("the address ends after host and port: write {origin}; the repository has a field of its own")]
    Path {
        /// The address without these parts.
        origin: String,
    },
    /// Registries of this kind have a fixed address, and this is a different one.
    #[error("{label} is always at {url}; for another registry choose another type")]
    Elsewhere {
        /// The display name of the kind.
        label: &'static str,
        url: &'static str,
    },
}

impl Endpoint {
    /// An endpoint without credentials, with the system's certificate authorities and no proxy. It may be at a
    /// private address; a caller that acts for a user sets `network` to what that user may reach.
    pub fn new(url: Url, kind: RemoteKind) -> Self {
        Self {
            url,
            quirks: kind.quirks(),
            credentials: None,
            ca_pem: None,
            skip_tls_verify: false,
            proxy: None,
            pinned_realm: None,
            network: NetworkPolicy::PRIVATE,
            is_this_server: false,
            budget: Budget::default(),
            clock: None,
            patience: Patience::default(),
        }
    }

    /// Parses the address of a registry as users type it: `https://host`, `http://host:port`, or `host:port` alone,
    /// which means https. For a kind with a fixed address the input may be empty, and otherwise must be one of its
    /// hosts.
    pub fn parse_url(kind: RemoteKind, typed: &str) -> Result<Url, UrlError> {
        let typed = typed.trim();
        let Some(address) = &kind.quirks().address else { return parse_origin(typed) };
        if !typed.is_empty() {
            let url = parse_origin(typed)?;
            if url.port().is_some() || !url.host_str().is_some_and(|host| address.has_host(host)) {
                return Err(UrlError::Elsewhere { label: kind.label(), url: address.url });
            }
        }
        Url::parse(address.url).map_err(UrlError::Unreadable)
    }

    /// Host and port as in a pull command; messages name the registry by it.
    pub fn host(&self) -> String {
        host_of(&self.url)
    }

    /// The scheme, host and port where the distribution API is served.
    pub(crate) fn api(&self) -> Url {
        let host = self.url.host_str().unwrap_or_default();
        let mut api = match &self.quirks.address {
            Some(address) if address.has_host(host) => Url::parse(address.api).expect("a constant URL"),
            _ => self.url.clone(),
        };
        api.set_path("/");
        api
    }

    /// The full name of the repository at the registry: on Docker Hub, `nginx` is `library/nginx`.
    pub fn repository(&self, name: &RemoteName) -> RemoteName {
        match self.quirks.library {
            // 255 characters may leave no room for the prefix; no registry has such names.
            Some(library) if !name.as_str().contains('/') => {
                format!("{library}/{name}").parse().unwrap_or_else(|_| name.clone())
            }
            _ => name.clone(),
        }
    }
}

fn parse_origin(typed: &str) -> Result<Url, UrlError> {
    if typed.is_empty() {
        return Err(UrlError::Missing);
    }
    let with_scheme = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    let url = Url::parse(&with_scheme).map_err(UrlError::Unreadable)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme(url.scheme().to_owned()));
    }
    let origin = format!("{}://{}", url.scheme(), host_of(&url));
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials { origin });
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(UrlError::Path { origin });
    }
    Ok(url)
}

/// Host, and port unless it is the default of the scheme.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether the host is localhost or a loopback address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Result<String, UrlError> {
        Endpoint::parse_url(RemoteKind::Other, typed).map(|url| url.to_string())
    }

    #[test]
    fn addresses_are_parsed_as_users_type_them() {
        assert_eq!(parse("registry.example").unwrap(), "https://registry.example/");
        assert_eq!(parse(" localhost:5000 ").unwrap(), "https://localhost:5000/");
        assert_eq!(parse("http://10.0.0.1:5000/").unwrap(), "http://10.0.0.1:5000/");
        assert_eq!(parse("HTTPS://Registry.Example").unwrap(), "https://registry.example/");
    }

    #[test]
    fn the_error_for_a_wrong_address_says_what_to_type() {
        assert_eq!(parse(""), Err(UrlError::Missing));
        assert!(matches!(parse("https://"), Err(UrlError::Unreadable(_))));
        assert!(matches!(parse("https://host:99999"), Err(UrlError::Unreadable(_))));
        assert_eq!(parse("ftp://host"), Err(UrlError::Scheme("ftp".into())));
        assert_eq!(
            parse("https://host:5000/dev/web"),
            Err(UrlError::Path { origin: "https://host:5000".into() })
        );
        assert!(matches!(parse("https://host/?a=b"), Err(UrlError::Path { .. })));
    }

    #[test]
    fn a_password_in_the_address_is_rejected_and_not_repeated() {
        let error = parse("https://me:hunter2@host").unwrap_err();
        assert_eq!(error, UrlError::Credentials { origin: "https://host".into() });
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn docker_hub_has_a_fixed_address_and_a_library_namespace() {
        for typed in ["", "docker.io", "https://index.docker.io", "registry-1.docker.io"] {
            let url = Endpoint::parse_url(RemoteKind::DockerHub, typed).unwrap();
            assert_eq!(url.as_str(), "https://index.docker.io/");
        }
        let elsewhere = Endpoint::parse_url(RemoteKind::DockerHub, "quay.io").unwrap_err();
        assert_eq!(
            elsewhere.to_string(),
            "Docker Hub is always at https://index.docker.io; for another registry choose another type"
        );
        let hub =
            Endpoint::new(Endpoint::parse_url(RemoteKind::DockerHub, "").unwrap(), RemoteKind::DockerHub);
        assert_eq!(hub.api().as_str(), "https://registry-1.docker.io/");
        assert_eq!(hub.repository(&"nginx".parse().unwrap()), "library/nginx");
        assert_eq!(hub.repository(&"me/nginx".parse().unwrap()), "me/nginx");
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut endpoint = Endpoint::new(Url::parse("https://host").unwrap(), RemoteKind::Other);
        endpoint.credentials = Some(Credentials { username: "me".into(), secret: "hunter2".into() });
        endpoint.proxy = Some(Url::parse("http://me:hunter2@proxy:3128").unwrap());
        assert!(!format!("{endpoint:?}").contains("hunter2"));
    }
}
