//! Which addresses are anybody's, and which belong to this machine, its network or its provider: the
//! IANA special-purpose registries (RFC 6890), read strictly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True for every address that is not a plain one of the public internet: private, loopback,
/// link-local, shared, multicast, documentation, benchmarking, reserved, metadata services, and what
/// wraps an IPv4 address in an IPv6 one.
#[must_use]
pub fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => is_special_v6(address),
    }
}

/// First address and length of each block.
const SPECIAL_V4: [([u8; 4], u32); 18] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // The wire server of Azure: a public address by its number only.
    ([168, 63, 129, 16], 32),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([192, 175, 48, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, the reserved block above it, and broadcast.
    ([224, 0, 0, 0], 3),
];

fn is_special_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    SPECIAL_V4.iter().any(|(first, length)| (bits ^ u32::from_be_bytes(*first)) >> (32 - length) == 0)
}

/// What is special within 2000::/3. All else is special anyway: v4-mapped and v4-compatible addresses,
/// NAT64, unique local ones with the metadata service among them, link-local, multicast.
const SPECIAL_V6: [([u16; 3], u32); 5] = [
    // IETF protocol assignments: Teredo, benchmarking, ORCHID.
    ([0x2001, 0, 0], 23),
    ([0x2001, 0xdb8, 0], 32),
    // 6to4.
    ([0x2002, 0, 0], 16),
    ([0x2620, 0x4f, 0x8000], 48),
    ([0x3fff, 0, 0], 20),
];

fn is_special_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |(first, length): &([u16; 3], u32)| {
        let [a, b, c] = *first;
        (bits ^ Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_bits()) >> (128 - length) == 0
    };
    bits >> 125 != 1 || SPECIAL_V6.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: &str = "
        0.0.0.0 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1
        127.255.255.255 168.63.129.16 169.254.169.254 172.16.0.0 172.31.255.255 192.0.0.192 192.0.2.1
        192.88.99.1 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
        239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::ffff:8.8.8.8 ::8.8.8.8 64:ff9b::808:808
        64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:1ff:ffff:: 2001:db8::1 2002:808:808::1 2620:4f:8000::1
        3fff::1 3fff:fff:ffff:: 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1";
    const PLAIN: &str = "
        1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
        168.63.129.15 168.63.129.17 172.15.255.255 172.32.0.0 192.0.1.0 198.17.255.255 198.20.0.0
        223.255.255.255 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1111 3ffe::1 3fff:1000::
        2a00:1450::1";

    #[test]
    fn the_registries_are_known_by_first_and_last_address() {
        for special in SPECIAL.split_whitespace() {
            assert!(is_special(special.parse().unwrap()), "{special}");
        }
        for plain in PLAIN.split_whitespace() {
            assert!(!is_special(plain.parse().unwrap()), "{plain}");
        }
    }
}
