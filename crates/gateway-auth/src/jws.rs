//! The compact form of a signed token (RFC 7515, 7.1), and its header.
//!
//! The header chooses nothing: its algorithm is compared with the issuer's, and a header that brings
//! a key or where to find one, or asks for anything to be understood, is refused (RFC 8725).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_dialect::json::{self, Json};

use crate::claims::member;

/// Header members that a token must not have: extensions, encryption, and keys. A `kid` may name a
/// key that is there already.
const REFUSED: [&str; 10] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"];

/// How tokens are signed (RFC 7518, 3.1; RFC 8037).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Algorithm {
    /// HMAC with SHA-256: a secret that both sides have.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name in headers and keys.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The three parts of a token.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// What is signed.
    pub(crate) input: &'t [u8],
}

impl<'t> Compact<'t> {
    pub(crate) fn split(token: &'t str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let input = token.as_bytes().get(..header.len() + 1 + payload.len())?;
        parts.next().is_none().then_some(Self { header, payload, signature, input })
    }

    /// # Errors
    /// As [`Header::read`].
    pub(crate) fn header(&self) -> Result<Header, NoHeader> {
        let bytes = decoded(self.header).ok_or(NoHeader::Unknown("header"))?;
        Header::read(&bytes)
    }

    pub(crate) fn signature(&self) -> Option<Vec<u8>> {
        decoded(self.signature)
    }

    /// The claims, not yet read.
    pub(crate) fn payload(&self) -> Option<Vec<u8>> {
        decoded(self.payload)
    }
}

/// What a token's header says.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    /// Which of the issuer's keys signed it.
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

/// Why a header is none of ours, with a word for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoHeader {
    /// The token may be something else altogether.
    Unknown(&'static str),
    /// Refused, whoever made it.
    Refused(&'static str),
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// For what is no header, or one that asks for what is never done.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, NoHeader> {
        let header = json::parse(bytes).map_err(|_malformed| NoHeader::Unknown("header"))?;
        let members = header.members().ok_or(NoHeader::Unknown("header"))?;
        let named = header.get("alg").and_then(Json::as_text);
        let algorithm = Algorithm::ALL.into_iter().find(|one| Some(one.as_str()) == named);
        if members.iter().any(|(name, _)| REFUSED.contains(&&**name)) {
            let cause = if algorithm.is_some() { "header_member" } else { "algorithm" };
            return Err(NoHeader::Refused(cause));
        }
        let algorithm = algorithm.ok_or(NoHeader::Unknown("algorithm"))?;
        let text = |name| {
            let value = member(&header, name).map_err(NoHeader::Refused)?;
            Ok(value.map(str::to_owned))
        };
        Ok(Self { algorithm, kid: text("kid")?, typ: text("typ")? })
    }
}

/// Base64url: no padding, no other alphabet, no stray bits at the end.
pub(crate) fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
