//! The kinds of registry. Each is one row of the table at the end of this file: its name, its address and how it
//! differs from other registries. No other code tells kinds apart; it asks for a quirk, so that adding a kind means
//! adding a row (`docs/adding-a-remote-kind.md`).

use serde::{Deserialize, Serialize};

/// What is special about a kind of registry.
#[derive(Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The name that people use.
    pub label: &'static str,
    /// Its address, if all registries of this kind are one service. Then no address is entered.
    pub address: Option<Address>,
    /// The namespace that the registry puts before a name of one part: Docker Hub stores `nginx` as `library/nginx`.
    pub library: Option<&'static str>,
    /// Whether a push may create the repository. If not, somebody has to create it there first.
    pub creates_on_push: bool,
    /// What to do if a push finds no repository; a sentence without its full stop.
    pub missing_repository: &'static str,
    /// The largest request that the registry accepts, in bytes; a larger blob is uploaded in several requests from
    /// the start. If `None`, the client finds out (semantics 40).
    pub largest_request: Option<u64>,
    /// Whether the request that ends an upload must be empty, so that even a small blob needs one more request. If
    /// not, the client finds out where this is necessary (semantics 40).
    pub content_apart: bool,
}

impl Quirks {
    /// A registry at any address that behaves as the distribution specification says.
    pub const NONE: Self = Self {
        label: "Other registry",
        address: None,
        library: None,
        creates_on_push: true,
        missing_repository: "Create the repository (or, at Harbor and GitLab, the project) there first",
        largest_request: None,
        content_apart: false,
    };
}

/// The address of a service that exists only once.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme and host as stored and shown.
    pub url: &'static str,
    /// Scheme and host at which the distribution API is served.
    pub api: &'static str,
    /// The hosts under which the service is known, including that of `url`.
    pub hosts: &'static [&'static str],
}

impl Address {
    /// Whether the service is known under this host.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.contains(&host)
    }
}

/// Defines [`RemoteKind`] from rows `Kind = "word" | "alias" => Quirks { … };`. The word is used in REST and in the
/// database and must not change; requests may use an alias instead.
macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident = $word:tt $(| $alias:tt)* => $quirks:expr;)+) => {
        /// The kind of a registry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum RemoteKind {
            $($(#[$meta])* #[serde(rename = $word $(, alias = $alias)*)] $kind,)+
        }

        impl RemoteKind {
            /// All kinds, in the order in which forms offer them; the first is the default in forms.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The word used in REST and in the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)+
                }
            }

            #[must_use]
            pub fn quirks(self) -> &'static Quirks {
                match self {
                    $(Self::$kind => const { &$quirks },)+
                }
            }
        }
    };
}

impl RemoteKind {
    /// The name that people use.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.quirks().label
    }

    /// The address of all registries of this kind, if they share one.
    #[must_use]
    pub fn fixed_url(self) -> Option<&'static str> {
        self.quirks().address.as_ref().map(|address| address.url)
    }

    /// The kind of the service that is known under this host, which has no port.
    #[must_use]
    pub fn of_host(host: &str) -> Option<Self> {
        let has_host = |kind: &Self| kind.quirks().address.as_ref().is_some_and(|at| at.has_host(host));
        Self::ALL.iter().copied().find(has_host)
    }
}

kinds! {
    /// Longshore, Mirantis Secure Registry or Docker Trusted Registry.
    Longshore = "longshore" | "dtr" | "msr" => Quirks {
        label: "Longshore, MSR or DTR",
        missing_repository: "Create the repository there first; MSR and DTR do not create it on push",
        ..Quirks::NONE
    };
    /// Docker Hub, always at `https://index.docker.io`.
    DockerHub = "docker_hub" | "hub" => Quirks {
        label: "Docker Hub",
        address: Some(Address {
            url: "https://index.docker.io",
            api: "https://registry-1.docker.io",
            hosts: &["index.docker.io", "docker.io", "registry-1.docker.io", "hub.docker.com"],
        }),
        library: Some("library"),
        ..Quirks::NONE
    };
    /// Any other OCI registry.
    #[default]
    Other = "other" => Quirks::NONE;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use url::Url;

    fn read(word: &str) -> Option<RemoteKind> {
        serde_json::from_value(word.into()).ok()
    }

    #[test]
    fn the_words_of_kinds_do_not_change() {
        let (longshore, docker_hub) = (Some(RemoteKind::Longshore), Some(RemoteKind::DockerHub));
        assert_eq!([read("longshore"), read("dtr"), read("msr")], [longshore; 3]);
        assert_eq!([read("docker_hub"), read("hub")], [docker_hub; 2]);
        assert_eq!(read("other"), Some(RemoteKind::Other));
        for kind in RemoteKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(read(kind.as_str()), Some(*kind));
        }
    }

    #[test]
    fn each_kind_has_a_label_of_its_own_and_an_address_that_leads_to_it() {
        let labels: HashSet<&str> = RemoteKind::ALL.iter().map(|kind| kind.label()).collect();
        assert_eq!(labels.len(), RemoteKind::ALL.len());
        for kind in RemoteKind::ALL {
            let quirks = kind.quirks();
            assert!(!quirks.missing_repository.ends_with('.'), "{kind:?}");
            assert!(quirks.library.is_none_or(|library| !library.contains('/')), "{kind:?}");
            let Some(address) = &quirks.address else { continue };
            for url in [address.url, address.api] {
                let origin = Url::parse(url).unwrap().origin();
                assert_eq!(origin.ascii_serialization(), url, "{kind:?}: only scheme and host");
            }
            assert!(address.has_host(super::super::host_of(address.url)), "{kind:?}");
            for host in address.hosts {
                assert_eq!(RemoteKind::of_host(host), Some(*kind), "no other kind has the host {host}");
            }
        }
        assert_eq!(RemoteKind::of_host("registry.example.com"), None);
    }
}
