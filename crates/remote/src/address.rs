//! Classifies IP addresses by the IANA registries of special-purpose addresses (RFC 6890 and its successors). Only
//! addresses known to be globally reachable count as global; an address that matches no rule is private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reach of an address, from global to forbidden. An address that embeds another has the greater of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Globally reachable: connecting to it from this server reveals nothing new.
    Global,
    /// This machine, a private network, or anything else that is not globally reachable.
    Private,
    /// Never the address of a registry.
    Never(Why),
}

/// Why an address is never connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The unspecified address, or "this network".
    Unspecified,
    Broadcast,
    Multicast,
    /// Valid on one network segment; cloud providers serve credentials there.
    LinkLocal,
    /// A cloud provider's service for its machines.
    Metadata,
}

/// Metadata services outside the link-local networks.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's wire server
];

/// Classifies `ip`; an IPv6 address that embeds an IPv4 address is classified by the embedded one.
pub(crate) fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        _ if METADATA_V4.contains(&ip) => Reach::Never(Why::Metadata),
        // AWS, Azure, Google, OpenStack and many more; AWS for containers.
        [169, 254, 169, 254] | [169, 254, 170, 2] => Reach::Never(Why::Metadata),
        [169, 254, ..] => Reach::Never(Why::LinkLocal),
        [0, ..] => Reach::Never(Why::Unspecified),
        [224..=239, ..] => Reach::Never(Why::Multicast),
        [255, 255, 255, 255] => Reach::Never(Why::Broadcast),
        // Private use, this machine, shared between a provider and its customers (RFC 6598).
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        // Protocol assignments, the retired relays of 6to4, benchmarks.
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => Reach::Private,
        // For documentation; reserved.
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [240..=255, ..] => Reach::Private,
        _ => Reach::Global,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let s = ip.segments();
    match s {
        _ if is_metadata(s) => Reach::Never(Why::Metadata),
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never(Why::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // Mapped: the system connects to the IPv4 address itself.
        [0, 0, 0, 0, 0, 0xffff, high, low] => reach_v4(v4(high, low)),
        // IPv4-compatible (deprecated), and translated by SIIT, which is used only within a network.
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => hidden(v4(high, low)),
        // The well-known NAT64 prefix (RFC 6052), by which an IPv6-only machine reaches IPv4 hosts.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => reach_v4(v4(high, low)),
        [0x64, 0xff9b, 1, ..] => local_nat64(s),
        // Teredo embeds the server's address, and the client's with all bits inverted.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            hidden(v4(high, low)).max(hidden(v4(!client_high, !client_low)))
        }
        // 6to4
        [0x2002, high, low, ..] => hidden(v4(high, low)).max(isatap(s)),
        [0xfe80..=0xfebf, ..] => Reach::Never(Why::LinkLocal),
        [0xff00..=0xffff, ..] => Reach::Never(Why::Multicast),
        // Protocol assignments; for documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Private,
        [0x2000..=0x3fff, ..] => isatap(s),
        // Unique local, site local (deprecated), segment routing, discard-only, and unallocated.
        _ => Reach::Private.max(isatap(s)),
    }
}

/// Whether this is a provider's metadata service at a unique local address.
fn is_metadata(s: [u16; 8]) -> bool {
    match s {
        // All of AWS's services for its machines: metadata, container credentials, DNS, NTP.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, _] => true,
        // Google; Scaleway.
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => true,
        // An embedded 169.254.169.254, as at Oracle and Linode.
        [0xfc00..=0xfdff, ..] => s.windows(2).any(|pair| pair == [0xa9fe, 0xa9fe]),
        _ => false,
    }
}

/// The reach of an IPv4 address behind a private translator.
fn hidden(ip: Ipv4Addr) -> Reach {
    reach_v4(ip).max(Reach::Private)
}

/// Local-use NAT64 (RFC 8215). The prefix has 48 to 96 bits, and only the network itself knows how many. The IPv4
/// address follows it, with a gap at bit 64 (RFC 6052 §2.2), so every possible position is checked. A position
/// that holds 0.0.0.0/8 is not the right one.
fn local_nat64(s: [u16; 8]) -> Reach {
    let bytes = s.map(u16::to_be_bytes);
    let byte = |index: usize| bytes[index / 2][index % 2];
    let places = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
    let within = places.map(|place| Ipv4Addr::from(place.map(byte)));
    let meant = within.into_iter().filter(|ip| ip.octets()[0] != 0);
    meant.map(hidden).max().unwrap_or(Reach::Never(Why::Unspecified))
}

/// An interface identifier that holds an IPv4 address (ISATAP, RFC 5214).
fn isatap(s: [u16; 8]) -> Reach {
    match s {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => hidden(v4(high, low)),
        _ => Reach::Global,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn all(expected: impl Fn(Reach) -> bool, addresses: &[&str]) {
        for address in addresses {
            let found = reach(address.parse().unwrap());
            assert!(expected(found), "{address} is {found:?}");
        }
    }

    #[test]
    fn semantics_44_global_addresses_are_everybodys() {
        let addresses = [
            "1.1.1.1",
            "93.184.216.34",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.254",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "2001:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ];
        all(|reach| reach == Reach::Global, &addresses);
    }

    #[test]
    fn semantics_44_whatever_is_not_reachable_from_everywhere_is_private() {
        let addresses = [
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "240.0.0.1",
            "255.255.255.254",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:0:10.0.0.1",
            "::ffff:0:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:a00:0:100::",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "100::1",
            "2001:2::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2001:0:808:808::f7f7:f7f7",
            "2002:808:808::1",
            "2002:7f00:1::",
            "2a00::5efe:10.0.0.1",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ];
        all(|reach| reach == Reach::Private, &addresses);
    }

    #[test]
    fn semantics_44_link_local_metadata_multicast_and_unspecified_addresses_are_nobodys() {
        let addresses = [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.1.1",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:42::42",
            "fd00:c1::a9fe:a9fe",
            "fd00:a9fe:a9fe::1",
        ];
        all(|reach| matches!(reach, Reach::Never(_)), &addresses);
    }

    #[test]
    fn semantics_44_no_translation_hides_what_is_nobodys() {
        for (high, low) in [(0xa9fe_u16, 0xa9fe_u16), (0, 0), (0xe000, 1), (0xffff, 0xffff), (0x6464, 0x64c8)]
        {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            let mut wrapped = vec![
                format!("::ffff:{high:x}:{low:x}"),
                format!("::ffff:0:{high:x}:{low:x}"),
                format!("64:ff9b::{high:x}:{low:x}"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:{high:x}:{low:x}::f7f7:f7f7"),
                format!("2001:0:808:808::{:x}:{:x}", !high, !low),
                format!("2a00::200:5efe:{high:x}:{low:x}"),
                // Local-use NAT64, with prefixes of 96, 64, 56 and 48 bits.
                format!("64:ff9b:1::{high:x}:{low:x}"),
                format!("64:ff9b:1:0:{a:x}:{:x}:{d:x}00:0", u16::from_be_bytes([b, c])),
                format!("64:ff9b:1:{a:x}:{b:x}:{low:x}:0:0"),
                format!("64:ff9b:1:{high:x}:{c:x}:{d:x}00:0:0"),
            ];
            // After a prefix of zeros this is the unspecified or the loopback address.
            if high > 1 {
                wrapped.push(format!("::{high:x}:{low:x}"));
            }
            all(
                |reach| matches!(reach, Reach::Never(_)),
                &wrapped.iter().map(String::as_str).collect::<Vec<_>>(),
            );
        }
    }
}
