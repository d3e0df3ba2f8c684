//! What other servers publish and sign: a key is taken where an oracle of few lines takes it, a header
//! where it brings none.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// Members that no public key has.
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
/// What a header may not bring (RFC 8725; RFC 7515, 4.1).
const REFUSED: [&str; 10] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"];

/// A key set. The oracle counts the keys that fit each algorithm.
pub(super) fn jwk_set(bytes: &[u8]) -> bool {
    let counts = gateway_auth::fuzz::jwk_set(bytes);
    if counts.iter().all(Option::is_none) {
        return false;
    }
    let set: Value = serde_json::from_slice(bytes).unwrap();
    let keys = set["keys"].as_array().unwrap();
    for (count, algorithm) in counts.into_iter().zip(["RS256", "ES256", "EdDSA"]) {
        let fit = keys.iter().filter(|key| is_fit(key, algorithm)).count();
        assert_eq!(count.unwrap_or(0), fit, "{algorithm}");
    }
    true
}

fn is_fit(key: &Value, algorithm: &str) -> bool {
    let absent_or = |name: &str, due: &str| key.get(name).is_none_or(|value| *value == due);
    let verifies =
        key.get("key_ops").is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.contains(&"verify".into())));
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok();
    let length = |name| number(name).map(|bytes| bytes.len());
    let has_numbers = match algorithm {
        "RS256" => key["kty"] == "RSA" && number("n").zip(number("e")).is_some_and(|(n, e)| is_rsa(&n, &e)),
        "ES256" => {
            key["kty"] == "EC" && key["crv"] == "P-256" && length("x") == Some(32) && length("y") == Some(32)
        }
        _ => key["kty"] == "OKP" && key["crv"] == "Ed25519" && length("x") == Some(32),
    };
    key.is_object()
        && PRIVATE.iter().all(|name| key.get(name).is_none())
        && absent_or("use", "sig")
        && absent_or("alg", algorithm)
        && key.get("kid").is_none_or(Value::is_string)
        && verifies
        && has_numbers
}

fn is_rsa(n: &[u8], e: &[u8]) -> bool {
    let (Some(first), Some(last)) = (n.first(), n.last()) else { return false };
    let exponent = e.iter().fold(0_u128, |all, byte| (all << 8) | u128::from(*byte));
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    *first > 0
        && (2048..=8192).contains(&bits)
        && last % 2 == 1
        && e.first().is_some_and(|byte| *byte > 0)
        && e.len() <= 5
        && exponent > 65_536
        && exponent % 2 == 1
}

/// A header: what is taken names one of four algorithms, brings no key, and repeats no member.
pub(super) fn jws_header(bytes: &[u8]) -> bool {
    let Some((algorithm, kid)) = gateway_auth::fuzz::jws_header(bytes) else { return false };
    let header: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(header["alg"], algorithm);
    assert!(["HS256", "RS256", "ES256", "EdDSA"].contains(&algorithm));
    assert_eq!(header.get("kid").map(|kid| kid.as_str().unwrap()), kid.as_deref());
    assert!(header.get("typ").is_none_or(Value::is_string));
    assert!(REFUSED.iter().all(|name| header.get(name).is_none()));
    true
}
