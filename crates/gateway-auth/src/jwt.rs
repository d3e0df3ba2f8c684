//! JSON Web Tokens (RFC 7519) as compact JWS with HS256, and nothing else of JOSE (RFC 8725).
//!
//! The header chooses nothing: its algorithm is compared with the one there is, and a header that
//! brings or names a key, or asks for anything to be understood, is refused.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{Caller, Namespace, Timestamp};
use gateway_dialect::{
    Options,
    json::{self, Json},
};

use crate::credential::{Digested, Keyed, SECRETS, any_is, digest, mac, macs, refuse_short, secrets, text};

/// Header members that a token must not have: extensions, encryption, and keys. A client's keys
/// have no ids, so that every `kid` is unknown.
const REFUSED: [&str; 11] =
    ["crit", "b64", "zip", "enc", "jwk", "jku", "kid", "x5u", "x5c", "x5t", "x5t#S256"];
/// How long a minted token lives.
const LIFE_S: i64 = 30 * 60;
/// The end of year 9999; a time beyond is no time in seconds.
const MAX_TIME_S: i64 = 253_402_300_799;
const NANOS: i128 = 1_000_000_000;

/// A client that issues tokens.
pub(crate) struct Issuer {
    client: Arc<str>,
    /// Signs with the first.
    macs: [Keyed; SECRETS],
    digests: Vec<Digested>,
    issuer: Option<String>,
    audience: Option<String>,
    typ: Option<String>,
    project: Option<Namespace>,
    leeway_s: i64,
}

impl Issuer {
    /// Reads `jwt_secret` (one, or a list of two), `issuer`, `audience`, `typ` and `leeway_s`.
    pub(crate) fn read(
        client: &Arc<str>,
        project: Option<Namespace>,
        options: &mut Options<'_>,
        allow_short: bool,
    ) -> Self {
        let secrets = secrets(options, "jwt_secret");
        refuse_short(options, "jwt_secret", &secrets, allow_short);
        Self {
            client: Arc::clone(client),
            macs: macs(&secrets),
            digests: secrets.iter().map(|secret| digest(secret.expose())).collect(),
            issuer: text(options, "issuer"),
            audience: text(options, "audience"),
            typ: text(options, "typ"),
            project,
            leeway_s: options.integer("leeway_s", 0..=60).unwrap_or(30),
        }
    }

    pub(crate) fn client(&self) -> &str {
        &self.client
    }

    /// SHA-256 of its secrets.
    pub(crate) fn digests(&self) -> &[Digested] {
        &self.digests
    }

    pub(crate) const fn has_audience(&self) -> bool {
        self.audience.is_some()
    }

    fn signed(&self, input: &[u8], given: &Digested) -> bool {
        any_is(self.macs.iter().map(|keyed| mac(keyed, &[input])), given).into()
    }

    /// Checks who the token is from and for, and when it is good.
    fn accepts(&self, claims: &Json<'_>, now: Timestamp) -> Result<(), &'static str> {
        let now = now.unix_timestamp_nanos();
        let leeway = i128::from(self.leeway_s) * NANOS;
        let expires = instant(claims, "exp")?.ok_or("exp_missing")?;
        if now >= expires + leeway {
            return Err("expired");
        }
        // Issued later than now is not good yet, whatever `nbf` says.
        for from in [instant(claims, "nbf")?, instant(claims, "iat")?].into_iter().flatten() {
            if now < from - leeway {
                return Err("not_yet_good");
            }
        }
        let issuer = member(claims, "iss")?;
        if self.issuer.is_some() && issuer != self.issuer.as_deref() {
            return Err("issuer");
        }
        let is_for_us = audience(claims, self.audience.as_deref())?;
        if self.has_audience() && !is_for_us { Err("audience") } else { Ok(()) }
    }

    /// Who the claims say calls.
    ///
    /// # Errors
    /// A word for the log.
    pub(crate) fn caller(&self, claims: &Json<'_>, now: Timestamp) -> Result<Caller, &'static str> {
        self.accepts(claims, now)?;
        let subject = member(claims, "sub")?;
        let namespace = match member(claims, "projectId")? {
            Some(project) => Some(Namespace::parse(project).ok_or("project")?),
            None => self.project.clone(),
        };
        if subject == Some("") {
            return Err("claim");
        }
        Ok(Caller {
            client: Arc::clone(&self.client),
            subject: subject.map(Arc::from),
            namespace,
            scope: member(claims, "scope")?.unwrap_or_default().into(),
            is_anonymous: false,
        })
    }

    /// Makes a token that lives for half an hour.
    pub(crate) fn mint(&self, subject: Option<&str>, scope: Option<&str>, now: Timestamp) -> Option<String> {
        let text = |text| Json::Text(std::borrow::Cow::Borrowed(text));
        let time = |seconds: i64| Json::Number(seconds.into());
        let now_s = now.unix_timestamp();
        let header =
            object([("alg", Some(text("HS256"))), ("typ", Some(text(self.typ.as_deref().unwrap_or("JWT"))))]);
        let claims = object([
            ("iss", self.issuer.as_deref().map(text)),
            ("sub", subject.map(text)),
            ("aud", self.audience.as_deref().map(text)),
            ("iat", Some(time(now_s))),
            ("exp", Some(time(now_s + LIFE_S))),
            ("scope", scope.map(text)),
            ("projectId", self.project.as_ref().map(|project| text(project.as_str()))),
        ]);
        let part = |json| Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&json).ok()?));
        let input = format!("{}.{}", part(header)?, part(claims)?);
        let signature = URL_SAFE_NO_PAD.encode(mac(self.macs.first()?, &[input.as_bytes()]));
        Some(format!("{input}.{signature}"))
    }
}

fn object<'t, const N: usize>(members: [(&'static str, Option<Json<'t>>); N]) -> Json<'t> {
    let given = members.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
    Json::Object(given.collect())
}

/// The issuer that signed a token, and its claims, not yet read. Computes the MAC with every key.
///
/// # Errors
/// A word for the log.
pub(crate) fn authentic<'i>(
    token: &str,
    issuers: &'i [Issuer],
) -> Result<(&'i Issuer, Vec<u8>), &'static str> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("unknown_token");
    };
    let input = &token.as_bytes()[..header.len() + 1 + payload.len()];
    let signature = decoded(signature).and_then(|bytes| Digested::try_from(bytes).ok());
    let given = signature.unwrap_or_default();
    let signed = |found, issuer: &'i Issuer| if issuer.signed(input, &given) { Some(issuer) } else { found };
    let signer = issuers.iter().fold(None, signed);
    let typ = type_of(&decoded(header).ok_or("header")?)?;
    let issuer = signer.filter(|_| signature.is_some()).ok_or("signature")?;
    if issuer.typ.is_some() && typ.as_deref().map(media_type) != issuer.typ.as_deref().map(media_type) {
        return Err("typ");
    }
    Ok((issuer, decoded(payload).ok_or("claims")?))
}

/// The `typ` of a header that is otherwise as it must be.
fn type_of(header: &[u8]) -> Result<Option<String>, &'static str> {
    let header = json::parse(header).map_err(|_malformed| "header")?;
    let members = header.members().ok_or("header")?;
    if header.get("alg").and_then(Json::as_text) != Some("HS256") {
        return Err("algorithm");
    }
    if members.iter().any(|(name, _)| REFUSED.contains(&&**name)) {
        return Err("header_member");
    }
    Ok(member(&header, "typ")?.map(str::to_owned))
}

/// A media type as it is compared (RFC 7515, 4.1.9).
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
}

/// Base64url: no padding, no other alphabet, no stray bits at the end.
fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// A member that is text where it is there.
fn member<'c>(object: &'c Json<'_>, name: &str) -> Result<Option<&'c str>, &'static str> {
    object.get(name).map(|value| value.as_text().ok_or("claim")).transpose()
}

/// A time (RFC 7519, 2, `NumericDate`) in nanoseconds: a number, never a string of digits.
fn instant(claims: &Json<'_>, name: &str) -> Result<Option<i128>, &'static str> {
    let nanos = match claims.get(name) {
        None => return Ok(None),
        Some(Json::Number(number)) => number.as_i64().map_or_else(
            || number.as_f64().map(|seconds| (seconds * NANOS as f64) as i128),
            |seconds| Some(i128::from(seconds) * NANOS),
        ),
        Some(_) => None,
    };
    let possible = 0..=i128::from(MAX_TIME_S) * NANOS;
    nanos.filter(|nanos| possible.contains(nanos)).map(Some).ok_or("claim")
}

/// True where `aud`, one text or an array of such, holds this one.
fn audience(claims: &Json<'_>, ours: Option<&str>) -> Result<bool, &'static str> {
    let all = match claims.get("aud") {
        None => return Ok(false),
        Some(Json::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let texts: Option<Vec<_>> = all.iter().map(Json::as_text).collect();
    Ok(texts.ok_or("claim")?.into_iter().any(|one| Some(one) == ours))
}

#[cfg(test)]
impl Issuer {
    /// With one key, and nothing else.
    pub(crate) fn of_key(client: &str, key: &[u8]) -> Self {
        let secrets = [gateway_dialect::Secret::new(key.to_vec(), false)];
        Self {
            client: client.into(),
            macs: macs(&secrets),
            digests: Vec::new(),
            issuer: None,
            audience: None,
            typ: None,
            project: None,
            leeway_s: 30,
        }
    }
}
