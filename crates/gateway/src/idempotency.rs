//! Idempotency keys and used-up signatures: reading the header, and what the ledger keeps
//! (decisions 9, 18 and 19).

use std::sync::Arc;

use bytes::Bytes;
use gateway_core::{Caller, Error, ErrorKind, FieldError, LedgerKey, Place, Problem, Reach};
use gateway_dialect::{Answer, Hygiene, KeyForm};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Marks an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const HEADER: &str = "Idempotency-Key";
/// The longest key of a dialect that takes any string, in characters.
const LONGEST_KEY: u16 = 255;
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A key, and what it was used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Where it stands in the ledger.
    pub ledger_key: LedgerKey,
    /// SHA-256 of method, request target and body.
    pub fingerprint: [u8; 32],
}

/// Reads the header, which may be there once.
///
/// # Errors
/// [`ErrorKind::Invalid`] with the header's name.
pub fn key(headers: &HeaderMap, form: KeyForm) -> Result<Option<Vec<u8>>, Error> {
    let mut values = headers.get_all(KEY).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let text = first.to_str().unwrap_or_default();
    let (key, problem) = match form {
        KeyForm::Uuid => (uuid(text), Problem::Uuid),
        KeyForm::Text => (uuid(text).or_else(|| string(text)), Problem::Length { min: 1, max: LONGEST_KEY }),
    };
    match key.filter(|_| values.next().is_none()) {
        Some(key) => Ok(Some(key)),
        None => Err(Error::invalid(vec![FieldError { place: Place::Header(HEADER), problem }])),
    }
}

/// A bare UUID, or the same as a quoted string; not nil, not max.
fn uuid(text: &str) -> Option<Vec<u8>> {
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let key = (bare.len() == 36).then(|| Uuid::try_parse(bare).ok()).flatten();
    key.filter(|key| !key.is_nil() && !key.is_max()).map(|key| key.as_bytes().to_vec())
}

/// A string of RFC 8941, 3.3.3, of 1 to so many characters.
fn string(text: &str) -> Option<Vec<u8>> {
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?.bytes();
    let mut key = Vec::with_capacity(rest.len());
    while let Some(byte) = rest.next() {
        key.push(match byte {
            b'\\' => rest.next().filter(|byte| matches!(byte, b'"' | b'\\'))?,
            b'"' => return None,
            b' '..=b'~' => byte,
            _ => return None,
        });
    }
    (1..=usize::from(LONGEST_KEY)).contains(&key.len()).then_some(key)
}

/// The ledger key of something in the scope of a client (decision 9), and of the user that its
/// credential was given to: one user must not be answered with what another one stored. `kind` keeps
/// keys apart from signatures.
#[must_use]
pub fn ledger_key(kind: &str, reach: &Reach, caller: &Caller, key: &[u8]) -> LedgerKey {
    let namespace = reach.namespace().map_or("*", |namespace| namespace.as_str());
    let subject = caller.subject.as_deref().unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [kind, namespace, &caller.client, subject] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(key);
    let digest: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    LedgerKey(short)
}

/// SHA-256 of method, request target and body, and of those headers that a dialect counts in.
#[must_use]
pub fn fingerprint(
    method: &str,
    target: &str,
    counted: (&[HeaderName], &HeaderMap),
    body: &[u8],
) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method, target] {
        hash.update(part);
        hash.update([0]);
    }
    for name in counted.0 {
        for value in counted.1.get_all(name) {
            hash.update(value);
            hash.update([1]);
        }
        hash.update([0]);
    }
    hash.update(body);
    hash.finalize().into()
}

/// True where a refusal is a fact about the store, decided once execution began: such an answer is kept with
/// the request's key (decision 9). Bad fields are where they are told as 422, and it is the user's state that
/// makes them bad.
#[must_use]
pub fn is_kept(kind: ErrorKind, status: StatusCode) -> bool {
    kind.is_decided() || (kind == ErrorKind::Invalid && status == StatusCode::UNPROCESSABLE_ENTITY)
}

/// An answer as the ledger keeps it: status, whether common headers go with it, headers, body.
#[must_use]
pub fn pack(answer: &Answer) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(64 + answer.body.len());
    bytes.extend_from_slice(&answer.status.as_u16().to_be_bytes());
    bytes.push(u8::from(answer.hygiene == Hygiene::Full));
    for (name, value) in &answer.headers {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&answer.body);
    bytes.into()
}

/// The inverse of [`pack`], marked as a replay.
///
/// # Errors
/// [`ErrorKind::Internal`] for bytes that `pack` did not make.
pub fn unpack(bytes: &[u8]) -> Result<Answer, Error> {
    read(bytes).ok_or_else(|| Error::new(ErrorKind::Internal).cause("stored_answer"))
}

fn read(mut bytes: &[u8]) -> Option<Answer> {
    let status = StatusCode::from_u16(u16::from_be_bytes(take(&mut bytes, 2)?.try_into().ok()?)).ok()?;
    let hygiene = if take(&mut bytes, 1)? == [1] { Hygiene::Full } else { Hygiene::None };
    let mut headers = Vec::new();
    loop {
        let name = text(&mut bytes)?;
        if name.is_empty() {
            break;
        }
        let value = text(&mut bytes)?;
        headers.push((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?));
    }
    headers.push((REPLAYED, HeaderValue::from_static("true")));
    Some(Answer { status, headers, body: Bytes::copy_from_slice(bytes), hygiene })
}

fn text<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, usize::from(length))
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::Namespace;

    fn parsed(values: &[&str]) -> Option<Option<Vec<u8>>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        key(&headers, KeyForm::Uuid).ok()
    }

    #[test]
    fn keys_have_two_forms() {
        let uuid = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";
        let one = Some(Some(Uuid::try_parse(uuid).unwrap().as_bytes().to_vec()));
        assert_eq!(parsed(&[]), Some(None));
        for good in [uuid.to_owned(), uuid.to_uppercase(), format!("\"{uuid}\"")] {
            assert_eq!(parsed(&[&good]), one, "{good}");
        }
        let simple = uuid.replace('-', "");
        for bad in [
            "",
            "abc",
            "\"",
            "\"\"",
            &format!("{{{uuid}}}"),
            &format!("urn:uuid:{uuid}"),
            &simple,
            &format!("\"{uuid}"),
            &"a".repeat(4096),
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        ] {
            assert_eq!(parsed(&[bad]), None, "{bad}");
        }
        assert_eq!(parsed(&[uuid, uuid]), None);
    }

    #[test]
    fn answers_come_back_as_they_were_but_for_the_mark() {
        let headers = vec![(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        for body in [&b""[..], b"{\"a\":1}"] {
            let answer = Answer {
                status: StatusCode::CREATED,
                headers: headers.clone(),
                body: body.into(),
                hygiene: Hygiene::Full,
            };
            let back = unpack(&pack(&answer)).unwrap();
            assert_eq!(
                (back.status, &back.body, back.hygiene),
                (answer.status, &answer.body, answer.hygiene)
            );
            assert_eq!(back.headers.last(), Some(&(REPLAYED, HeaderValue::from_static("true"))));
            assert_eq!(back.headers[..1], answer.headers[..]);
        }
        for broken in [&b""[..], b"\0", b"\0\xc8", b"\0\xc8\x01\0", b"\0\xc8\x01\0\x09abc"] {
            assert!(unpack(broken).is_err());
        }
    }

    #[test]
    fn scopes_are_apart() {
        let reach = |name| Reach::Namespace(Namespace::parse(name).unwrap());
        let of = |client: &str| Caller::client(client);
        let user = Caller { subject: Some("1".into()), ..of("b") };
        let keys = [
            ledger_key("key", &reach("a"), &of("b"), b"1"),
            ledger_key("signature", &reach("a"), &of("b"), b"1"),
            ledger_key("key", &reach("ab"), &of(""), b"1"),
            ledger_key("key", &reach("a"), &of("c"), b"1"),
            ledger_key("key", &Reach::All, &of("b"), b"1"),
            ledger_key("key", &reach("a"), &user, b"1"),
            ledger_key("key", &reach("a"), &of("b"), b"2"),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
