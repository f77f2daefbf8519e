//! The address of a client and how its request arrived. Headers of proxies are believed only if the proxy is trusted
//! (semantics 31).

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header};
use ipnet::IpNet;

/// How a request reached the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The address of the client, or the nearest one to it that is readable.
    pub(crate) peer: IpAddr,
    /// Whether a trusted proxy reported an unreadable address.
    pub(crate) hidden: bool,
    /// Whether the client used HTTPS, as far as known.
    pub(crate) https: bool,
    /// The host and port that the client used.
    pub(crate) host: Option<String>,
}

impl Arrival {
    /// The scheme, host and port that the client used.
    pub(crate) fn origin(&self) -> Option<String> {
        let scheme = if self.https { "https" } else { "http" };
        self.host.as_ref().map(|host| format!("{scheme}://{host}"))
    }

    /// Evaluates the address `direct` of the connection, and the headers. `tls` means that the connection is encrypted.
    pub(crate) fn new(direct: IpAddr, tls: bool, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let direct = direct.to_canonical();
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let host = text(headers, header::HOST.as_str());
        if !is_trusted(&direct) {
            return Self { peer: direct, hidden: false, https: tls, host };
        }
        // The last address is the nearest one. The first that is not a trusted proxy is the client; the client may have
        // made up anything before that.
        let hops = headers
            .get_all("x-forwarded-for")
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(address_of)
            .collect::<Vec<_>>();
        let (mut peer, mut hidden) = (direct, false);
        for hop in hops.into_iter().rev() {
            let Some(address) = hop else {
                hidden = true;
                break;
            };
            peer = address;
            if !is_trusted(&address) {
                break;
            }
        }
        Self {
            peer,
            hidden,
            https: last(headers, "x-forwarded-proto")
                .map_or(tls, |proto| proto.eq_ignore_ascii_case("https")),
            host: last(headers, "x-forwarded-host").or(host),
        }
    }
}

/// The address of a hop; some proxies append the port.
fn address_of(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim();
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse().ok().map(|hop: SocketAddr| hop.ip());
    let address = hop.parse().ok().or_else(with_port).or_else(in_brackets)?;
    Some(IpAddr::to_canonical(&address))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The last item of a list, which the nearest proxy added.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = text(headers, name)?;
    value.rsplit(',').next().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn arrival(direct: &str, headers: &[(&'static str, &str)]) -> Arrival {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Arrival::new(direct.parse().unwrap(), false, &headers.collect(), &trusted)
    }

    const FORWARDED: [(&str, &str); 4] = [
        ("host", "backend:8080"),
        ("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.0.0.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "registry.example.com"),
    ];

    #[test]
    fn semantics_31_the_address_of_the_client_is_taken_from_a_trusted_proxy() {
        let seen = arrival("10.0.0.1", &FORWARDED);
        assert_eq!(seen.peer.to_string(), "203.0.113.7", "addresses sent by the client itself are ignored");
        assert_eq!(seen.origin().unwrap(), "https://registry.example.com");
    }

    #[test]
    fn semantics_31_forwarded_headers_of_others_are_ignored() {
        let seen = arrival("192.0.2.1", &FORWARDED);
        assert_eq!(seen.peer.to_string(), "192.0.2.1");
        assert_eq!(seen.origin().unwrap(), "http://backend:8080");
    }

    #[test]
    fn an_unreadable_address_ends_the_chain() {
        let seen = arrival("10.0.0.1", &[("x-forwarded-for", "203.0.113.7, unknown, 10.0.0.9")]);
        assert_eq!((seen.peer.to_string().as_str(), seen.hidden), ("10.0.0.9", true));
        let seen = arrival("10.0.0.1", &[("x-forwarded-for", "é, 203.0.113.7")]);
        assert_eq!((seen.peer.to_string().as_str(), seen.hidden), ("203.0.113.7", false));
        assert_eq!(arrival("::ffff:10.0.0.1", &[]).peer.to_string(), "10.0.0.1");
    }

    #[test]
    fn an_address_with_a_port_is_recognised() {
        for (hop, client) in [
            ("203.0.113.7:4567", "203.0.113.7"),
            ("[2001:db8::7]:4567", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[::ffff:203.0.113.7]:4567", "203.0.113.7"),
        ] {
            let seen = arrival("10.0.0.1", &[("x-forwarded-for", &format!("{hop}, 10.0.0.9:80"))]);
            assert_eq!((seen.peer.to_string().as_str(), seen.hidden), (client, false), "{hop}");
        }
    }
}
