//! What credentials of all kinds have in common: digests, keys, the header they stand in, and how
//! the configuration gives them.

use gateway_dialect::{Options, Secret};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// How many secrets of a client live at once, for rotation; all are tried, always.
pub(crate) const SECRETS: usize = 2;
/// Shorter keys are refused unless the mount says otherwise: the MAC has 32 bytes.
const MIN_SECRET_BYTES: usize = 32;
/// Longer credentials are not looked at.
pub(crate) const MAX_BYTES: usize = 8 * 1024;

pub(crate) type Keyed = Hmac<Sha256>;
pub(crate) type Digested = [u8; 32];

pub(crate) fn digest(bytes: &[u8]) -> Digested {
    Sha256::digest(bytes).into()
}

/// Both slots, always: an empty one holds the first key, or one that nobody has.
pub(crate) fn macs(secrets: &[Secret]) -> [Keyed; SECRETS] {
    let first = secrets.first();
    std::array::from_fn(|slot| keyed(secrets.get(slot).or(first).map_or(&[0x5a; 32][..], Secret::expose)))
}

/// HMAC takes keys of any length (RFC 2104, 2).
pub(crate) fn keyed(key: &[u8]) -> Keyed {
    Keyed::new_from_slice(key).unwrap_or_else(|_any_length| Keyed::new(&Default::default()))
}

pub(crate) fn mac(keyed: &Keyed, parts: &[&[u8]]) -> Digested {
    let mut mac = keyed.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// True where a candidate is one of these. Compares with each, whole, whatever came before.
pub(crate) fn any_is(expected: impl IntoIterator<Item = Digested>, candidate: &Digested) -> Choice {
    expected.into_iter().map(|one| one.ct_eq(candidate)).fold(Choice::from(0), |any, one| any | one)
}

/// The value of a header that is there once.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// Why `Authorization` holds no credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoCredential {
    /// No header, or an empty one.
    Missing,
    /// Something else, with a word for the log.
    Malformed(&'static str),
}

/// What follows the scheme and one space (RFC 9110, 11.4). The scheme is of either case; the rest
/// is of visible ASCII, without blanks.
pub(crate) fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Result<&'h str, NoCredential> {
    if !headers.contains_key(AUTHORIZATION) {
        return Err(NoCredential::Missing);
    }
    let value = single(headers, &AUTHORIZATION).ok_or(NoCredential::Malformed("two_headers"))?;
    if value.trim_ascii().is_empty() {
        return Err(NoCredential::Missing);
    }
    let text = std::str::from_utf8(value).map_err(|_not_ascii| NoCredential::Malformed("form"))?;
    let (given, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !given.eq_ignore_ascii_case(scheme) {
        return Err(NoCredential::Malformed("scheme"));
    }
    if rest.len() > MAX_BYTES {
        return Err(NoCredential::Malformed("too_long"));
    }
    if is_token(rest.as_bytes()) { Ok(rest) } else { Err(NoCredential::Malformed("form")) }
}

/// True for what can stand behind a scheme.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// True for a client with exactly one of these keys; others are noted.
pub(crate) fn has_one_of(options: &Options<'_>, keys: &[&str]) -> bool {
    let one = keys.iter().filter(|key| options.has(key)).count() == 1;
    if let ([first @ .., last], false) = (keys, one) {
        let first = first.join("`, `");
        options.problem_at(options.span(), format!("a client has exactly one of `{first}` and `{last}`"));
    }
    one
}

/// Up to two secrets by reference, where the key is given.
pub(crate) fn secrets(options: &mut Options<'_>, name: &'static str) -> Vec<Secret> {
    if options.has(name) {
        return options.secrets(name, SECRETS);
    }
    // Asked for, so that a slip of it is told what it may have been.
    options.text(name);
    Vec::new()
}

/// Text that is not empty.
pub(crate) fn text(options: &mut Options<'_>, name: &'static str) -> Option<String> {
    let text = options.text(name)?;
    if text.is_empty() {
        options.problem(name, format!("`{name}` is empty"));
    }
    Some(text)
}

/// SHA-256 digests, each of 64 hex digits.
pub(crate) fn digests(options: &mut Options<'_>, name: &'static str) -> Vec<Digested> {
    let texts = options.texts(name);
    if options.has(name) && !(1..=SECRETS).contains(&texts.len()) {
        options.problem(name, format!("`{name}` takes one value, or a list of up to {SECRETS}"));
    }
    let mut digests = Vec::new();
    for (text, span) in texts {
        match sha256(text.as_bytes()) {
            Some(digest) => digests.push(digest),
            None => options.problem_at(span, format!("`{name}` must be a SHA-256 digest: 64 hex digits")),
        }
    }
    digests
}

/// 64 hex digits, either case.
pub(crate) fn sha256(text: &[u8]) -> Option<Digested> {
    let mut digest = [0; 32];
    (text.len() == 64 && faster_hex::hex_decode(text, &mut digest).is_ok()).then_some(digest)
}

/// Notes keys that are shorter than their MACs.
pub(crate) fn refuse_short(options: &Options<'_>, name: &str, secrets: &[Secret], allow_short: bool) {
    let is_short = |one: &Secret| !one.is_demo() && one.expose().len() < MIN_SECRET_BYTES;
    if !allow_short && secrets.iter().any(is_short) {
        let message = format!(
            "`{name}` is shorter than {MIN_SECRET_BYTES} bytes; `allow_short_secrets = true` on the mount accepts it"
        );
        options.problem(name, message);
    }
}
