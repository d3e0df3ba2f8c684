//! Who a request is from, behind proxies.

use std::net::IpAddr;

use gateway::forwarded::{ForwardedHeader, Network, Proxies};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A line that is a network and an address, and lines of the header: a network holds what its bits say,
/// and what a client puts before the word of a proxy changes nothing.
pub(super) fn forwarded(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let (network, address) = first.split_once(' ').unwrap_or((first, "10.0.0.1"));
    let address = address.parse().unwrap_or(IpAddr::from([10, 0, 0, 1]));
    let is_network = Network::parse(network).is_ok_and(|read| {
        let (start, length) =
            network.split_once('/').map_or((network, None), |(start, length)| (start, length.parse().ok()));
        let start: IpAddr = start.parse().unwrap();
        assert!(read.contains(start));
        assert_eq!(read.contains(address), shares(start, address, length), "{network} {address}");
        true
    });
    let values: Option<Vec<_>> = lines.map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let Some(values) = values else { return is_network };
    let trusted: Vec<_> =
        ["10.0.0.0/8", "2001:db8:1::/48"].iter().map(|text| Network::parse(text).unwrap()).collect();
    let mut is_found = false;
    for (header, name) in
        [(ForwardedHeader::XForwardedFor, "x-forwarded-for"), (ForwardedHeader::Forwarded, "forwarded")]
    {
        let proxies = Proxies { trusted: trusted.clone(), header };
        let with = |values: &[HeaderValue]| -> HeaderMap {
            values.iter().map(|value| (HeaderName::from_static(name), value.clone())).collect()
        };
        let stranger = IpAddr::from([203, 0, 113, 9]);
        assert_eq!(proxies.client(stranger, &with(&values)), Some(stranger));
        let proxy = IpAddr::from([10, 0, 0, 1]);
        let Some(client) = proxies.client(proxy, &with(&values)) else { continue };
        is_found = true;
        // What a proxy writes is well formed.
        if !values.iter().all(|value| is_balanced(value.as_bytes())) {
            continue;
        }
        assert!(!trusted.iter().any(|network| network.contains(client)));
        for lie in ["for=6.6.6.6;x=", "6.6.6.6", "\"", "for=\"6.6.6.6"] {
            let mut lied = values.clone();
            lied[0] =
                HeaderValue::from_bytes(&[lie.as_bytes(), b",", values[0].as_bytes()].concat()).unwrap();
            assert_eq!(proxies.client(proxy, &with(&lied)), Some(client), "{name}: {lie:?}");
            lied = values.clone();
            lied.insert(0, HeaderValue::from_str(lie).unwrap());
            assert_eq!(proxies.client(proxy, &with(&lied)), Some(client), "{name}: {lie:?}");
        }
    }
    is_network || is_found
}

/// True for addresses with this many bits in common.
fn shares(start: IpAddr, address: IpAddr, length: Option<usize>) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
    };
    let (start, address) = match (start, address) {
        (IpAddr::V6(_), IpAddr::V4(address)) => (start, IpAddr::V6(address.to_ipv6_mapped())),
        (IpAddr::V4(_), IpAddr::V6(_)) => (start, address.to_canonical()),
        same => same,
    };
    let (start, address) = (bits(start), bits(address));
    let length = length.unwrap_or(start.len());
    start.len() == address.len() && start[..length] == address[..length]
}

/// True where every string is closed.
fn is_balanced(line: &[u8]) -> bool {
    let mut escaped = false;
    let quote = |byte: &&u8| {
        let is_quote = **byte == b'"' && !escaped;
        escaped = **byte == b'\\' && !escaped;
        is_quote
    };
    line.iter().filter(quote).count() % 2 == 0
}
