//! An issuer of tokens for tests: it signs, publishes its keys, answers introspections, and misbehaves
//! when told to. Plain HTTP on loopback.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

/// What tokens of the issuer are from, and for.
pub const ISS: &str = "https://issuer.example.com";
/// See [`ISS`].
pub const AUD: &str = "users";

/// A key that signs.
pub struct SigningKey {
    /// Its id.
    pub kid: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    /// The key of tests for RS256; there is only one.
    #[must_use]
    pub fn rsa(kid: &str) -> Self {
        let pem = include_bytes!("test-key-rsa-2048.pem");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Rsa(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()) }
    }

    /// A new key for ES256.
    #[must_use]
    pub fn ec(kid: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ec(pair) }
    }

    /// A new key for EdDSA.
    #[must_use]
    pub fn ed(kid: &str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ed(Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap()) }
    }

    /// The name of its algorithm.
    #[must_use]
    pub const fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    /// Its public half.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": part(&n), "e": part(&e)})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": part(&point[1..33]), "y": part(&point[33..])})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": part(pair.public_key().as_ref())}),
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// A token with this header and these claims.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let bytes = input.as_bytes();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A good token with these claims beside those that it needs, issued now.
    #[must_use]
    pub fn token(&self, now_s: i64, claims: &Value) -> String {
        let header = json!({"alg": self.alg(), "kid": self.kid, "typ": "at+jwt"});
        let mut all = json!({"iss": ISS, "aud": AUD, "sub": "user-1", "iat": now_s, "exp": now_s + 600});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.sign(&header, &all)
    }
}

/// A key set, as text.
#[must_use]
pub fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// How the issuer answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mood {
    /// As it should.
    Well,
    /// Not at all: connections are closed at once.
    Down,
    /// Never: connections stay open.
    Hang,
    /// With this status.
    Status(u16),
    /// With 200 and this body.
    Body(String),
}

struct State {
    mood: Mood,
    keys: String,
    tokens: HashMap<String, Value>,
    fetches: usize,
    questions: Vec<String>,
    /// Connections that hang.
    hung: Vec<TcpStream>,
}

/// An issuer.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Issuer {
    /// Starts one that publishes these keys.
    #[must_use]
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            mood: Mood::Well,
            keys: key_set(keys),
            tokens: HashMap::new(),
            fetches: 0,
            questions: Vec::new(),
            hung: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// Where it tells about tokens.
    #[must_use]
    pub fn introspection_url(&self) -> String {
        format!("http://{}/introspect", self.address)
    }

    /// Publishes these keys, and no others.
    pub fn publish(&self, keys: &[Value]) {
        self.state().keys = key_set(keys);
    }

    /// What it says of a token from now on.
    pub fn tell(&self, token: &str, answer: Value) {
        self.state().tokens.insert(token.to_owned(), answer);
    }

    /// Answers so from now on.
    pub fn be(&self, mood: Mood) {
        let mut state = self.state();
        state.mood = mood;
        state.hung.clear();
    }

    /// How often its keys were asked for, well or not.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.state().fetches
    }

    /// What it was asked about tokens: the `Authorization`, and the body, of each request.
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        self.state().questions.clone()
    }
}

/// Reads a request, head and body; `None` where it breaks off.
pub(crate) fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// The value of a header in a head.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Answers on a connection that ends with that.
pub(crate) fn answer(mut stream: TcpStream, status: u16, content: &str) {
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
    let _gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(content.as_bytes()));
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let Some((head, body)) = request(&mut reader) else { return };
    let is_fetch = head.starts_with("GET /jwks ");
    let mut state = state.lock().unwrap();
    if is_fetch {
        state.fetches += 1;
    } else {
        let question = format!("{} {body}", header(&head, "authorization").unwrap_or_default());
        state.questions.push(question);
    }
    let (status, content) = match &state.mood {
        Mood::Well if is_fetch => (200, state.keys.clone()),
        Mood::Well => (200, introspected(&state.tokens, &body).to_string()),
        Mood::Down => return,
        Mood::Hang => return state.hung.push(reader.into_inner()),
        Mood::Status(status) => (*status, String::new()),
        Mood::Body(content) => (200, content.clone()),
    };
    drop(state);
    answer(reader.into_inner(), status, &content);
}

/// The answer about the token of a form.
fn introspected(tokens: &HashMap<String, Value>, form: &str) -> Value {
    let token =
        form.strip_prefix("token=").and_then(|rest| rest.strip_suffix("&token_type_hint=access_token"));
    tokens.get(token.unwrap_or_default()).cloned().unwrap_or(json!({"active": false}))
}
