//! HTTP Basic (RFC 7617, decision 37).
//!
//! Where a mount has a client whose password is slow to check, every refusal of the mount costs one
//! such check, so that an unknown user is as slow as a wrong password.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_core::{Caller, Error, ErrorKind, Timestamp};
use gateway_dialect::{Options, Secret};
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use zeroize::Zeroizing;

use crate::{
    Authenticator, ClientOptions, Manner, Presented, Verdict,
    argon::{Checks, Hashed},
    credential::{
        Digested, NoCredential, SECRETS, any_is, authorization, digest, digests, has_one_of, secrets,
    },
};

const KINDS: [&str; 3] = ["password", "password_sha256", "password_argon2"];

/// Digests that are nobody's.
const NOBODY: [Digested; SECRETS] = [[0; 32]; SECRETS];

/// How a password is known.
enum Known {
    /// By SHA-256; both slots, always.
    Digests([Digested; SECRETS]),
    /// By Argon2id.
    Hashed(Arc<Hashed>),
}

struct Client {
    caller: Caller,
    username: String,
    /// Where it is known.
    password: Option<Secret>,
    known: Known,
}

/// The authenticator of mounts whose clients send a name and a password.
pub struct Basic {
    clients: Vec<Client>,
    /// SHA-256 of a username → its client.
    by_username: HashMap<Digested, usize>,
    checks: Option<Checks>,
}

/// What a client sent.
struct Credential(Zeroizing<String>);

impl Credential {
    /// A name may not hold a colon, a password may; neither may hold control characters.
    fn read(headers: &HeaderMap) -> Result<Self, Error> {
        let missing = |cause| Error::new(ErrorKind::MissingCredential).cause(cause);
        let encoded = authorization(headers, "Basic").map_err(|none| match none {
            NoCredential::Missing => missing("header_missing"),
            NoCredential::Malformed(cause) => missing(cause),
        })?;
        let bytes = STANDARD.decode(encoded).map_err(|_malformed| missing("base64"))?;
        let text = String::from_utf8(bytes).map(Zeroizing::new).map_err(|malformed| {
            drop(Zeroizing::new(malformed.into_bytes()));
            missing("utf_8")
        })?;
        if !text.contains(':') || text.contains(char::is_control) {
            return Err(missing("form"));
        }
        Ok(Self(text))
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or((&self.0, ""))
    }
}

impl Basic {
    /// Reads of each client `username` (default: its name) and one of `password` and
    /// `password_sha256` (one, or a list of two), and `password_argon2`.
    pub fn build(_: &mut Options<'_>, clients: &mut [ClientOptions<'_>]) -> Arc<dyn Authenticator> {
        let mut built = Self { clients: Vec::new(), by_username: HashMap::new(), checks: None };
        for (name, options) in clients {
            let client = read(name, options);
            let username = digest(client.username.as_bytes());
            if built.by_username.insert(username, built.clients.len()).is_some() {
                options.problem("username", "another client has the same `username`");
            }
            built.clients.push(client);
        }
        built.checks = Checks::of(built.clients.iter().filter_map(|client| match &client.known {
            Known::Hashed(hashed) => Some(hashed),
            Known::Digests(_) => None,
        }));
        Arc::new(built)
    }

    fn identify<'a>(&'a self, credential: &Credential, now: Timestamp) -> Verdict<'a> {
        let (username, password) = credential.parts();
        let client = self.by_username.get(&digest(username.as_bytes())).and_then(|at| self.clients.get(*at));
        let (expected, hashed) = match client.map(|client| &client.known) {
            Some(Known::Digests(digests)) => (*digests, None),
            Some(Known::Hashed(hashed)) => (NOBODY, Some(hashed)),
            None => (NOBODY, None),
        };
        let is_good: bool = any_is(expected, &digest(password.as_bytes())).into();
        let answer = move |is_good: bool| match client {
            Some(client) if is_good => Ok(client.caller.clone()),
            Some(_) => Err(bad("password")),
            None => Err(bad("unknown_user")),
        };
        let Some(checks) = self.checks.as_ref().filter(|_| !is_good) else {
            return Verdict::Ready(answer(is_good));
        };
        let mark = checks.mark(credential.0.as_bytes());
        if hashed.is_some_and(|hashed| hashed.remembers(&mark, now)) {
            return Verdict::Ready(answer(true));
        }
        let password = Zeroizing::new(password.as_bytes().to_vec());
        Verdict::Pending(Box::pin(async move {
            let is_good = checks.check(hashed.unwrap_or(checks.dummy()), password, mark, now).await?;
            answer(is_good && hashed.is_some())
        }))
    }
}

impl Authenticator for Basic {
    fn precheck(&self, headers: &HeaderMap, _: bool) -> Result<(), Error> {
        Credential::read(headers).map(|_credential| ())
    }

    fn authenticate<'a>(&'a self, request: &Presented<'a>, now: Timestamp) -> Verdict<'a> {
        match Credential::read(request.headers) {
            Ok(credential) => self.identify(&credential, now),
            Err(missing) => Verdict::Ready(Err(missing)),
        }
    }

    fn manner(&self) -> Manner {
        Manner::Basic
    }

    fn sign(&self, client: &str, _: &Presented<'_>, _: Timestamp) -> Option<Vec<(HeaderName, String)>> {
        let client = self.clients.iter().find(|one| &*one.caller.client == client)?;
        let password = client.password.as_ref()?.expose();
        let both = Zeroizing::new([client.username.as_bytes(), b":", password].concat());
        Some(vec![(AUTHORIZATION, format!("Basic {}", STANDARD.encode(&*both)))])
    }
}

fn bad(cause: &'static str) -> Error {
    Error::new(ErrorKind::BadCredential).cause(cause)
}

fn read(name: &Arc<str>, options: &mut Options<'_>) -> Client {
    has_one_of(options, &KINDS);
    let username = options.text("username").unwrap_or_else(|| name.to_string());
    if username.is_empty() || username.contains(|c: char| c == ':' || c.is_control()) {
        options.problem("username", "`username` must not be empty, nor hold a colon or control characters");
    }
    let passwords = secrets(options, "password");
    let can_be_sent =
        |one: &Secret| std::str::from_utf8(one.expose()).is_ok_and(|text| !text.contains(char::is_control));
    if !passwords.iter().all(can_be_sent) {
        options.problem("password", "`password` must be UTF-8 without control characters");
    }
    let digests: Vec<_> =
        passwords.iter().map(|one| digest(one.expose())).chain(digests(options, "password_sha256")).collect();
    let hashed = options.text("password_argon2").and_then(|text| {
        let hashed = Hashed::parse(&text);
        let wrong = |what| options.problem("password_argon2", format!("`password_argon2` must be {what}"));
        hashed.map_err(wrong).ok()
    });
    let slot = |slot| digests.get(slot).or(digests.first()).copied().unwrap_or_default();
    let known = match hashed {
        Some(hashed) => Known::Hashed(Arc::new(hashed)),
        None => Known::Digests(std::array::from_fn(slot)),
    };
    Client {
        caller: Caller::client(Arc::clone(name)),
        username,
        password: passwords.into_iter().next(),
        known,
    }
}
