//! Tokens that only their issuer can tell about (RFC 7662): it is asked, and its answers are kept for
//! a moment.
//!
//! A good answer is kept for 30 seconds, and never past the token's end; a bad one for 5 seconds. One
//! that does not come is a fault, never access and never a refusal. Answers are known by the digest of
//! the whole token.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_core::{Caller, Error, ErrorKind, Timestamp};
use gateway_dialect::{
    Secret,
    json::{self, Json},
};
use gateway_outbound::{Call, Client, Endpoint};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use moka::sync::Cache;
use time::Duration;
use zeroize::Zeroizing;

use crate::{
    Identified,
    claims::{Demands, Terms},
    credential::{Digested, digest},
    keys::unavailable,
};

/// How long an answer is kept.
const POSITIVE: Duration = Duration::seconds(30);
const NEGATIVE: Duration = Duration::seconds(5);
/// What is not asked for any more is forgotten.
const IDLE: std::time::Duration = std::time::Duration::from_secs(60);
/// How many answers are kept.
const CAPACITY: u64 = 10_000;
/// Asking takes no longer, waiting for another's answer included.
const BUDGET: std::time::Duration = std::time::Duration::from_secs(2);
/// The longest answer.
const MAX_BYTES: usize = 64 * 1024;

/// How asking ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Introspected {
    /// The token is good.
    Active,
    /// The token is not active.
    Inactive,
    /// The token is active, but not what the mount asks for.
    Refused,
    /// The answer is none.
    NotAnswer,
    /// The answer has another status than 200.
    Status,
    /// No answer.
    Unreachable,
}

impl Introspected {
    /// Every way.
    pub const ALL: [Self; 6] =
        [Self::Active, Self::Inactive, Self::Refused, Self::NotAnswer, Self::Status, Self::Unreachable];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Refused => "refused",
            Self::NotAnswer => "not_answer",
            Self::Status => "status",
            Self::Unreachable => "unreachable",
        }
    }
}

/// An endpoint that tells about tokens.
pub struct Introspector {
    client: Client,
    /// Who we are there.
    credential: HeaderValue,
    pub(crate) terms: Terms,
    demands: Demands,
    /// Handed on to the next configuration that asks the same.
    shared: OnceLock<Arc<Shared>>,
}

struct Shared {
    answers: Cache<Digested, Arc<Slot>>,
    counts: [AtomicU64; Introspected::ALL.len()],
}

/// What is known of one token. Who asks holds the line; others wait for the answer.
#[derive(Default)]
struct Slot {
    answer: Mutex<Option<Answer>>,
    line: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Answer {
    caller: Result<Caller, (ErrorKind, &'static str)>,
    since: Timestamp,
    /// In nanoseconds.
    until: i128,
}

impl Introspector {
    pub(crate) fn new(client: Client, credential: HeaderValue, terms: Terms, demands: Demands) -> Self {
        Self { client, credential, terms, demands, shared: OnceLock::new() }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.client.terms().endpoint
    }

    /// How often asking ended so.
    #[must_use]
    pub fn count(&self, introspected: Introspected) -> u64 {
        self.shared().counts[introspected as usize].load(Ordering::Relaxed)
    }

    /// Goes on with what another knows, where it asked the same.
    pub(crate) fn adopt(&self, other: &Self) {
        let is_same = self.client.terms() == other.client.terms()
            && self.credential == other.credential
            && self.terms == other.terms
            && self.demands == other.demands;
        if is_same {
            // Whoever was asked already keeps what it has.
            let _known = self.shared.set(Arc::clone(other.shared()));
        }
    }

    /// What is known of a token without asking.
    pub(crate) fn known(&self, token: &str, now: Timestamp) -> Option<Identified> {
        self.shared().answers.get(&digest(token.as_bytes()))?.fresh(now)
    }

    /// Who a token's issuer says calls.
    ///
    /// # Errors
    /// As [`Identified`], and [`Unavailable`](ErrorKind::Unavailable) where the issuer does not say.
    pub(crate) async fn ask(&self, token: &str, now: Timestamp) -> Identified {
        let slot = self.shared().answers.get_with(digest(token.as_bytes()), Arc::default);
        let asking = async {
            let _line = slot.line.lock().await;
            // Others with the same token may have been waited for.
            match slot.fresh(now) {
                Some(known) => known,
                None => self.answer(&slot, token, now).await,
            }
        };
        let elapsed = |_elapsed| Err(unavailable("introspection").retry_after(1));
        tokio::time::timeout(BUDGET, asking).await.unwrap_or_else(elapsed)
    }

    async fn answer(&self, slot: &Slot, token: &str, now: Timestamp) -> Identified {
        let asked = self.call(token).await.and_then(|body| self.read(&body, now));
        let (introspected, answer) = match asked {
            Ok(answer) => {
                let introspected = match answer.caller {
                    Ok(_) => Introspected::Active,
                    Err((_, INACTIVE)) => Introspected::Inactive,
                    Err(_) => Introspected::Refused,
                };
                (introspected, Some(answer))
            }
            Err(failed) => (failed, None),
        };
        self.shared().counts[introspected as usize].fetch_add(1, Ordering::Relaxed);
        let Some(answer) = answer else { return Err(unavailable("introspection").retry_after(1)) };
        let identified = answer.identified();
        *slot.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        identified
    }

    async fn call(&self, token: &str) -> Result<bytes::Bytes, Introspected> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = [(ACCEPT, JSON), (CONTENT_TYPE, FORM), (AUTHORIZATION, self.credential.clone())];
        let body = format!("token={}&token_type_hint=access_token", form(token.as_bytes()));
        let call = Call {
            method: Method::POST,
            target: None,
            headers: HeaderMap::from_iter(headers),
            body: body.into(),
        };
        let reply = self.client.call(call, BUDGET, MAX_BYTES).await.map_err(|error| match error {
            gateway_outbound::CallError::TooLarge => Introspected::NotAnswer,
            _ => Introspected::Unreachable,
        })?;
        if reply.status == StatusCode::OK { Ok(reply.body) } else { Err(Introspected::Status) }
    }

    /// Reads an answer (RFC 7662, 2.2). One that does not say whether the token is active is none.
    fn read(&self, body: &[u8], now: Timestamp) -> Result<Answer, Introspected> {
        let claims = json::parse(body).map_err(|_malformed| Introspected::NotAnswer)?;
        let nanos = now.unix_timestamp_nanos();
        let refused = |kind, cause| Answer {
            caller: Err((kind, cause)),
            since: now,
            until: nanos + NEGATIVE.whole_nanoseconds(),
        };
        match claims.get("active") {
            Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) => return Ok(refused(ErrorKind::BadCredential, INACTIVE)),
            _ => return Err(Introspected::NotAnswer),
        }
        let (caller, end) = match self.terms.introspected(&claims, now) {
            Ok(introspected) => introspected,
            Err(cause) => return Ok(refused(ErrorKind::BadCredential, cause)),
        };
        if let Err((kind, cause)) = self.demands.met(&caller, &claims) {
            return Ok(refused(kind, cause));
        }
        let kept = nanos + POSITIVE.whole_nanoseconds();
        Ok(Answer { caller: Ok(caller), since: now, until: end.map_or(kept, |end| end.min(kept)) })
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared.get_or_init(|| {
            let answers = Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build();
            Arc::new(Shared { answers, counts: std::array::from_fn(|_| AtomicU64::new(0)) })
        })
    }
}

/// What the log says of a token that is not active.
const INACTIVE: &str = "inactive";

impl Slot {
    fn fresh(&self, now: Timestamp) -> Option<Identified> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.as_ref().filter(|answer| answer.is_fresh(now)).map(Answer::identified)
    }
}

impl Answer {
    /// A request may have come just before the one that asked; a clock that was set back ends it all.
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.unix_timestamp_nanos() < self.until && self.since - now <= POSITIVE
    }

    fn identified(&self) -> Identified {
        self.caller.clone().map_err(|(kind, cause)| Error::new(kind).cause(cause))
    }
}

/// The header by which the gateway is known at an endpoint (RFC 6749, 2.3.1).
pub(crate) fn credential(id: &str, secret: &Secret) -> Option<HeaderValue> {
    let both = Zeroizing::new(format!("{}:{}", form(id.as_bytes()), form(secret.expose())));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `application/x-www-form-urlencoded`: what is not plain is `%XX`.
fn form(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                text.push(char::from(*byte))
            }
            _ => {
                let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
                text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    text
}
