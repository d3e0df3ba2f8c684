//! Issuers that publish their keys: a file, or a URL that is asked (RFC 7517).

use std::sync::Arc;

use gateway_core::{Error, Namespace, Timestamp};
use gateway_dialect::Options;
use gateway_outbound::{Client, Endpoint, Terms as CallTerms, Trust};

use crate::{
    bearer::bad,
    claims::Terms,
    jwk::{Checked, KeySet},
    jws::{Algorithm, Compact, Header},
    keys::{FetchedKeys, Found, unavailable},
};

/// How many calls to one endpoint are under way at once.
const AT_ONCE: usize = 32;

/// An issuer, and its one algorithm.
pub(crate) struct Published {
    pub(crate) terms: Terms,
    pub(crate) algorithm: Algorithm,
    keys: Keys,
}

enum Keys {
    Fixed(KeySet),
    Fetched(Arc<FetchedKeys>),
    /// There was a mistake in the settings.
    None,
}

/// What an issuer's keys say of a token.
pub(crate) enum Signed {
    Good,
    Refused(Error),
    /// By a key that is not known yet.
    Ask,
}

impl Published {
    /// Reads `jwks_file`, or `jwks_url` with `allow_private` and `ca`; `algorithm`, `issuer` and
    /// `audience`, which must be there; `typ` and `leeway_s`.
    pub(crate) fn read(client: &Arc<str>, project: Option<Namespace>, options: &mut Options<'_>) -> Self {
        let terms = Terms::read(client, project, options);
        for name in ["issuer", "audience"] {
            if !options.has(name) {
                options.problem_at(
                    options.span(),
                    format!("`{name}` is missing: other services have the same issuer"),
                );
            }
        }
        let algorithm = algorithm(options);
        let keys = if options.has("jwks_url") {
            let called = self::client(options, "jwks_url", AT_ONCE);
            called.map(|called| Keys::Fetched(Arc::new(FetchedKeys::new(client, called, algorithm))))
        } else {
            let file = options.file("jwks_file");
            let parse = |bytes: Vec<u8>| {
                let wrong =
                    |what| options.problem("jwks_file", format!("the file of `jwks_file` must hold {what}"));
                KeySet::parse(&bytes, algorithm).map_err(wrong).ok()
            };
            file.and_then(parse).map(Keys::Fixed)
        };
        Self { terms, algorithm, keys: keys.unwrap_or(Keys::None) }
    }

    /// The keys, where they are fetched.
    pub(crate) const fn fetched(&self) -> Option<&Arc<FetchedKeys>> {
        match &self.keys {
            Keys::Fetched(keys) => Some(keys),
            Keys::Fixed(_) | Keys::None => None,
        }
    }

    /// Checks a token's signature by the keys that are there.
    pub(crate) fn check(&self, token: &Compact<'_>, header: &Header, now: Timestamp) -> Signed {
        let Some(signature) = token.signature() else { return Signed::Refused(bad("signature")) };
        let kid = header.kid.as_deref();
        let found = match &self.keys {
            Keys::Fixed(keys) => Found::Checked(keys.check(kid, token.input, &signature)),
            Keys::Fetched(keys) => keys.check(kid, token.input, &signature, now),
            Keys::None => Found::Unavailable(unavailable("issuer")),
        };
        match found {
            Found::Checked(Checked::Good) => Signed::Good,
            Found::Checked(Checked::Bad) => Signed::Refused(bad("signature")),
            Found::Checked(Checked::UnknownKey) => Signed::Refused(bad("unknown_key")),
            Found::Checked(Checked::Ambiguous) => Signed::Refused(bad("no_key_id")),
            Found::Unavailable(error) => Signed::Refused(error),
            Found::Ask => Signed::Ask,
        }
    }

    /// The same, once the issuer was asked.
    ///
    /// # Errors
    /// Why the token is not taken.
    pub(crate) async fn ask(
        &self,
        token: &Compact<'_>,
        header: &Header,
        now: Timestamp,
    ) -> Result<(), Error> {
        // The first fetch may be one that began before the key was published.
        for _ in 0..2 {
            if let Keys::Fetched(keys) = &self.keys {
                keys.ask(now).await?;
            }
            match self.check(token, header, now) {
                Signed::Good => return Ok(()),
                Signed::Refused(error) => return Err(error),
                Signed::Ask => {}
            }
        }
        Err(bad("unknown_key"))
    }
}

/// An issuer has one algorithm, so that no key is ever used for another.
fn algorithm(options: &mut Options<'_>) -> Algorithm {
    const CHOICES: [(&str, Algorithm); 3] =
        [("RS256", Algorithm::Rs256), ("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)];
    if !options.has("algorithm") {
        options.problem_at(options.span(), "`algorithm` is missing: \"RS256\", \"ES256\" or \"EdDSA\"");
    }
    options.choice("algorithm", &CHOICES, Algorithm::Rs256)
}

/// Reads the URL of another server, with `allow_private` and `ca`.
pub(crate) fn client(options: &mut Options<'_>, name: &'static str, at_once: usize) -> Option<Client> {
    let (url, allow_private) = (options.text(name), options.flag("allow_private", false));
    let trust = match options.has("ca") {
        true => options.file("ca").map(|pem| Trust::private(&pem)),
        false => Some(Ok(Trust::public())),
    };
    let trust = trust?.map_err(|why| options.problem("ca", format!("the file of `ca` {why}"))).ok();
    let endpoint = Endpoint::parse(&url?, allow_private);
    let endpoint = endpoint.map_err(|why| options.problem(name, format!("`{name}` {why}"))).ok();
    let terms = CallTerms { endpoint: endpoint?, trust: trust?, max_concurrent: at_once };
    Client::new(terms)
        .map_err(|_unusable| options.problem("ca", "the certificates of `ca` cannot be used"))
        .ok()
}
