//! What was about to be sent, kept in the ledger before it is: so that a gateway that dies in between, or never
//! hears the answer, can find out later, or another one for it.
//!
//! An intent holds a request whole, secret documents included. It is sealed with a key made of the service's
//! credential, which is not kept beside it.

use aes_gcm_siv::{
    Aes256GcmSiv, Nonce,
    aead::{Aead as _, Generate as _, KeyInit as _, Payload},
};
use bytes::Bytes;
use gateway_core::{Guard, LedgerKey, UserId};
use gateway_record::{
    codec::{Reader, Writer},
    decode_ledger, encode_ledger,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};

use crate::call::Request;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
/// Attempts under one key; each came to nothing but maybe the last.
pub(crate) const MOST_ATTEMPTS: u32 = 64;

/// A write that is under way: what is sent, and what is true once it is done.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Intent {
    pub(crate) request: Request,
    /// The user that is written.
    pub(crate) user: UserId,
    pub(crate) kind: Kind,
    /// SHA-256 of the record of the user as it is to be, where it can be compared.
    pub(crate) after: Option<[u8; 32]>,
    pub(crate) guards: Vec<Guard>,
}

/// What is done to a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Create = 1,
    Update = 2,
    Delete = 3,
}

impl Intent {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(512 + self.request.body.len());
        out.u8(VERSION);
        out.blob(self.request.method.as_str().as_bytes());
        out.blob(self.request.target.as_bytes());
        out.number(self.request.headers.len() as u64);
        for (name, value) in &self.request.headers {
            out.blob(name.as_str().as_bytes());
            out.blob(value.as_bytes());
        }
        out.blob(&self.request.body);
        out.bytes(self.user.as_bytes());
        out.u8(self.kind as u8);
        out.option(self.after, |out, digest| out.bytes(&digest));
        out.number(self.guards.len() as u64);
        for guard in &self.guards {
            out.bytes(&guard.key.0);
            out.blob(&encode_ledger(&guard.record));
        }
        out.0
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader(bytes);
        if input.u8()? != VERSION {
            return None;
        }
        let method = Method::from_bytes(input.blob()?).ok()?;
        let target = String::from_utf8(input.blob()?.to_vec()).ok()?;
        let mut headers = HeaderMap::new();
        for _ in 0..input.number()? {
            let name = HeaderName::from_bytes(input.blob()?).ok()?;
            headers.append(name, HeaderValue::from_bytes(input.blob()?).ok()?);
        }
        let request = Request { method, target, headers, body: Bytes::copy_from_slice(input.blob()?) };
        let user = UserId::from_bytes(input.array()?);
        let kind = [Kind::Create, Kind::Update, Kind::Delete].get(usize::from(input.u8()?.checked_sub(1)?));
        let (kind, after) = (*kind?, input.option(Reader::array)?);
        let mut guards = Vec::new();
        for _ in 0..input.number()? {
            let key = LedgerKey(input.array()?);
            guards.push(Guard { key, record: decode_ledger(input.blob()?)? });
        }
        input.end()?;
        Some(Self { request, user, kind, after, guards })
    }
}

/// Seals intents, and opens them.
pub(crate) struct Sealer(Box<Aes256GcmSiv>);

impl Sealer {
    /// With a key made of the service's credential.
    pub(crate) fn new(credential: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"interlingua upstream intent\0");
        hash.update(credential);
        Self(Box::new(Aes256GcmSiv::new(&hash.finalize())))
    }

    /// The sealed bytes for a place in the ledger; `None` where there is no randomness.
    pub(crate) fn seal(&self, place: LedgerKey, intent: &Intent) -> Option<Vec<u8>> {
        let nonce = Nonce::try_generate().ok()?;
        let plain = intent.encode();
        let sealed = self.0.encrypt(&nonce, Payload { msg: &plain, aad: &place.0 }).ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    /// The inverse of [`Sealer::seal`]; `None` where the seal does not hold: another credential's.
    pub(crate) fn open(&self, place: LedgerKey, sealed: &[u8]) -> Option<Intent> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let plain = self.0.decrypt(&nonce.into(), Payload { msg: sealed, aad: &place.0 }).ok()?;
        Intent::decode(&plain)
    }
}

/// A place in the ledger that belongs to an attempt under a key.
pub(crate) fn place(kind: &str, key: LedgerKey, attempt: u32) -> LedgerKey {
    let mut hash = Sha256::new();
    hash.update(b"interlingua upstream ");
    hash.update(kind);
    hash.update([0]);
    hash.update(key.0);
    hash.update(attempt.to_be_bytes());
    LedgerKey(short(&hash.finalize()))
}

/// The Idempotency-Key that the service is sent: a UUID of the place of the attempt.
pub(crate) fn forwarded(key: LedgerKey, attempt: u32) -> [u8; 16] {
    place("key", key, attempt).0
}

fn short(digest: &[u8]) -> [u8; 16] {
    std::array::from_fn(|at| digest[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{LedgerRecord, Timestamp};

    fn intent() -> Intent {
        let record = LedgerRecord {
            fingerprint: [7; 32],
            at: Timestamp::UNIX_EPOCH,
            user: Some(UserId::from_bytes([3; 16])),
            answer: Some(b"answer".to_vec().into()),
        };
        let request = Request {
            method: Method::PUT,
            target: "/users/x".to_owned(),
            headers: HeaderMap::from_iter([(http::header::IF_MATCH, HeaderValue::from_static("\"1\""))]),
            body: Bytes::from_static(b"{\"a\":1}"),
        };
        let guards = vec![Guard { key: LedgerKey([9; 16]), record }];
        Intent {
            request,
            user: UserId::from_bytes([3; 16]),
            kind: Kind::Update,
            after: Some([5; 32]),
            guards,
        }
    }

    #[test]
    fn an_intent_is_read_back_in_its_place_by_whoever_has_the_credential() {
        let (place, other) = (place("intent", LedgerKey([1; 16]), 0), place("intent", LedgerKey([1; 16]), 1));
        let sealer = Sealer::new(b"token");
        let sealed = sealer.seal(place, &intent()).unwrap();
        assert_eq!(sealer.open(place, &sealed), Some(intent()));
        assert_eq!(sealer.open(other, &sealed), None);
        assert_eq!(Sealer::new(b"another").open(place, &sealed), None);
        assert!(!sealed.windows(6).any(|bytes| bytes == b"answer" || bytes == b"{\"a\":1"));
        for cut in 0..sealed.len() {
            assert_eq!(sealer.open(place, &sealed[..cut]), None);
        }
    }

    #[test]
    fn bytes_that_are_no_intent_are_none() {
        let whole = intent().encode();
        assert_eq!(Intent::decode(&whole), Some(intent()));
        for cut in 0..whole.len() {
            assert_eq!(Intent::decode(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(Intent::decode(&[&whole[..], &[0]].concat()), None);
    }

    #[test]
    fn places_are_apart() {
        let (a, b) = (LedgerKey([1; 16]), LedgerKey([2; 16]));
        let places = [
            place("intent", a, 0),
            place("end", a, 0),
            place("intent", a, 1),
            place("intent", b, 0),
            LedgerKey(forwarded(a, 0)),
        ];
        let distinct: std::collections::BTreeSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len());
    }
}
