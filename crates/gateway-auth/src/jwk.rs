//! Key sets that issuers publish (RFC 7517), and signatures by their keys.
//!
//! A key must fit: of the issuer's one algorithm, for checking signatures, strong enough, public. What
//! does not fit is not there, a key whose private half is published above all; a set without any key
//! that fits is none. Keys are never taken from anywhere else.

use gateway_dialect::json::{self, Json};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::{
    claims::member,
    jws::{Algorithm, decoded},
};

/// Members that only a private or a shared key has (RFC 7518, 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
/// RSA keys have a modulus of so many bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The least exponent of RSA keys; it has five bytes at most.
const RSA_MIN_EXPONENT: u64 = 65_537;
/// The length of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE: usize = 32;
/// The length of their signatures: two numbers of fixed length (RFC 7518, 3.4; RFC 8032).
const FIXED_SIGNATURE: usize = 64;

/// The keys of an issuer; at least one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    unfit: usize,
}

#[derive(Clone, PartialEq, Eq)]
struct Key {
    kid: Option<String>,
    public: Public,
}

#[derive(Clone, PartialEq, Eq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point that is not compressed.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What a set says of a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Checked {
    /// Made by the key.
    Good,
    /// Not made by the key.
    Bad,
    /// There is no such key.
    UnknownKey,
    /// The token names no key, and there are several.
    Ambiguous,
}

impl KeySet {
    /// Reads a set, for one algorithm.
    ///
    /// # Errors
    /// What it should be, without a word of what it is.
    pub(crate) fn parse(bytes: &[u8], algorithm: Algorithm) -> Result<Self, &'static str> {
        let set = json::parse(bytes).map_err(|_malformed| "strict JSON")?;
        let Some(Json::Array(keys)) = set.get("keys") else { return Err("a JSON Web Key Set") };
        let all = keys.len();
        let keys: Vec<_> = keys.iter().filter_map(|key| Key::read(key, algorithm)).collect();
        let unfit = all - keys.len();
        if keys.is_empty() {
            Err("a key set with a key that fits `algorithm`")
        } else {
            Ok(Self { keys, unfit })
        }
    }

    /// How many keys fit, and how many do not.
    #[must_use]
    pub(crate) const fn counts(&self) -> (usize, usize) {
        (self.keys.len(), self.unfit)
    }

    /// Checks a signature by the key of an id, which is compared exactly. A token without an id is
    /// taken only where there is one key, so that there is nothing to choose.
    pub(crate) fn check(&self, kid: Option<&str>, input: &[u8], signature: &[u8]) -> Checked {
        let mut keys: Box<dyn Iterator<Item = &Key>> = match (kid, self.keys.as_slice()) {
            (None, [only]) => Box::new(std::iter::once(only)),
            (None, _) => return Checked::Ambiguous,
            (Some(kid), all) => Box::new(all.iter().filter(move |key| key.kid.as_deref() == Some(kid))),
        };
        let Some(first) = keys.next() else { return Checked::UnknownKey };
        // Nothing keeps an issuer from giving one id to two keys.
        let is_good = std::iter::once(first).chain(keys).any(|key| key.public.signed(input, signature));
        if is_good { Checked::Good } else { Checked::Bad }
    }
}

impl Key {
    /// `None` where it does not fit.
    fn read(key: &Json<'_>, algorithm: Algorithm) -> Option<Self> {
        let text = |name| member(key, name).ok().flatten();
        let is = |name: &str, due: &str| key.get(name).is_none_or(|value| value.as_text() == Some(due));
        let may_verify = match key.get("key_ops") {
            None => true,
            Some(Json::Array(all)) => all.iter().any(|one| one.as_text() == Some("verify")),
            Some(_) => false,
        };
        let is_private = key.members()?.iter().any(|(name, _)| PRIVATE.contains(&&**name));
        if is_private || !may_verify || !is("use", "sig") || !is("alg", algorithm.as_str()) {
            return None;
        }
        let kid = member(key, "kid").ok()?.map(str::to_owned);
        let number = |name| text(name).and_then(decoded);
        let public = match (algorithm, text("kty")?, text("crv")) {
            (Algorithm::Rs256, "RSA", _) => rsa(number("n")?, number("e")?)?,
            (Algorithm::Es256, "EC", Some("P-256")) => p256(&number("x")?, &number("y")?)?,
            (Algorithm::EdDsa, "OKP", Some("Ed25519")) => {
                Public::Ed25519(number("x").filter(|x| x.len() == COORDINATE)?)
            }
            _ => return None,
        };
        Some(Self { kid, public })
    }
}

impl Public {
    fn signed(&self, input: &[u8], signature: &[u8]) -> bool {
        let fixed = || signature.len() == FIXED_SIGNATURE;
        match self {
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, input, signature).is_ok()
            }
            Self::P256(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                fixed() && key.verify(input, signature).is_ok()
            }
            Self::Ed25519(key) => {
                fixed() && UnparsedPublicKey::new(&ED25519, key).verify(input, signature).is_ok()
            }
        }
    }
}

/// Numbers without leading zeros (RFC 7518, 6.3.1): an odd modulus of enough bits, an odd exponent
/// that is neither small nor huge.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<Public> {
    let bits = (n.len() * 8).checked_sub(usize::try_from(n.first()?.leading_zeros()).ok()?)?;
    let exponent = e.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let fits = n.first() != Some(&0)
        && RSA_BITS.contains(&bits)
        && n.last()? % 2 == 1
        && (1..=5).contains(&e.len())
        && e.first() != Some(&0)
        && exponent >= RSA_MIN_EXPONENT
        && exponent % 2 == 1;
    fits.then_some(Public::Rsa { n, e })
}

/// Whether the point is on the curve is looked at with every signature.
fn p256(x: &[u8], y: &[u8]) -> Option<Public> {
    let fits = x.len() == COORDINATE && y.len() == COORDINATE;
    fits.then(|| Public::P256([&[4], x, y].concat()))
}
