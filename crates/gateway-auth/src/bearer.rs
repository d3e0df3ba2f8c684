//! Bearer tokens (RFC 6750, decisions 25 and 35): opaque ones, known by their digests, such as clients
//! and other servers issue, and such as another server is asked about.

use std::{collections::HashMap, sync::Arc};

use gateway_core::{Caller, Error, ErrorKind, Namespace, Timestamp};
use gateway_dialect::{Options, Secret, json};
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use crate::{
    Authenticator, ClientOptions, Identified, Manner, Outside, Presented, Verdict,
    claims::{Demands, Terms},
    credential::{
        Digested, NoCredential, authorization, digest, digests, has_one_of, is_token, secrets, text,
    },
    introspection::{self, Introspector},
    jws::{Algorithm, Compact, Header, NoHeader},
    jwt::{self, Issuer},
    published::{Published, Signed, client},
};

/// The client of a request without a credential, where reads need none.
const ANONYMOUS: &str = "anonymous";
/// Stands for a token of which only the digest is known, or that another server makes.
const PLACEHOLDER: &str = "$TOKEN";
const KINDS: [&str; 6] =
    ["token", "token_sha256", "jwt_secret", "jwks_file", "jwks_url", "introspection_url"];
/// How many tokens are asked about at once.
const INTROSPECTIONS: usize = 64;

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
    published: Vec<Published>,
    outside: Outside,
    demands: Demands,
    has_public_reads: bool,
}

/// What is known of an issued token without asking anybody.
enum Found<'b, 't> {
    /// Whose it is, and its claims, not yet read.
    Authentic(&'b Terms, Vec<u8>),
    /// Not taken, whoever else may know it.
    Refused(Error),
    /// Signed by a key that its issuer may have by now.
    Ask(&'b Published, Compact<'t>, Header),
    /// Nobody's here, with a word for the log.
    Unknown(&'static str),
}

impl Bearer {
    /// Reads `require_subject`, `public_reads`, `linked_identity_claim` and `allow_short_secrets` of
    /// the mount; of each client `project`, and one of
    /// - `token` or `token_sha256` (one, or a list of two), with `scope` and `linked_identity`;
    /// - `jwt_secret` (likewise), with `issuer`, `audience`, `typ` and `leeway_s`;
    /// - `jwks_file` or `jwks_url`, likewise with these and `algorithm`;
    /// - `introspection_url`, with `introspection_client_id` and `introspection_secret`, and these but
    ///   `typ`.
    ///
    /// A URL may have `allow_private` and `ca`.
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
            published: Vec::new(),
            outside: Outside::default(),
            demands: Demands {
                requires_subject,
                linked_identity_claim: text(mount, "linked_identity_claim"),
            },
            has_public_reads: mount.flag("public_reads", false),
        };
        let allow_short = mount.flag("allow_short_secrets", false);
        for (name, options) in clients {
            has_one_of(options, &KINDS);
            built.add(name, options, allow_short);
        }
        Arc::new(built)
    }

    fn add(&mut self, name: &Arc<str>, options: &mut Options<'_>, allow_short: bool) {
        let project = project(options);
        let tokens = secrets(options, "token");
        let hashes = digests(options, "token_sha256");
        let kind = KINDS.into_iter().find(|kind| options.has(kind)).unwrap_or_default();
        // Asked for, so that a slip of it is told what it may have been.
        for other in &KINDS[2..] {
            if !options.has(other) {
                options.text(other);
            }
        }
        match kind {
            "jwt_secret" => {
                let issuer = Issuer::read(name, project, options, allow_short);
                self.add_issuer(issuer, options);
            }
            "jwks_file" | "jwks_url" => {
                let published = Published::read(name, project, options);
                self.add_published(published, options);
            }
            "introspection_url" => self.add_introspector(name, project, options),
            _ => {
                let caller = Caller { namespace: project, ..Caller::client(Arc::clone(name)) };
                self.add_opaque(caller, tokens, hashes, options);
            }
        }
    }

    fn add_issuer(&mut self, issuer: Issuer, options: &Options<'_>) {
        let digests = issuer.digests();
        let known = |digest: &Digested| self.issuers.iter().any(|other| other.digests().contains(digest));
        if digests.iter().any(known) || digests.first().is_some_and(|first| digests[1..].contains(first)) {
            options.problem("jwt_secret", "`jwt_secret` is another client's, or there twice");
        }
        self.refuse_same_issuer(issuer.terms.issuer.as_ref().filter(|_| !self.published.is_empty()), options);
        self.issuers.push(issuer);
    }

    fn add_published(&mut self, published: Published, options: &Options<'_>) {
        self.refuse_same_issuer(published.terms.issuer.as_ref(), options);
        self.outside.keys.extend(published.fetched().map(Arc::clone));
        self.published.push(published);
    }

    /// An issuer has one algorithm, and one set of keys.
    fn refuse_same_issuer(&self, issuer: Option<&String>, options: &Options<'_>) {
        let shared = self.issuers.iter().map(|one| &one.terms);
        let mut all = shared.chain(self.published.iter().map(|one| &one.terms));
        if issuer.is_some() && all.any(|terms| terms.issuer.as_ref() == issuer) {
            options.problem(
                "issuer",
                "another client has the same `issuer`; an issuer has one algorithm and one set of keys",
            );
        }
    }

    fn add_introspector(&mut self, name: &Arc<str>, project: Option<Namespace>, options: &mut Options<'_>) {
        let terms = Terms {
            client: Arc::clone(name),
            issuer: text(options, "issuer"),
            audience: text(options, "audience"),
            typ: None,
            project,
            leeway_s: options.integer("leeway_s", 0..=60).unwrap_or(30),
        };
        let id = options.required_text("introspection_client_id").unwrap_or_default();
        let secret = options.secrets("introspection_secret", 1).pop();
        let client = client(options, "introspection_url", INTROSPECTIONS);
        let credential = secret.and_then(|secret| introspection::credential(&id, &secret));
        if self.outside.introspector.is_some() {
            options.problem(
                "introspection_url",
                "another client has an `introspection_url`; a mount asks one server",
            );
        }
        let Some((client, credential)) = client.zip(credential) else { return };
        let introspector = Introspector::new(client, credential, terms, self.demands.clone());
        self.outside.introspector = Some(Arc::new(introspector));
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

    fn identify<'a>(&'a self, request: &Presented<'a>, now: Timestamp) -> Verdict<'a> {
        let token = match authorization(request.headers, "Bearer") {
            Ok(token) => token,
            Err(NoCredential::Malformed(cause)) => return Verdict::Ready(Err(bad(cause))),
            Err(NoCredential::Missing) => return Verdict::Ready(self.nobody(request.is_read)),
        };
        let known = self.by_token.get(&digest(token.as_bytes())).and_then(|at| self.opaque.get(*at));
        if let Some(client) = known {
            let linked = self.demands.linked(client.has_linked_identity);
            return Verdict::Ready(linked.map_err(refused).map(|()| client.caller.clone()));
        }
        match self.find(token, now) {
            Found::Authentic(terms, payload) => Verdict::Ready(self.told(terms, &payload, now)),
            Found::Refused(error) => Verdict::Ready(Err(error)),
            Found::Ask(issuer, token, header) => Verdict::Pending(Box::pin(async move {
                issuer.ask(&token, &header, now).await?;
                let payload = authentic(&issuer.terms, &token, &header).map_err(bad)?;
                self.told(&issuer.terms, &payload, now)
            })),
            Found::Unknown(cause) => match &self.outside.introspector {
                None => Verdict::Ready(Err(bad(cause))),
                Some(introspector) => match introspector.known(token, now) {
                    Some(known) => Verdict::Ready(known),
                    None => Verdict::Pending(Box::pin(introspector.ask(token, now))),
                },
            },
        }
    }

    /// Looks for who signed a token. Every secret is tried, whatever the header says; of those who
    /// publish their keys, the header's algorithm and the claimed issuer say whose are tried.
    fn find<'b, 't>(&'b self, token: &'t str, now: Timestamp) -> Found<'b, 't> {
        let Some(compact) = Compact::split(token) else { return Found::Unknown("unknown_token") };
        let signer = jwt::signer(&self.issuers, compact.input, compact.signature().as_deref());
        let header = match compact.header() {
            Ok(header) => header,
            Err(NoHeader::Unknown(cause)) => return Found::Unknown(cause),
            Err(NoHeader::Refused(cause)) => return Found::Refused(bad(cause)),
        };
        let terms = if header.algorithm == Algorithm::Hs256 {
            // Secrets have no ids, so that every `kid` is unknown.
            match signer {
                _ if header.kid.is_some() => return Found::Unknown("header_member"),
                None => return Found::Unknown("signature"),
                Some(issuer) => &issuer.terms,
            }
        } else {
            let Some(issuer) = self.publisher(&compact, &header) else { return Found::Unknown("algorithm") };
            match issuer.check(&compact, &header, now) {
                Signed::Good => &issuer.terms,
                Signed::Refused(error) => return Found::Refused(error),
                Signed::Ask => return Found::Ask(issuer, compact, header),
            }
        };
        match authentic(terms, &compact, &header) {
            Ok(payload) => Found::Authentic(terms, payload),
            Err(cause) => Found::Refused(bad(cause)),
        }
    }

    /// The issuer that a token says it is from. It is not believed before its signature was checked.
    fn publisher(&self, token: &Compact<'_>, header: &Header) -> Option<&Published> {
        let mut fit = self.published.iter().filter(|one| one.algorithm == header.algorithm).peekable();
        fit.peek()?;
        let payload = token.payload()?;
        let claims = json::parse(&payload).ok()?;
        let issuer = claims.get("iss")?.as_text()?;
        fit.find(|one| one.terms.issuer.as_deref() == Some(issuer))
    }

    /// Who authentic claims say calls.
    fn told(&self, terms: &Terms, payload: &[u8], now: Timestamp) -> Identified {
        let claims = json::parse(payload).map_err(|_malformed| bad("claims"))?;
        let caller = terms.caller(&claims, now).map_err(bad)?;
        self.demands.met(&caller, &claims).map_err(refused)?;
        Ok(caller)
    }

    /// A request without a credential.
    fn nobody(&self, is_read: bool) -> Identified {
        if self.has_public_reads && is_read {
            return Ok(Caller { is_anonymous: true, ..Caller::client(ANONYMOUS) });
        }
        Err(Error::new(ErrorKind::MissingCredential).cause("header_missing"))
    }

    /// True for a client whose tokens another server makes.
    fn is_elsewhere(&self, client: &str) -> bool {
        let asked = self.outside.introspector.iter().map(|one| &one.terms);
        let mut all = asked.chain(self.published.iter().map(|one| &one.terms));
        all.any(|terms| &*terms.client == client)
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
        self.identify(request, now)
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

    fn outside(&self) -> Option<&Outside> {
        Some(&self.outside)
    }

    fn manner(&self) -> Manner {
        let is_jwt = self.opaque.is_empty() && self.outside.introspector.is_none();
        let needs_linked_identity = self.demands.linked_identity_claim.is_some();
        Manner::Bearer { format: is_jwt.then_some("JWT"), needs_linked_identity }
    }

    fn sign(&self, client: &str, _: &Presented<'_>, now: Timestamp) -> Option<Vec<(HeaderName, String)>> {
        let own = self.opaque.iter().find(|one| &*one.caller.client == client);
        let token = match own.map(|own| own.token.as_ref()) {
            Some(Some(token)) => String::from_utf8(token.expose().to_vec()).ok()?,
            Some(None) => PLACEHOLDER.to_owned(),
            None if self.is_elsewhere(client) => PLACEHOLDER.to_owned(),
            None => self.issuer(client)?.mint(Some(client), None, now)?,
        };
        Some(vec![(AUTHORIZATION, format!("Bearer {token}"))])
    }
}

pub(crate) fn bad(cause: &'static str) -> Error {
    refused((ErrorKind::BadCredential, cause))
}

fn refused((kind, cause): (ErrorKind, &'static str)) -> Error {
    Error::new(kind).cause(cause)
}

/// The claims of a token that its issuer signed.
fn authentic(terms: &Terms, token: &Compact<'_>, header: &Header) -> Result<Vec<u8>, &'static str> {
    if !terms.is_type(header.typ.as_deref()) {
        return Err("typ");
    }
    token.payload().ok_or("claims")
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
