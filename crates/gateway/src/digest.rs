//! Content-Digest (RFC 9530): a client that sends one is told when the body is another.

use base64::{Engine, engine::general_purpose::STANDARD};
use gateway_core::{Error, ErrorKind};
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256, Sha512};

const DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Checks every digest of an algorithm that we know; others are ignored (RFC 9530, 2).
///
/// # Errors
/// [`ErrorKind::Malformed`] for a digest that does not match, and for one that cannot be read.
pub fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), Error> {
    for value in headers.get_all(DIGEST) {
        let good =
            value.to_str().is_ok_and(|value| value.split(',').all(|member| matches(member.trim(), body)));
        if !good {
            return Err(Error::new(ErrorKind::Malformed)
                .message("Content-Digest does not match the body")
                .cause("content_digest"));
        }
    }
    Ok(())
}

fn matches(member: &str, body: &[u8]) -> bool {
    let Some((algorithm, value)) = member.split_once('=') else { return false };
    let given = value
        .strip_prefix(':')
        .and_then(|value| value.strip_suffix(':'))
        .and_then(|value| STANDARD.decode(value).ok());
    match (algorithm, given) {
        ("sha-256", given) => given.is_some_and(|given| given == Sha256::digest(body).as_slice()),
        ("sha-512", given) => given.is_some_and(|given| given == Sha512::digest(body).as_slice()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("content-digest", value.parse().unwrap());
        check(&headers, b"{\"hello\": \"world\"}\n").is_ok()
    }

    #[test]
    fn digests() {
        assert!(check(&HeaderMap::new(), b"x").is_ok());
        // RFC 9530, appendix B.1.
        let right = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert!(accepts(right));
        assert!(accepts(&format!("md5=:AAAA:, {right}")));
        for wrong in [
            "sha-256=:AAAA:",
            "sha-256=RK",
            "sha-256",
            "",
            "sha-512=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
        ] {
            assert!(!accepts(wrong), "{wrong}");
        }
    }
}
