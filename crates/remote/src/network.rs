//! Which addresses may be connected to (semantics 44). A registry's name is somebody else's to point
//! anywhere, so the decision falls on the address that a socket is opened to: names are resolved once, by
//! the resolver in here, and literal addresses are looked at before each request.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

pub use crate::address::Why;
use crate::address::{Reach, reach};
use crate::tls::CONNECT_TIMEOUT;

/// Whose remotes may be at loopback and private addresses: a setting of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrivateRemotes {
    /// Those that an administrator saved.
    #[default]
    Administrators,
    /// All.
    Everybody,
    /// None.
    Nobody,
}

impl PrivateRemotes {
    /// What a connection may do whose author is an administrator at present, or is not.
    #[must_use]
    pub fn policy(self, author_is_admin: bool) -> NetworkPolicy {
        match self {
            Self::Everybody => NetworkPolicy::PRIVATE,
            Self::Administrators if author_is_admin => NetworkPolicy::PRIVATE,
            Self::Administrators => NetworkPolicy { refuse_private: Some(Objection::NotByAdministrator) },
            Self::Nobody => NetworkPolicy { refuse_private: Some(Objection::SwitchedOff) },
        }
    }
}

/// Which addresses one connection may use. Global ones always, link-local and the like never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Why loopback and private addresses are refused, if they are.
    refuse_private: Option<Objection>,
}

/// An address that is never, or not here, spoken to. The address that a name has is not told: names of
/// other networks are not everybody's to look up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Longshore did not connect to {host}: it is {reason}")]
pub struct AddressRefused {
    /// The host that was asked for, as it was given: a name or an address.
    pub host: String,
    /// What is wrong with its address.
    pub reason: Objection,
}

/// What forbids an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// It is of a kind that nobody may use.
    Never(Why),
    /// It is private, and the remote's author is no administrator.
    NotByAdministrator,
    /// It is private, and no remote may be at such a one.
    SwitchedOff,
    /// It is private, and a registry's answer leads there with what changes something.
    LedAway,
}

impl Objection {
    /// What whoever set up the remote can do.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Never(_) => "Enter the address of a registry; no setting allows this one",
            Self::NotByAdministrator => {
                "Enter an address that is reachable from everywhere, or have an administrator save the remote"
            }
            Self::SwitchedOff => {
                "Enter an address that is reachable from everywhere; private ones are switched off by the setting \
                 private_remotes"
            }
            Self::LedAway => "Check the address that the registry gives as its own",
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never(Why::Metadata) => "a cloud provider's metadata service, which no setting allows",
            Self::Never(Why::LinkLocal) => "at a link-local address, which no setting allows",
            Self::Never(Why::Multicast) => "at a multicast address, which no setting allows",
            Self::Never(Why::Broadcast) => "at the broadcast address, which no setting allows",
            Self::Never(Why::Unspecified) => "at an unspecified address, which no setting allows",
            Self::NotByAdministrator => {
                "at a private address, which only remotes saved by an administrator may use (setting \
                 private_remotes)"
            }
            Self::SwitchedOff => {
                "at a private address, which no remote may use on this server (setting private_remotes)"
            }
            Self::LedAway => {
                "at a private address, to which the registry's answer may not send uploads and changes"
            }
        })
    }
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("{host} could not be resolved: {source}")]
pub(crate) struct UnknownHost {
    host: String,
    source: std::io::Error,
}

/// Behind a proxy that resolves names itself, a name is all that is known here.
const METADATA_NAMES: &[&str] = &[
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
];

impl NetworkPolicy {
    /// Loopback and private addresses, too.
    pub const PRIVATE: Self = Self { refuse_private: None };

    /// The same for what a registry's answer leads away from the registry: global addresses alone.
    pub(crate) fn away(self) -> Self {
        Self { refuse_private: self.refuse_private.or(Some(Objection::LedAway)) }
    }

    /// What forbids an address, if anything does.
    fn objection(self, ip: IpAddr) -> Option<Objection> {
        match reach(ip) {
            Reach::Global => None,
            Reach::Private => self.refuse_private,
            Reach::Never(why) => Some(Objection::Never(why)),
        }
    }

    /// Checks what can be told without name resolution. Clients connect to literal addresses without asking
    /// the resolver.
    pub(crate) fn check_url(self, url: &Url) -> Result<(), AddressRefused> {
        let (ip, host) = match url.host() {
            Some(Host::Domain(name)) => {
                let plain = name.trim_end_matches('.').to_ascii_lowercase();
                return if METADATA_NAMES.contains(&plain.as_str()) {
                    Err(AddressRefused { host: name.to_owned(), reason: Objection::Never(Why::Metadata) })
                } else {
                    Ok(())
                };
            }
            Some(Host::Ipv4(ip)) => (IpAddr::V4(ip), ip.to_string()),
            Some(Host::Ipv6(ip)) => (IpAddr::V6(ip), ip.to_string()),
            None => return Ok(()),
        };
        self.check_address(&host, ip)
    }

    fn check_address(self, host: &str, ip: IpAddr) -> Result<(), AddressRefused> {
        match self.objection(ip) {
            None => Ok(()),
            Some(reason) => Err(AddressRefused { host: host.to_owned(), reason }),
        }
    }

    /// As [`Self::check_url`], and with name resolution where the name is known here: behind a
    /// proxy the client never resolves the registry's name itself.
    pub(crate) async fn check_behind_proxy(self, url: &Url) -> Result<(), AddressRefused> {
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        // A name that only the proxy knows is the proxy's to judge.
        let lookup = tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::lookup_host((name, 0))).await;
        let mut found = lookup.into_iter().flatten().flatten();
        found.try_for_each(|address| self.check_address(name, address.ip()))
    }
}

/// Resolves names by the system, and leaves out the addresses that the policy forbids. The client connects
/// to what it is given and resolves nothing again.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver(pub(crate) NetworkPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Result<Vec<SocketAddr>, _> =
                tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect);
            let found = match found {
                Ok(found) => found,
                Err(source) => return Err(UnknownHost { host, source }.into()),
            };
            let (mut allowed, mut refused) = (Vec::with_capacity(found.len()), None);
            for address in found {
                match policy.check_address(&host, address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                Some(error) if allowed.is_empty() => Err(error.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(url: &str, policy: NetworkPolicy) -> Option<Objection> {
        policy.check_url(&Url::parse(url).unwrap()).err().map(|error| error.reason)
    }

    #[test]
    fn semantics_44_however_a_forbidden_address_is_written_it_is_refused() {
        for url in [
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://0xa9.254.169.0xfe/",
            "http://169.254.43518/",
            "http://169.254.169.254./",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:0:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[64:ff9b:1::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
            "http://metadata.google.internal/",
            "http://Metadata.Google.Internal./",
        ] {
            assert_eq!(refused(url, NetworkPolicy::PRIVATE), Some(Objection::Never(Why::Metadata)), "{url}");
        }
        assert_eq!(
            refused("http://169.254.1.1/", NetworkPolicy::PRIVATE),
            Some(Objection::Never(Why::LinkLocal))
        );
        assert_eq!(
            refused("http://[fe80::1]/", NetworkPolicy::PRIVATE),
            Some(Objection::Never(Why::LinkLocal))
        );
        for url in [
            "http://0.0.0.0/",
            "http://0/",
            "http://[::]/",
            "http://[::ffff:0:0]/",
            "http://[::ffff:0.0.0.0]/",
        ] {
            assert_eq!(
                refused(url, NetworkPolicy::PRIVATE),
                Some(Objection::Never(Why::Unspecified)),
                "{url}"
            );
        }
        for (url, kind) in [
            ("http://169.254.169.254/", "a cloud provider's metadata service"),
            ("http://[::ffff:a9fe:101]/", "at a link-local address"),
            ("http://[::ffff:e000:1]/", "at a multicast address"),
            ("http://255.255.255.255/", "at the broadcast address"),
            ("http://[::ffff:0:0]/", "at an unspecified address"),
        ] {
            let refused = refused(url, NetworkPolicy::PRIVATE).unwrap();
            assert_eq!(refused.to_string(), format!("{kind}, which no setting allows"));
            assert!(!refused.remedy().contains("private_remotes"));
        }
        // Link-local addresses with a zone are no URL at all.
        assert!(Url::parse("http://[fe80::1%25eth0]/").is_err());
    }

    #[test]
    fn semantics_44_private_addresses_are_a_setting_asked_of_the_author() {
        use PrivateRemotes::{Administrators, Everybody, Nobody};
        for url in [
            "http://127.0.0.1/",
            "http://0x7f000001/",
            "http://017700000001/",
            "http://[::1]/",
            "http://10.1.2.3/",
        ] {
            for (setting, is_admin, expected) in [
                (Administrators, true, None),
                (Administrators, false, Some(Objection::NotByAdministrator)),
                (Everybody, false, None),
                (Everybody, true, None),
                (Nobody, false, Some(Objection::SwitchedOff)),
                (Nobody, true, Some(Objection::SwitchedOff)),
            ] {
                assert_eq!(refused(url, setting.policy(is_admin)), expected, "{url} {setting:?} {is_admin}");
            }
        }
        assert_eq!(refused("http://93.184.216.34/", Nobody.policy(false)), None);
    }

    #[tokio::test]
    async fn semantics_44_a_name_that_points_to_a_forbidden_address_is_refused() {
        let resolver = GuardedResolver(PrivateRemotes::Nobody.policy(true));
        for name in ["localhost"] {
            let error = resolver.resolve(name.parse().unwrap()).await.err().unwrap();
            let refused = error.downcast_ref::<AddressRefused>().expect("refused");
            assert!(!refused.to_string().contains("127.0.0.1"), "{refused}");
        }
        let resolver = GuardedResolver(NetworkPolicy::PRIVATE);
        assert!(resolver.resolve("localhost".parse().unwrap()).await.unwrap().count() > 0);
    }
}
