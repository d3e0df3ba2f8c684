//! Credentials in headers: `$JWT({…})` and `$BASIC(user:password)`.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use time::UtcDateTime;

/// The secret of the demo's tokens.
const SECRET: &str = "demo-jwt-secret";
/// How long a token lives that does not say so, in seconds.
const LIFETIME_S: i64 = 600;

/// Replaces credentials in a header's value.
#[must_use]
pub fn credential(value: &str, now: UtcDateTime) -> String {
    if let Some((before, claims)) = value.split_once("$JWT(") {
        let claims = claims.strip_suffix(')').unwrap_or_else(|| panic!("$JWT( is not closed"));
        return format!("{before}{}", token(claims, now));
    }
    match value.split_once("$BASIC(") {
        Some((before, pair)) => {
            let pair = pair.strip_suffix(')').unwrap_or_else(|| panic!("$BASIC( is not closed"));
            format!("{before}{}", STANDARD.encode(pair))
        }
        None => value.to_owned(),
    }
}

/// An HS256 token (RFC 7515, 3.1) with these claims, `iat` and `exp` beside them. A time written as
/// `"+60"` is so many seconds from now. Written here, not called from the gateway, so that the two
/// are checked against each other.
fn token(claims: &str, now: UtcDateTime) -> String {
    let mut claims: Value =
        serde_json::from_str(claims).unwrap_or_else(|error| panic!("$JWT({claims}): {error}"));
    let at = now.unix_timestamp();
    let members = claims.as_object_mut().unwrap();
    members.entry("iat").or_insert(json!(at));
    members.entry("exp").or_insert(json!(at + LIFETIME_S));
    members.retain(|_, value| *value != json!("none"));
    for name in ["iat", "exp", "nbf"] {
        let relative = members.get(name).and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok());
        if let Some(seconds) = relative {
            members.insert(name.to_owned(), json!(at + seconds));
        }
    }
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_the_documents_vector() {
        let now = UtcDateTime::UNIX_EPOCH;
        assert_eq!(
            credential("Basic $BASIC(criticalmix:topsecret)", now),
            "Basic Y3JpdGljYWxtaXg6dG9wc2VjcmV0"
        );
        assert_eq!(credential("Bearer x", now), "Bearer x");
        let token = credential(r#"Bearer $JWT({"sub":"a","exp":"+60"})"#, now);
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(String::from_utf8(payload).unwrap(), r#"{"exp":60,"iat":0,"sub":"a"}"#);
    }
}
