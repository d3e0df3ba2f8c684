//! Bearer tokens (RFC 6750, decisions 25 and 35): opaque ones, known by their digests, and such as
//! clients issue.

use std::{collections::HashMap, sync::Arc};

use gateway_core::{Caller, Error, ErrorKind, Namespace, Timestamp};
use gateway_dialect::{
    Options, Secret,
    json::{self, Json},
};
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use crate::{
    Authenticator, ClientOptions, Identified, Presented, Verdict,
    credential::{
        Digested, NoCredential, authorization, digest, digests, has_one_of, is_token, secrets, text,
    },
    jwt::{self, Issuer},
};

/// The client of a request without a credential, where reads need none.
const ANONYMOUS: &str = "anonymous";
/// Stands for a token of which only the digest is known.
const PLACEHOLDER: &str = "$TOKEN";
const KINDS: [&str; 3] = ["token", "token_sha256", "jwt_secret"];

/// A client with tokens of its own.
struct Opaque {
    caller: Caller,
    /// Where it is known.
    token: Option<Secret>,
    has_linked_identity: bool,
}

/// The authenticator of mounts whose clients bear tokens.
pub struct Bearer {
    opaque: Vec<Opaque>,
    /// SHA-256 of a token → its client. Looking up a digest tells nothing about tokens.
    by_token: HashMap<Digested, usize>,
    issuers: Vec<Issuer>,
    requires_subject: bool,
    has_public_reads: bool,
    linked_identity_claim: Option<String>,
}

impl Bearer {
    /// Reads `require_subject`, `public_reads`, `linked_identity_claim` and `allow_short_secrets` of
    /// the mount; of each client `project`, and either `token` or `token_sha256` (one, or a list of
    /// two) with `scope` and `linked_identity`, or `jwt_secret` (likewise) with `issuer`, `audience`,
    /// `typ` and `leeway_s`.
    pub fn build(mount: &mut Options<'_>, clients: &mut [ClientOptions<'_>]) -> Arc<dyn Authenticator> {
        let requires_subject = mount.flag("require_subject", false);
        Self::read(mount, clients, requires_subject)
    }

    /// As [`Bearer::build`], for dialects in which every issued token is a user's.
    pub fn build_with_subject(
        mount: &mut Options<'_>,
        clients: &mut [ClientOptions<'_>],
    ) -> Arc<dyn Authenticator> {
        if !mount.flag("require_subject", true) {
            mount.problem("require_subject", "this dialect takes no issued token without a subject");
        }
        Self::read(mount, clients, true)
    }

    fn read(
        mount: &mut Options<'_>,
        clients: &mut [ClientOptions<'_>],
        requires_subject: bool,
    ) -> Arc<dyn Authenticator> {
        let mut built = Self {
            opaque: Vec::new(),
            by_token: HashMap::new(),
            issuers: Vec::new(),
            requires_subject,
            has_public_reads: mount.flag("public_reads", false),
            linked_identity_claim: text(mount, "linked_identity_claim"),
        };
        let allow_short = mount.flag("allow_short_secrets", false);
        for (name, options) in clients {
            has_one_of(options, KINDS);
            let project = project(options);
            let tokens = secrets(options, "token");
            let hashes = digests(options, "token_sha256");
            if options.has("jwt_secret") {
                let issuer = Issuer::read(name, project, options, allow_short);
                built.add_issuer(issuer, options);
            } else {
                options.text("jwt_secret");
                built.add_opaque(
                    Caller { namespace: project, ..Caller::client(Arc::clone(name)) },
                    tokens,
                    hashes,
                    options,
                );
            }
        }
        Arc::new(built)
    }

    fn add_issuer(&mut self, issuer: Issuer, options: &Options<'_>) {
        let digests = issuer.digests();
        let known = |digest: &Digested| self.issuers.iter().any(|other| other.digests().contains(digest));
        if digests.iter().any(known) || digests.first().is_some_and(|first| digests[1..].contains(first)) {
            options.problem("jwt_secret", "`jwt_secret` is another client's, or there twice");
        }
        self.issuers.push(issuer);
    }

    fn add_opaque(
        &mut self,
        caller: Caller,
        tokens: Vec<Secret>,
        hashes: Vec<Digested>,
        options: &mut Options<'_>,
    ) {
        if tokens.iter().any(|token| !is_token(token.expose())) {
            options.problem("token", "`token` cannot be sent: it must be visible ASCII, without blanks");
        }
        let all = tokens.iter().map(|token| digest(token.expose())).chain(hashes);
        for digest in all.collect::<Vec<_>>() {
            if self.by_token.insert(digest, self.opaque.len()).is_some() {
                let key = if tokens.is_empty() { "token_sha256" } else { "token" };
                options.problem(key, format!("`{key}` is another client's, or there twice"));
            }
        }
        self.opaque.push(Opaque {
            caller: Caller { scope: scope(options).into(), ..caller },
            token: tokens.into_iter().next(),
            has_linked_identity: options.flag("linked_identity", false),
        });
    }

    fn identify(&self, request: &Presented<'_>, now: Timestamp) -> Identified {
        let token = match authorization(request.headers, "Bearer") {
            Ok(token) => token,
            Err(NoCredential::Malformed(cause)) => return Err(bad(cause)),
            Err(NoCredential::Missing) => return self.nobody(request.is_read),
        };
        let known = self.by_token.get(&digest(token.as_bytes())).and_then(|at| self.opaque.get(*at));
        match known {
            Some(client) => self.linked(client.has_linked_identity).map(|()| client.caller.clone()),
            None => self.issued(token, now),
        }
    }

    fn issued(&self, token: &str, now: Timestamp) -> Identified {
        let (issuer, payload) = jwt::authentic(token, &self.issuers).map_err(bad)?;
        let claims = json::parse(&payload).map_err(|_malformed| bad("claims"))?;
        let caller = issuer.caller(&claims, now).map_err(bad)?;
        if self.requires_subject && caller.subject.is_none() {
            return Err(bad("no_subject"));
        }
        let claim = self.linked_identity_claim.as_ref().and_then(|name| claims.get(name));
        self.linked(claim.is_some_and(|claim| *claim != Json::Null))?;
        Ok(caller)
    }

    /// Refuses a good token without the linked identity that the mount demands.
    fn linked(&self, is_linked: bool) -> Result<(), Error> {
        if self.linked_identity_claim.is_none() || is_linked {
            return Ok(());
        }
        Err(Error::new(ErrorKind::LinkedIdentityMissing).cause("no_linked_identity"))
    }

    /// A request without a credential.
    fn nobody(&self, is_read: bool) -> Identified {
        if self.has_public_reads && is_read {
            return Ok(Caller { is_anonymous: true, ..Caller::client(ANONYMOUS) });
        }
        Err(Error::new(ErrorKind::MissingCredential).cause("header_missing"))
    }

    fn issuer(&self, client: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.client() == client)
    }
}

impl Authenticator for Bearer {
    fn precheck(&self, headers: &HeaderMap, is_read: bool) -> Result<(), Error> {
        match authorization(headers, "Bearer") {
            Err(NoCredential::Missing) => self.nobody(is_read).map(|_anonymous| ()),
            Ok(_) | Err(NoCredential::Malformed(_)) => Ok(()),
        }
    }

    fn authenticate<'a>(&'a self, request: &Presented<'a>, now: Timestamp) -> Verdict<'a> {
        Verdict::Ready(self.identify(request, now))
    }

    fn mint(
        &self,
        client: &str,
        subject: Option<&str>,
        scope: Option<&str>,
        now: Timestamp,
    ) -> Option<String> {
        self.issuer(client)?.mint(subject, scope, now)
    }

    fn keys_without_audience(&self) -> Vec<[u8; 32]> {
        let open = self.issuers.iter().filter(|issuer| !issuer.has_audience());
        open.flat_map(Issuer::digests).copied().collect()
    }

    fn sign(&self, client: &str, _: &Presented<'_>, now: Timestamp) -> Option<Vec<(HeaderName, String)>> {
        let own = self.opaque.iter().find(|one| &*one.caller.client == client);
        let token = match own.map(|own| own.token.as_ref()) {
            Some(Some(token)) => String::from_utf8(token.expose().to_vec()).ok()?,
            Some(None) => PLACEHOLDER.to_owned(),
            None => self.issuer(client)?.mint(Some(client), None, now)?,
        };
        Some(vec![(AUTHORIZATION, format!("Bearer {token}"))])
    }
}

fn bad(cause: &'static str) -> Error {
    Error::new(ErrorKind::BadCredential).cause(cause)
}

fn project(options: &mut Options<'_>) -> Option<Namespace> {
    let project = Namespace::parse(&options.text("project")?);
    if project.is_none() {
        options.problem("project", "`project` must be 1 to 64 letters, digits, `.`, `_` or `-`");
    }
    project
}

/// Scopes (RFC 6749, 3.3), one space between them.
fn scope(options: &mut Options<'_>) -> String {
    let scope = options.text("scope").unwrap_or_default();
    let is_scope = |one: &str| {
        !one.is_empty() && one.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
    };
    if options.has("scope") && !scope.split(' ').all(is_scope) {
        options.problem("scope", "`scope` must be scopes with one space between them");
    }
    scope
}
