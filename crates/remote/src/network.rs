//! Which addresses may be spoken to. A registry's name is somebody else's to point anywhere, so
//! the decision falls on the address that is connected to, after name resolution (semantics 27).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::tls::CONNECT_TIMEOUT;

/// What an administrator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Loopback and private addresses may be spoken to.
    pub allow_private: bool,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self { allow_private: true }
    }
}

/// An address that is never, or not here, spoken to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is at {address}, {reason}, which Longshore does not connect to")]
pub struct AddressRefused {
    /// The host that was asked for.
    pub host: String,
    /// The address, or the name where that alone is reason enough.
    pub address: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("no address is found for {host}: {source}")]
pub(crate) struct UnknownHost {
    host: String,
    source: std::io::Error,
}

const METADATA: &str = "a cloud provider's metadata service";
const LINK_LOCAL: &str = "a link-local address";
const UNUSABLE: &str = "not the address of one host";
const PRIVATE: &str = "a private address, not allowed by this server's settings";

const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, Google, OpenStack, …
    Ipv4Addr::new(169, 254, 170, 2),   // AWS container credentials
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's wire server
];
const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS container credentials
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google
];
const METADATA_NAMES: &[&str] =
    &["metadata.google.internal", "metadata.goog", "metadata", "instance-data", "instance-data.ec2.internal"];

impl NetworkPolicy {
    /// What forbids an address, if anything does.
    fn objection(self, ip: IpAddr) -> Option<&'static str> {
        match ip {
            IpAddr::V4(ip) => self.objection_v4(ip),
            IpAddr::V6(ip) => match embedded_v4(ip) {
                Some(inner) => self.objection_v4(inner),
                None => self.objection_v6(ip),
            },
        }
    }

    fn objection_v4(self, ip: Ipv4Addr) -> Option<&'static str> {
        let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
        match () {
            () if METADATA_V4.contains(&ip) => Some(METADATA),
            () if ip.is_link_local() => Some(LINK_LOCAL),
            () if ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0 => Some(UNUSABLE),
            () if !self.allow_private && (ip.is_private() || ip.is_loopback() || shared) => Some(PRIVATE),
            () => None,
        }
    }

    fn objection_v6(self, ip: Ipv6Addr) -> Option<&'static str> {
        let site_local = ip.segments()[0] & 0xffc0 == 0xfec0;
        match () {
            () if METADATA_V6.contains(&ip) => Some(METADATA),
            () if ip.is_unicast_link_local() => Some(LINK_LOCAL),
            () if ip.is_multicast() || ip.is_unspecified() => Some(UNUSABLE),
            () if !self.allow_private && (ip.is_loopback() || ip.is_unique_local() || site_local) => {
                Some(PRIVATE)
            }
            () => None,
        }
    }

    /// Checks what can be told without name resolution. Clients connect to literal addresses
    /// without asking the resolver, so this runs before each request and each redirect.
    pub(crate) fn check_url(self, url: &Url) -> Result<(), AddressRefused> {
        let (ip, host) = match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                return if METADATA_NAMES.contains(&name.as_str()) {
                    Err(AddressRefused { host: name.clone(), address: name, reason: METADATA })
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
            Some(reason) => Err(AddressRefused { host: host.to_owned(), address: ip.to_string(), reason }),
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

/// The IPv4 address within an IPv6 address that only wraps it (mapped, compatible, NAT64, 6to4).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if (high, low) > (0, 1) => Some(from(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

/// Resolves names by the system, and leaves out the addresses that the policy forbids.
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
            let mut refused = None;
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| match policy.check_address(&host, address.ip()) {
                    Ok(()) => true,
                    Err(error) => {
                        refused = Some(error);
                        false
                    }
                })
                .collect();
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

    fn refused(url: &str, allow_private: bool) -> Option<&'static str> {
        let url = Url::parse(url).unwrap();
        NetworkPolicy { allow_private }.check_url(&url).err().map(|error| error.reason)
    }

    #[test]
    fn semantics_27_metadata_and_link_local_addresses_are_always_refused() {
        for url in [
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0xa9.254.169.0xfe/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
            "http://metadata.google.internal/",
            "http://Metadata.Google.Internal./",
        ] {
            assert_eq!(refused(url, true), Some(METADATA), "{url}");
        }
        assert_eq!(refused("http://169.254.1.1/", true), Some(LINK_LOCAL));
        assert_eq!(refused("http://[fe80::1]/", true), Some(LINK_LOCAL));
        assert_eq!(refused("http://0.0.0.0/", true), Some(UNUSABLE));
    }

    #[test]
    fn semantics_27_private_addresses_are_a_setting() {
        for url in [
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://192.168.0.1/",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[fd12::1]/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert_eq!(refused(url, true), None, "{url}");
            assert_eq!(refused(url, false), Some(PRIVATE), "{url}");
        }
        assert_eq!(refused("http://93.184.216.34/", false), None);
    }

    #[tokio::test]
    async fn semantics_27_a_name_that_points_to_a_forbidden_address_is_refused() {
        let resolver = GuardedResolver(NetworkPolicy { allow_private: false });
        let error = resolver.resolve("localhost".parse().unwrap()).await.err().unwrap();
        assert!(error.downcast_ref::<AddressRefused>().is_some(), "{error}");
        let resolver = GuardedResolver(NetworkPolicy { allow_private: true });
        assert!(resolver.resolve("localhost".parse().unwrap()).await.unwrap().count() > 0);
    }
}
