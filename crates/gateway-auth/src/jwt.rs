//! Clients that issue tokens themselves: JSON Web Tokens (RFC 7519) with HS256, by a secret that they
//! share with the mount.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{Namespace, Timestamp};
use gateway_dialect::{Options, json::Json};

use crate::{
    claims::Terms,
    credential::{Digested, Keyed, SECRETS, any_is, digest, mac, macs, refuse_short, secrets},
};

/// How long a minted token lives.
const LIFE_S: i64 = 30 * 60;

/// A client that issues tokens.
pub(crate) struct Issuer {
    pub(crate) terms: Terms,
    /// Signs with the first.
    macs: [Keyed; SECRETS],
    digests: Vec<Digested>,
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
            terms: Terms::read(client, project, options),
            macs: macs(&secrets),
            digests: secrets.iter().map(|secret| digest(secret.expose())).collect(),
        }
    }

    pub(crate) fn client(&self) -> &str {
        &self.terms.client
    }

    /// SHA-256 of its secrets.
    pub(crate) fn digests(&self) -> &[Digested] {
        &self.digests
    }

    pub(crate) const fn has_audience(&self) -> bool {
        self.terms.audience.is_some()
    }

    fn signed(&self, input: &[u8], given: &Digested) -> bool {
        any_is(self.macs.iter().map(|keyed| mac(keyed, &[input])), given).into()
    }

    /// Makes a token that lives for half an hour.
    pub(crate) fn mint(&self, subject: Option<&str>, scope: Option<&str>, now: Timestamp) -> Option<String> {
        let text = |text| Json::Text(std::borrow::Cow::Borrowed(text));
        let time = |seconds: i64| Json::Number(seconds.into());
        let now_s = now.unix_timestamp();
        let header = object([
            ("alg", Some(text("HS256"))),
            ("typ", Some(text(self.terms.typ.as_deref().unwrap_or("JWT")))),
        ]);
        let claims = object([
            ("iss", self.terms.issuer.as_deref().map(text)),
            ("sub", subject.map(text)),
            ("aud", self.terms.audience.as_deref().map(text)),
            ("iat", Some(time(now_s))),
            ("exp", Some(time(now_s + LIFE_S))),
            ("scope", scope.map(text)),
            ("projectId", self.terms.project.as_ref().map(|project| text(project.as_str()))),
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

/// The issuer that made this signature. Computes the MAC with every key.
pub(crate) fn signer<'i>(
    issuers: &'i [Issuer],
    input: &[u8],
    signature: Option<&[u8]>,
) -> Option<&'i Issuer> {
    let signature = signature.and_then(|bytes| Digested::try_from(bytes).ok());
    let given = signature.unwrap_or_default();
    let signed = |found, issuer: &'i Issuer| if issuer.signed(input, &given) { Some(issuer) } else { found };
    issuers.iter().fold(None, signed).filter(|_| signature.is_some())
}

#[cfg(test)]
impl Issuer {
    /// With one key, and nothing else.
    pub(crate) fn of_key(client: &str, key: &[u8]) -> Self {
        let secrets = [gateway_dialect::Secret::new(key.to_vec(), false)];
        let terms = Terms {
            client: client.into(),
            issuer: None,
            audience: None,
            typ: None,
            project: None,
            leeway_s: 30,
        };
        Self { terms, macs: macs(&secrets), digests: Vec::new() }
    }
}
