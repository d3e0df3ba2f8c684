//! Who a request is from where proxies stand between: pure functions of addresses and headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, header};

/// A network in CIDR notation, or a single address. IPv4 is kept as IPv4-mapped IPv6, so that both
/// forms of an address are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    first: u128,
    mask: u128,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be an IP address, or a network such as \"10.0.0.0/8\"";
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_malformed| FORM)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|length| *length <= most).ok_or(FORM)?
            }
            Some(_) => return Err(FORM),
            None => most,
        };
        let mask = u128::MAX.checked_shl(most - length).unwrap_or(0);
        let first = wide(address);
        if first & !mask != 0 {
            return Err("has bits set behind its network's length");
        }
        Ok(Self { first, mask })
    }

    /// True for an address within.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        wide(address) & self.mask == self.first
    }
}

/// An address as an IPv6 one.
pub(crate) const fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The header in which proxies say who is before them. One is believed, never both: a proxy passes
/// the other one on as its client wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies whose word on their clients is believed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proxies {
    /// Where they are.
    pub trusted: Vec<Network>,
    /// Where they write it.
    pub header: ForwardedHeader,
}

impl Proxies {
    /// The client: walking from the socket's other end back through what each proxy says, the first
    /// address that is no trusted proxy. `None` where there is none such, since the proxies do not say
    /// or what they say is no address: whoever is limited by address must not be all behind a proxy.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return Some(peer.to_canonical());
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        for line in headers.get_all(name).iter().rev() {
            let mut rest = Some(line.to_str().ok()?);
            while let Some(text) = rest {
                let (before, entry) = last_entry(text);
                let address = match self.header {
                    ForwardedHeader::XForwardedFor => address(entry.trim()),
                    ForwardedHeader::Forwarded => forwarded_for(entry),
                }?;
                if !self.trusts(address) {
                    return Some(address.to_canonical());
                }
                rest = before;
            }
        }
        None
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// The last entry of a list, and what is before it. Quotes are read from the end as well: an open one
/// that a client sent must not swallow what a proxy wrote behind it.
fn last_entry(list: &str) -> (Option<&str>, &str) {
    let mut quoted = false;
    for (at, byte) in list.bytes().enumerate().rev() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return (Some(&list[..at]), &list[at + 1..]),
            _ => {}
        }
    }
    (None, list)
}

/// The address in the one `for` of an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut values = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let (value, None) = (values.next()?, values.next()) else { return None };
    address(value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let port = |text: &str| text.parse::<u16>().is_ok();
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, after) = rest.split_once(']')?;
        let plain = after.is_empty() || after.strip_prefix(':').is_some_and(port);
        return inner.parse::<Ipv6Addr>().ok().filter(|_| plain).map(IpAddr::V6);
    }
    match text.split_once(':') {
        Some((host, rest)) if !rest.contains(':') => {
            host.parse::<Ipv4Addr>().ok().filter(|_| port(rest)).map(IpAddr::V4)
        }
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies(header: ForwardedHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "::1", "2001:db8:1::/48"];
        Proxies { trusted: trusted.iter().map(|text| Network::parse(text).unwrap()).collect(), header }
    }

    fn client(header: ForwardedHeader, peer: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        let name = match header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        };
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let client = proxies(header).client(peer.parse().unwrap(), &headers);
        client.map(|address| address.to_string())
    }

    #[test]
    fn networks() {
        let within = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(within("10.0.0.0/8", "10.255.0.1"));
        assert!(!within("10.0.0.0/8", "11.0.0.0"));
        assert!(within("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(within("0.0.0.0/0", "203.0.113.9"));
        assert!(!within("0.0.0.0/0", "2001:db8::1"));
        assert!(within("::/0", "2001:db8::1"));
        assert!(within("192.0.2.1", "192.0.2.1"));
        assert!(!within("192.0.2.1/32", "192.0.2.0"));
        assert!(within("2001:db8::/32", "2001:db8:ffff::"));
        for bad in ["", "a", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/", "10.0.0.1/8"]
        {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_client_is_the_first_address_that_is_no_trusted_proxy() {
        use ForwardedHeader::XForwardedFor as X;
        let of = |peer, lines: &[&str]| client(X, peer, lines);
        let is = |address: &str| Some(address.to_owned());
        // Nobody else may say who is before him.
        assert_eq!(of("203.0.113.9", &["198.51.100.1"]), is("203.0.113.9"));
        assert_eq!(of("::ffff:203.0.113.9", &[]), is("203.0.113.9"));
        assert_eq!(of("10.0.0.1", &["198.51.100.1"]), is("198.51.100.1"));
        // What a client writes itself stands before what the proxy adds.
        assert_eq!(of("10.0.0.1", &["1.1.1.1, 198.51.100.1"]), is("198.51.100.1"));
        assert_eq!(of("10.0.0.1", &["nonsense\",,, 198.51.100.1"]), is("198.51.100.1"));
        assert_eq!(of("10.0.0.1", &["198.51.100.1, 10.0.0.2,10.0.0.3"]), is("198.51.100.1"));
        assert_eq!(of("10.0.0.1", &["198.51.100.1", "10.0.0.2"]), is("198.51.100.1"));
        assert_eq!(of("::1", &["[2001:db8::5]:4711, 2001:db8:1::7"]), is("2001:db8::5"));
        assert_eq!(of("10.0.0.1", &["198.51.100.1:4711"]), is("198.51.100.1"));
        // Nothing that can be believed.
        for lines in [&[][..], &[""], &["unknown"], &["198.51.100.1, unknown"], &["198.51.100.1,"]] {
            assert_eq!(of("10.0.0.1", lines), None, "{lines:?}");
        }
        for odd in ["10.0.0.9", "198.51.100.1:", "198.51.100.1:99999", "[::5", "[198.51.100.1]", "é"] {
            assert_eq!(of("10.0.0.1", &[odd]), None, "{odd}");
        }
    }

    #[test]
    fn the_standard_header() {
        use ForwardedHeader::Forwarded as F;
        let of = |lines: &[&str]| client(F, "10.0.0.1", lines);
        let is = |address: &str| Some(address.to_owned());
        assert_eq!(of(&["for=198.51.100.1"]), is("198.51.100.1"));
        assert_eq!(of(&["For=\"198.51.100.1:80\";proto=https;by=10.0.0.1"]), is("198.51.100.1"));
        assert_eq!(of(&["for=\"[2001:db8::5]:4711\", for=10.1.1.1"]), is("2001:db8::5"));
        assert_eq!(of(&["for=198.51.100.1;by=\"a,b\""]), is("198.51.100.1"));
        // An open quote of a client.
        assert_eq!(of(&["for=\"1.1.1.1, for=198.51.100.1"]), is("198.51.100.1"));
        for nobody in
            ["for=_hidden", "for=unknown", "by=198.51.100.1", "198.51.100.1", "for=1.1.1.1;for=2.2.2.2"]
        {
            assert_eq!(of(&[nobody]), None, "{nobody}");
        }
        // The other header is not believed.
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1"));
        assert_eq!(proxies(F).client("10.0.0.1".parse().unwrap(), &headers), None);
    }
}
