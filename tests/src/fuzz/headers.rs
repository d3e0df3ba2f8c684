//! Header fields: media types, Idempotency-Key, Content-Digest; and answers as the ledger packs them.

use base64::{Engine, engine::general_purpose::STANDARD};
use gateway::{digest as content_digest, idempotency};
use gateway_dialect::{Answer, Hygiene, KeyForm, Request, Target, json_body};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use super::dialects;

/// The lines of an input as values of a header; `None` where one cannot be a value.
fn values(bytes: &[u8], name: header::HeaderName) -> Option<HeaderMap> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Some((name.clone(), HeaderValue::from_bytes(line).ok()?))).collect()
}

/// Lines of `Content-Type`, an empty line, lines of `Accept`. The order of `Accept` lines says nothing,
/// what is ours fits beside whatever else is asked for, and a type is of either case.
pub(super) fn media(bytes: &[u8]) -> bool {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (types, ranges) = bytes.split_at(at);
    let Some((mut headers, accept)) = values(types, header::CONTENT_TYPE).zip(values(ranges, header::ACCEPT))
    else {
        return false;
    };
    let plain = json_body(&headers).is_ok();
    let starts = |headers: &HeaderMap, start: &str| {
        let value = headers.get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_ascii_lowercase();
        let rest = value.trim_start().strip_prefix(start).expect("another type");
        assert!(rest.is_empty() || rest.trim_start().starts_with(';'), "{value:?}");
    };
    if plain && !headers.is_empty() {
        starts(&headers, "application/json");
    }
    let ours = negotiates(&headers, true);
    if ours {
        starts(&headers, "application/vnd.api+json");
    }
    let (says_type, says_range) = (!headers.is_empty(), !accept.is_empty());
    headers.extend(accept);
    let fits = negotiates(&headers, false);
    let lines: Vec<_> = headers.get_all(header::ACCEPT).iter().rev().cloned().collect();
    let mut turned = HeaderMap::new();
    turned.extend(lines.into_iter().map(|line| (header::ACCEPT, line)));
    assert_eq!(negotiates(&turned, false), fits, "the order of the lines of Accept counts");
    turned.append(header::ACCEPT, HeaderValue::from_static("application/vnd.api+json"));
    assert!(negotiates(&turned, false), "ours does not fit");
    (plain || ours) && says_type || fits && says_range
}

/// What the JSON:API dialect says to a request with these headers.
fn negotiates(headers: &HeaderMap, has_body: bool) -> bool {
    let dialect = dialects::dialect("jsonapi");
    let route = dialect.routes().iter().find(|route| route.verb.has_body() == has_body).unwrap();
    let target = Target::new(route, [Some("a"), None, None]);
    let request = Request { target, query: None, headers, body: if has_body { b"{}" } else { b"" } };
    dialect.negotiate(&request).is_ok()
}

/// A key is one that its own text names, in one of two spellings.
pub(super) fn idempotency_key(bytes: &[u8]) -> bool {
    let Some(headers) = values(bytes, header::HeaderName::from_static("idempotency-key")) else {
        return false;
    };
    let given: Vec<_> = headers.values().collect();
    match idempotency::key(&headers, KeyForm::Uuid) {
        Ok(None) => assert!(given.is_empty()),
        Ok(Some(key)) => {
            let key = uuid::Uuid::from_slice(&key).unwrap();
            let text = given[0].to_str().unwrap().to_ascii_lowercase();
            assert!(
                given.len() == 1 && (text == key.to_string() || text == format!("\"{key}\"")),
                "{text:?}"
            );
            assert!(!key.is_nil() && !key.is_max());
            return true;
        }
        Err(error) => assert!(!given.is_empty() && error.message.is_none()),
    }
    false
}

/// A line of `Content-Digest`, and a body. A right digest beside what is taken is taken, a wrong one
/// beside whatever else never.
pub(super) fn digest(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, body) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    let check = |line: &[u8]| {
        let value = HeaderValue::from_bytes(line).ok()?;
        let headers = [(header::HeaderName::from_static("content-digest"), value)].into_iter().collect();
        Some(content_digest::check(&headers, body).is_ok())
    };
    let Some(is_good) = check(line) else { return false };
    let with = |hash: &[u8]| [line, b", sha-256=:", STANDARD.encode(hash).as_bytes(), b":"].concat();
    let right = Sha256::digest(body);
    assert_eq!(check(&with(&right)), Some(is_good));
    assert_eq!(check(&with(&Sha256::digest(right))), Some(false));
    is_good && !line.is_empty()
}

/// What is unpacked and packed again is unpacked the same.
pub(super) fn packed_answer(bytes: &[u8]) -> bool {
    let Ok(answer) = idempotency::unpack(bytes) else { return false };
    assert!(answer.body.len() <= bytes.len() && answer.headers.len() <= bytes.len());
    let marked = answer.headers.len() - 1;
    let again = idempotency::unpack(&idempotency::pack(&without_mark(&answer))).expect("packed here");
    let parts = |one: &Answer| (one.status, one.hygiene, one.headers.clone(), one.body.clone());
    assert_eq!(parts(&again), parts(&answer));
    assert_eq!(answer.headers[marked].0, "idempotency-replayed");
    true
}

fn without_mark(answer: &Answer) -> Answer {
    let mut plain = Answer::empty(StatusCode::OK, Hygiene::None);
    plain.status = answer.status;
    plain.hygiene = answer.hygiene;
    plain.body = answer.body.clone();
    plain.headers = answer.headers[..answer.headers.len() - 1].to_vec();
    plain
}
