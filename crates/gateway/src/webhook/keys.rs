//! The signatures of questions and answers (B.7): hex HMAC-SHA256, of a question over
//! `timestamp.body`, of an answer over its body.

use gateway_dialect::Secret;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use sha2::Sha256;

/// When a question was asked: milliseconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
/// A question's signature.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
/// An answer's.
pub const RESPONSE_SIGNATURE: HeaderName = HeaderName::from_static("x-response-signature");

/// How many secrets live at once, for rotation.
pub const SECRETS: usize = 2;

type Keyed = Hmac<Sha256>;

/// What both sides know.
#[derive(Clone)]
pub struct Keys(Vec<Keyed>);

impl Keys {
    /// Of one secret or more.
    #[must_use]
    pub fn new(secrets: &[Secret]) -> Self {
        // HMAC takes keys of any length.
        Self(secrets.iter().filter_map(|secret| Keyed::new_from_slice(secret.expose()).ok()).collect())
    }

    /// The signatures of a question, one for each secret, with a space between.
    #[must_use]
    pub fn of_request(&self, timestamp: &str, body: &[u8]) -> String {
        let one = |key: &Keyed| hex(key, &[timestamp.as_bytes(), b".", body]);
        self.0.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// The signature of an answer, by the first secret.
    #[must_use]
    pub fn of_response(&self, body: &[u8]) -> String {
        self.0.first().map_or_else(String::new, |key| hex(key, &[body]))
    }

    /// True for a signature of a question by any of the secrets.
    #[must_use]
    pub fn signed_request(&self, timestamp: &[u8], body: &[u8], signatures: &[u8]) -> bool {
        let parts = [timestamp, b".", body];
        signatures.split(|byte| *byte == b' ').fold(false, |any, one| any | self.is_signed(&parts, one))
    }

    /// True for a signature of an answer by any of the secrets.
    #[must_use]
    pub fn signed_response(&self, body: &[u8], signature: &[u8]) -> bool {
        self.is_signed(&[body], signature)
    }

    /// All are tried, always; each compares in constant time.
    fn is_signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        let mut given = [0; 32];
        let is_hex = signature.len() == 64 && faster_hex::hex_decode(signature, &mut given).is_ok();
        let matches = |key: &Keyed| over(key, parts).verify_slice(&given).is_ok();
        self.0.iter().fold(false, |any, key| any | matches(key)) && is_hex
    }
}

fn over(key: &Keyed, parts: &[&[u8]]) -> Keyed {
    let mut mac = key.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn hex(key: &Keyed, parts: &[&[u8]]) -> String {
    faster_hex::hex_string(&over(key, parts).finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> Keys {
        let secrets: Vec<_> =
            secrets.iter().map(|secret| Secret::new(secret.as_bytes().to_vec(), false)).collect();
        Keys::new(&secrets)
    }

    const TIME: &str = "1767225600000";
    const QUESTION: &[u8] = br#"{"projectId":"proj1234","data":{"username":"new_username"}}"#;
    const ASKED: &str = "9cd232b5b9b4b89dbf3b982979625abc845c010f51b0c0eb774131d62043fc36";
    const YES: &[u8] = br#"{"valid":true}"#;
    const APPROVED: &str = "d9bf941faa2cc2a1d3ac5ef8622f232db94342cc0906b43d0da1953f60ff2b76";
    const NO: &[u8] = br#"{"valid":false,"message":"Username not allowed"}"#;
    const REFUSED: &str = "cc78fb8965237e4d0e89ad5d1036e04134dd7057a329b8e4da340a330f0de606";

    #[test]
    fn the_vectors_hold() {
        let keys = keys(&["whsec_test"]);
        assert_eq!(keys.of_request(TIME, QUESTION), ASKED);
        assert_eq!((keys.of_response(YES), keys.of_response(NO)), (APPROVED.to_owned(), REFUSED.to_owned()));
        assert!(keys.signed_request(TIME.as_bytes(), QUESTION, ASKED.as_bytes()));
        assert!(keys.signed_response(YES, APPROVED.as_bytes()));
        assert!(keys.signed_response(YES, APPROVED.to_uppercase().as_bytes()));
        for wrong in ["", REFUSED, &APPROVED[..62], &APPROVED.replace('d', "g"), &format!(" {APPROVED}")] {
            assert!(!keys.signed_response(YES, wrong.as_bytes()), "{wrong}");
        }
        assert!(!keys.signed_response(br#"{"valid": true}"#, APPROVED.as_bytes()));
        assert!(!Keys::new(&[]).signed_response(YES, APPROVED.as_bytes()));
    }

    #[test]
    fn two_secrets_both_sign_and_both_are_believed() {
        let (both, new) = (keys(&["whsec_old", "whsec_test"]), keys(&["whsec_test"]));
        let signatures = both.of_request(TIME, QUESTION);
        assert!(signatures.ends_with(&format!(" {ASKED}")));
        assert!(new.signed_request(TIME.as_bytes(), QUESTION, signatures.as_bytes()));
        assert!(both.signed_response(YES, new.of_response(YES).as_bytes()));
        assert!(!new.signed_response(YES, both.of_response(YES).as_bytes()));
    }
}
