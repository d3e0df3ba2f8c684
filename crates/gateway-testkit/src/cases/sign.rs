//! How a step is signed: rightly by default, and wrongly in every way that a case needs.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use time::{Duration, UtcDateTime, format_description::well_known::Rfc3339};

/// The signature of a partner request; every member bends one part of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sign {
    /// The API key that is sent.
    pub key: String,
    /// The secret that signs.
    pub secret: String,
    /// Seconds from now, with a fraction.
    pub at_s: f64,
    /// The timestamp that is sent (and signed), instead; `$NOW(+05:30)`, `$NOW(lower)` and `$NOW(basic)`
    /// are now, in other spellings, `$YMD`, `$HMS` and `$EPOCH` its date, time and Unix time.
    pub timestamp: Option<String>,
    /// The timestamp that is signed, instead of the one sent.
    pub over_timestamp: Option<String>,
    /// The method that is signed.
    pub over_method: Option<String>,
    /// The target that is signed.
    pub over_target: Option<String>,
    /// The body that is signed.
    pub over_body: Option<String>,
    /// The signature that is sent; `$MAC` stands for the right one, `$MAC(62)` for so many digits
    /// of it, `$MAC(upper)` for upper case, `$MAC(base64)` for base64.
    pub signature: String,
    /// Headers that are left out.
    pub omit: Vec<String>,
}

impl Default for Sign {
    fn default() -> Self {
        Self {
            key: "demo-partner-key".into(),
            secret: "demo-partner-secret".into(),
            at_s: 0.0,
            timestamp: None,
            over_timestamp: None,
            over_method: None,
            over_target: None,
            over_body: None,
            signature: "$MAC".into(),
            omit: Vec::new(),
        }
    }
}

impl Sign {
    /// The three headers, less what is left out.
    #[must_use]
    pub fn headers(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        now: UtcDateTime,
    ) -> Vec<(String, String)> {
        let at = now + Duration::seconds_f64(self.at_s);
        let plain = at.format(&Rfc3339).unwrap();
        let timestamp = self.timestamp.as_ref().map_or(plain, |text| spelt(text, at));
        let mac = mac(
            self.secret.as_bytes(),
            self.over_method.as_deref().unwrap_or(method),
            self.over_target.as_deref().unwrap_or(target),
            self.over_timestamp.as_deref().unwrap_or(&timestamp),
            self.over_body.as_deref().map_or(body, str::as_bytes),
        );
        let signature = self
            .signature
            .replace("$MAC(upper)", &mac.to_uppercase())
            .replace("$MAC(62)", &mac[..62])
            .replace("$MAC(63)", &mac[..63])
            .replace("$MAC(base64)", &base64(&mac))
            .replace("$MAC", &mac);
        let rows = [
            ("X-Api-Key", self.key.clone()),
            ("X-Request-Timestamp", timestamp),
            ("X-Request-Signature", signature),
        ];
        let kept = rows.into_iter().filter(|(name, _)| !self.omit.iter().any(|omitted| omitted == name));
        kept.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Now, as a case spells it.
fn spelt(text: &str, at: UtcDateTime) -> String {
    let second = at.truncate_to_second().format(&Rfc3339).unwrap();
    let offset = at.to_offset(time::macros::offset!(+5:30)).format(&Rfc3339).unwrap();
    text.replace("$NOW(+05:30)", &offset)
        .replace("$NOW(lower)", &second.to_lowercase())
        .replace("$NOW(basic)", &second.replace(['-', ':'], ""))
        .replace("$YMD", &second[..10])
        .replace("$HMS", &second[11..19])
        .replace("$EPOCH", &at.unix_timestamp().to_string())
}

fn base64(hex: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    STANDARD.encode((0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>())
}

/// Lower-case hex of the HMAC-SHA256 of section A.3. Written again here, not called from the
/// gateway, so that the two are checked against each other.
#[must_use]
pub(crate) fn mac(secret: &[u8], method: &str, target: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{method}\n{target}\n{timestamp}\n").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
