//! What targets, hosts and header names are made of, in both versions of HTTP.

use std::net::Ipv6Addr;

/// The most bytes of a target.
pub(super) const MAX_TARGET_BYTES: usize = 8 * 1024;

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const HOST: u8 = 4;
const VALUE: u8 = 8;

/// What each byte may be part of.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() || is_one_of(byte, b"!#$%&'*+-.^`|~_") {
            classes[at] |= TOKEN;
        }
        // Beyond RFC 3986, `[`, `]`, `{`, `|` and `}`: clients of JSON:API send the first two as they are.
        if byte.is_ascii_graphic() && !is_one_of(byte, b"\"#<>\\^`") {
            classes[at] |= TARGET;
        }
        if byte.is_ascii_alphanumeric() || is_one_of(byte, b"-._~") {
            classes[at] |= HOST;
        }
        if byte == b'\t' || byte >= b' ' && byte != 0x7F {
            classes[at] |= VALUE;
        }
        at += 1;
    }
    classes
};

const fn is_one_of(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|byte| CLASSES[usize::from(*byte)] & class != 0)
}

/// A method or another word of RFC 9110.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// A header name. Underscores are tokens, but other servers take them for hyphens.
pub(super) fn is_header_name(bytes: &[u8]) -> bool {
    is_token(bytes) && !bytes.contains(&b'_')
}

/// A header value: no control character but the tab.
pub(super) fn is_header_value(bytes: &[u8]) -> bool {
    all(bytes, VALUE)
}

/// A target in origin form.
pub(super) fn is_target(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'/') && all(bytes, TARGET)
}

/// A host, with or without a port.
pub(super) fn is_host(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Some(literal) = text.strip_prefix('[') {
        return literal.split_once(']').is_some_and(|(address, rest)| {
            let port = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
            address.parse::<Ipv6Addr>().is_ok() && port.is_some_and(is_port)
        });
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    !name.is_empty() && name.len() <= 255 && all(name.as_bytes(), HOST) && is_port(port)
}

/// A port, which may be empty.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["a", "a:80", "a:", "api.example.com:8443", "127.0.0.1:1", "[::1]", "[::1]:80", "a_b"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a/b", "[::1", "[::1]x", "[::g]", "::1", "a:99999", "a:+1", "a:b", "a b", "a@b",
            "a,b", "a\0b", "é", "a:80:80", "a?b", "a#b", "[::1]:x", "a\\b", "%61",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
        assert!(!is_host(&[b'a'; 256]));
    }

    /// What passes here must not be refused by the URI type behind it, which would answer otherwise.
    #[test]
    fn targets_are_uris() {
        for byte in 0..=255_u8 {
            for target in [vec![b'/', b'a', byte, b'b'], vec![b'/', b'?', byte, b'b']] {
                let parsed = http::Uri::try_from(&target[..]);
                if is_target(&target) {
                    assert_eq!(parsed.unwrap().to_string().as_bytes(), target, "{byte:#x}");
                }
            }
        }
        for bad in ["", "*", "x", "http://a/", "a:1", "/a b", "/é", "/a#b", "/\x7f", "/\\"] {
            assert!(!is_target(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn names() {
        assert!(is_header_name(b"X-Api-Key") && is_token(b"a_b"));
        for bad in ["", "a_b", "a b", "a:", "é", "a\0", "(a)"] {
            assert!(!is_header_name(bad.as_bytes()), "{bad}");
        }
        assert!(is_header_value("a\tb é".as_bytes()) && is_header_value(b"\xff"));
        assert!(!is_header_value(b"a\0") && !is_header_value(b"\r") && !is_header_value(b"\x7f"));
    }
}
