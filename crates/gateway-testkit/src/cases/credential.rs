//! Credentials in headers: `$JWT({…})`, `$TOKEN({…})` and `$BASIC(user:password)`.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
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
    if let Some((before, bent)) = value.split_once("$TOKEN(") {
        let bent = bent.strip_suffix(')').unwrap_or_else(|| panic!("$TOKEN( is not closed"));
        let bent: Bent = serde_json::from_str(bent).unwrap_or_else(|error| panic!("$TOKEN({bent}): {error}"));
        return format!("{before}{}", bent.token(now));
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
    let bent = Bent { payload: Some(claims.to_string()), ..Bent::default() };
    bent.token(now)
}

/// A token that is bent: `$TOKEN({…})` says how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Bent {
    /// The header.
    header: Value,
    /// The claims beside `sub`, `scope`, `iat` and `exp`, which are good ones.
    claims: Value,
    /// The payload, instead of claims.
    payload: Option<String>,
    /// The payload is sent as UTF-16.
    utf16: bool,
    /// The secret that signs.
    secret: String,
    /// How the parts stand: `$H`, `$P` and `$S` are the base64url of header, payload and signature,
    /// `$STD` and `$ZERO` that of the signature in the other alphabet, and of 64 zero bytes.
    form: String,
}

impl Default for Bent {
    fn default() -> Self {
        Self {
            header: json!({"alg": "HS256", "typ": "JWT"}),
            claims: json!({}),
            payload: None,
            utf16: false,
            secret: SECRET.into(),
            form: "$H.$P.$S".into(),
        }
    }
}

impl Bent {
    fn token(&self, now: UtcDateTime) -> String {
        let at = now.unix_timestamp();
        let mut good = json!({"sub": "a", "scope": "user:users:write", "iat": at, "exp": at + LIFETIME_S});
        good.as_object_mut().unwrap().extend(self.claims.as_object().unwrap().clone());
        let payload = self.payload.clone().unwrap_or_else(|| good.to_string());
        let payload = match self.utf16 {
            false => payload.into_bytes(),
            true => payload.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        };
        let header = URL_SAFE_NO_PAD.encode(self.header.to_string());
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let signature = self.signature(&header, &payload);
        self.form
            .replace("$H", &header)
            .replace("$P", &payload)
            .replace("$STD", &STANDARD.encode(&signature))
            .replace("$S", &URL_SAFE_NO_PAD.encode(&signature))
            .replace("$ZERO", &URL_SAFE_NO_PAD.encode([0; 64]))
    }

    fn signature(&self, header: &str, payload: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(format!("{header}.{payload}").as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
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
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload, json!({"exp": 60, "iat": 0, "sub": "a"}));
    }
}
