//! Credentials: what is taken is what an oracle of few lines would take, and what a client makes with
//! its secret is taken whatever it says.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use gateway::config;
use gateway_auth::{Authenticator, Identified, Presented, Verdict};
use gateway_core::{Error, Timestamp};
use gateway_testkit::cases::Sign;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use serde_json::Value;
use sha2::Sha256;
use time::{Date, Duration, Month, Time};

use super::{dialects::Spoken, seeds::NOW};
use crate::Bed;

/// The authenticators of the bed's mounts.
static MOUNTS: LazyLock<HashMap<String, Arc<dyn Authenticator>>> = LazyLock::new(|| {
    let config = config::load(&Bed::new().config(), &config::Overrides::default());
    let mounts = config.unwrap_or_else(|report| panic!("{report}")).mounts.into_iter();
    mounts.map(|mount| (mount.name.to_string(), mount.authenticator)).collect()
});

/// Who a mount says calls.
fn identified(mount: &str, presented: &Presented<'_>) -> Identified {
    match MOUNTS[mount].authenticate(presented, NOW) {
        Verdict::Ready(identified) => identified,
        Verdict::Pending(_) => panic!("nobody else is to be asked"),
    }
}

/// Who a read with this `Authorization` is by; nothing of it is in the error.
fn by_authorization(mount: &str, value: &[u8]) -> Option<Identified> {
    let headers: HeaderMap = [(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?)].into_iter().collect();
    let presented = Presented { method: "GET", target: "/", headers: &headers, body: b"", is_read: true };
    let identified = identified(mount, &presented);
    if let Err(Error { message, fields, .. }) = &identified {
        assert!(message.is_none() && fields.is_empty());
    }
    Some(identified)
}

/// A date-time is taken where it has the form of RFC 3339, and is the instant that its parts say.
pub(super) fn rfc3339(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let read = gateway_auth::fuzz::rfc3339(text);
    // A leap second has no other reading.
    if bytes.get(17..19) != Some(b"60") {
        assert_eq!(read, by_parts(bytes), "{text:?}");
    }
    read.is_some()
}

/// `YYYY-MM-DDThh:mm:ss[.f{1,9}](Z|±hh:mm)`, by its columns.
fn by_parts(bytes: &[u8]) -> Option<Timestamp> {
    let (head, tail) = bytes.split_at_checked(19)?;
    let number = |digits: &[u8]| {
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| std::str::from_utf8(digits).ok()?.parse::<u32>().ok()).flatten()
    };
    let small = |digits: &[u8]| u8::try_from(number(digits)?).ok();
    let marks = [4, 7, 10, 13, 16].map(|at| head[at].to_ascii_uppercase());
    if marks != *b"--T::" {
        return None;
    }
    let year = i32::try_from(number(&head[..4])?).ok()?;
    let date =
        Date::from_calendar_date(year, Month::try_from(small(&head[5..7])?).ok()?, small(&head[8..10])?)
            .ok()?;
    let (nanos, zone) = match tail.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let scale = 10_u32.checked_pow(9_u32.checked_sub(u32::try_from(digits).ok()?)?)?;
            (number(&rest[..digits])? * scale, &rest[digits..])
        }
        None => (0, tail),
    };
    let time =
        Time::from_hms_nano(small(&head[11..13])?, small(&head[14..16])?, small(&head[17..19])?, nanos)
            .ok()?;
    let offset = match zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let size = i64::from((hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?);
            if *sign == b'-' { -size } else { size }
        }
        _ => return None,
    };
    Timestamp::new(date, time).checked_sub(Duration::minutes(offset))
}

/// `METHOD target`, header lines, a body. A request is taken where the testkit signs the same; what the
/// client signs is taken.
pub(super) fn signature(bytes: &[u8]) -> bool {
    let Some(spoken) = Spoken::read(bytes) else { return false };
    let (method, target) = (spoken.method.as_str(), spoken.target);
    let presented = |headers| Presented { method, target, headers, body: spoken.body, is_read: false };
    let one = |name: &str| {
        let mut all = spoken.headers.get_all(name).iter();
        all.next().filter(|_| all.next().is_none())?.to_str().ok()
    };
    let is_right = |key: &str, timestamp: &str, signature: &str| {
        let sign = Sign { timestamp: Some(timestamp.to_owned()), ..Sign::default() };
        let made = sign.headers(method, target, spoken.body, NOW);
        let right = made.iter().any(|(_, value)| *value == signature.to_ascii_lowercase());
        let at = by_parts(timestamp.as_bytes());
        key == "demo-partner-key" && right && at.is_some_and(|at| (NOW - at).abs() <= Duration::minutes(1))
    };
    let given = one("x-api-key").zip(one("x-request-timestamp")).zip(one("x-request-signature"));
    let expected = given.is_some_and(|((key, timestamp), signature)| is_right(key, timestamp, signature));
    // A dollar stands for something else in the testkit's timestamps.
    if one("x-request-timestamp").is_none_or(|text| !text.contains(['$', '6'])) {
        assert_eq!(identified("partner", &presented(&spoken.headers)).is_ok(), expected);
    }
    let signed = MOUNTS["partner"].sign("demo-partner", &presented(&spoken.headers), NOW).unwrap();
    let signed: HeaderMap = signed.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
    assert!(identified("partner", &presented(&signed)).is_ok());
    expected
}

/// The value of `Authorization`: what is no token of the mount names nobody.
pub(super) fn bearer(bytes: &[u8]) -> bool {
    let Some(identified) = by_authorization("social", bytes) else { return false };
    let (scheme, token) = bytes.split_at(bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len()));
    let token = token.strip_prefix(b" ").unwrap_or_default();
    match identified {
        Ok(caller) => {
            assert!(scheme.eq_ignore_ascii_case(b"bearer"));
            let is_issued = token.rsplit(|byte| *byte == b'.').next().is_some_and(|mac| mac.len() == 43);
            assert!(if &*caller.client == "demo-service" {
                token == b"demo-service-token"
            } else {
                is_issued
            });
            true
        }
        Err(_) => {
            assert!(!(scheme.eq_ignore_ascii_case(b"bearer") && token == b"demo-service-token"));
            false
        }
    }
}

/// What a header may not bring (RFC 8725; RFC 7515, 4.1).
const KEYS: [&str; 11] = ["crit", "b64", "zip", "enc", "jwk", "jku", "kid", "x5u", "x5c", "x5t", "x5t#S256"];

/// A line that is a header, and claims: signed with the client's secret, they are taken where they say
/// what must be said.
pub(super) fn jwt(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, claims) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"demo-jwt-secret").unwrap();
    mac.update(signed.as_bytes());
    let mac = mac.finalize().into_bytes();
    let token = |mac: &[u8]| format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(mac));
    let identified = by_authorization("social", token(&mac).as_bytes()).unwrap();
    let mut other = mac;
    let at = usize::from(mac[0]) % 32;
    other[at] ^= 1;
    assert!(by_authorization("social", token(&other).as_bytes()).unwrap().is_err());
    let Ok(caller) = identified else { return false };
    let header: Value = serde_json::from_slice(header).unwrap();
    assert!(header["alg"] == "HS256" && KEYS.iter().all(|key| header.get(key).is_none()));
    let claims: Value = serde_json::from_slice(claims).unwrap();
    let now = NOW.unix_timestamp() as f64;
    assert!(claims["exp"].as_f64().is_some_and(|exp| exp + 30.0 > now));
    for from in ["iat", "nbf"] {
        assert!(claims.get(from).is_none_or(|from| from.as_f64().is_some_and(|from| from - 30.0 <= now)));
    }
    assert!(caller.subject.as_deref().is_some_and(|subject| claims["sub"] == subject && !subject.is_empty()));
    assert_eq!(&*caller.scope, claims.get("scope").map_or("", |scope| scope.as_str().unwrap()));
    let project = caller.namespace.unwrap();
    assert_eq!(
        project.as_str(),
        claims.get("projectId").map_or("proj1234", |project| project.as_str().unwrap())
    );
    true
}

/// A name and a password, and the value of `Authorization` itself.
pub(super) fn basic(bytes: &[u8]) -> bool {
    const DEMO: &str = "demo-supplier:demo-supplier-secret";
    if let Some(Ok(_)) = by_authorization("supplier", bytes) {
        let text = std::str::from_utf8(bytes).unwrap();
        let (scheme, rest) = text.split_once(' ').unwrap();
        assert!(scheme.eq_ignore_ascii_case("basic"));
        assert_eq!(STANDARD.decode(rest).as_deref(), Ok(DEMO.as_bytes()));
        return true;
    }
    let value = format!("Basic {}", STANDARD.encode(bytes));
    let is_pair =
        std::str::from_utf8(bytes).is_ok_and(|text| text.contains(':') && !text.contains(char::is_control));
    let headers: HeaderMap = [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
    let has_form = MOUNTS["supplier"].precheck(&headers, true).is_ok();
    assert_eq!(has_form, is_pair && value.len() - 6 <= 8 * 1024);
    assert_eq!(by_authorization("supplier", value.as_bytes()).unwrap().is_ok(), bytes == DEMO.as_bytes());
    bytes == DEMO.as_bytes()
}

/// The headers that the testkit signs with.
pub(super) fn sign(method: &str, target: &str, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let made = Sign::default().headers(method, target, body, NOW);
    made.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}
