//! Key sets that are fetched from their issuers, and kept while these are away.
//!
//! A set is fetched anew every five minutes, and when a token names a key that is not in it: then at
//! most once a minute, whatever the number of such tokens, which wait for one fetch together. A fetch
//! that fails changes nothing; the last good set is used for 24 hours.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use gateway_core::{Error, ErrorKind, Timestamp};
use gateway_outbound::{Call, Client, Endpoint};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::ACCEPT};
use time::Duration;
use tokio::sync::watch;

use crate::{
    jwk::{Checked, KeySet},
    jws::Algorithm,
};

/// How long a set is used before it is fetched anew,
const REFRESH: Duration = Duration::minutes(5);
/// and how long where it cannot be.
const KEPT: Duration = Duration::hours(24);
/// How long after a fetch for an unknown key there is no other such.
const UNKNOWN_KEY: Duration = Duration::minutes(1);
/// The first wait after a fetch that failed; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::seconds(1);
const LONGEST_WAIT: Duration = Duration::minutes(1);
/// A fetch takes no longer, to the last byte of its answer.
const BUDGET: std::time::Duration = std::time::Duration::from_secs(3);
/// The longest set.
const MAX_BYTES: usize = 256 * 1024;

/// How a fetch ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetched {
    /// With a set.
    Ok,
    /// With an answer that is no set, or one without a key that fits.
    NotKeys,
    /// With an answer that is too long.
    TooLarge,
    /// With another status than 200.
    Status,
    /// Without an answer.
    Unreachable,
}

impl Fetched {
    /// Every way.
    pub const ALL: [Self; 5] = [Self::Ok, Self::NotKeys, Self::TooLarge, Self::Status, Self::Unreachable];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotKeys => "not_keys",
            Self::TooLarge => "too_large",
            Self::Status => "status",
            Self::Unreachable => "unreachable",
        }
    }

    /// True where the issuer could not be asked: then it is not known that it has no such key.
    const fn is_fault(self) -> bool {
        matches!(self, Self::Status | Self::Unreachable)
    }
}

/// The keys of an issuer, at its URL.
pub struct FetchedKeys {
    /// Whose they are.
    name: Arc<str>,
    client: Client,
    algorithm: Algorithm,
    /// Handed on to the next configuration that names the same keys.
    shared: OnceLock<Arc<Shared>>,
}

struct Shared {
    state: Mutex<State>,
    /// Told at the end of each fetch.
    ended: watch::Sender<()>,
    counts: [AtomicU64; Fetched::ALL.len()],
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<KeySet>, Timestamp)>,
    /// When the last fetch began, and the last one for an unknown key.
    begun: Option<Timestamp>,
    asked: Option<Timestamp>,
    /// How the last one ended.
    last: Option<Fetched>,
    failures: u32,
    is_fetching: bool,
}

/// What is known of a signature.
pub(crate) enum Found {
    Checked(Checked),
    /// By a key that the set does not have; the issuer may be asked.
    Ask,
    /// The issuer is away, and nothing is known.
    Unavailable(Error),
}

impl FetchedKeys {
    pub(crate) fn new(name: &Arc<str>, client: Client, algorithm: Algorithm) -> Self {
        Self { name: Arc::clone(name), client, algorithm, shared: OnceLock::new() }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.client.terms().endpoint
    }

    /// The client whose keys these are.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many fetches ended so.
    #[must_use]
    pub fn count(&self, fetched: Fetched) -> u64 {
        self.shared().counts[fetched as usize].load(Ordering::Relaxed)
    }

    /// The age of the set that is used.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.state().keys.as_ref().map(|(_, at)| (now - *at).max(Duration::ZERO)).filter(|age| *age <= KEPT)
    }

    /// Goes on with what another has of the same keys.
    pub(crate) fn adopt(&self, other: &Self) {
        let is_same = self.client.terms() == other.client.terms()
            && self.algorithm == other.algorithm
            && self.name == other.name;
        if is_same {
            // Whoever was asked already keeps what it has.
            let _known = self.shared.set(Arc::clone(other.shared()));
        }
    }

    /// Begins a fetch, where one is due.
    pub fn tend(self: &Arc<Self>, now: Timestamp) {
        self.begin(now, |state| state.is_due(now));
    }

    /// Waits for the fetch under way, if there is one.
    pub async fn settled(&self) {
        let mut ended = self.shared().ended.subscribe();
        if self.state().is_fetching {
            let _gone = ended.changed().await;
        }
    }

    /// Checks a signature by what is there.
    pub(crate) fn check(&self, kid: Option<&str>, input: &[u8], signature: &[u8], now: Timestamp) -> Found {
        let (keys, may_ask, last, retry) = {
            let state = self.state();
            let keys = state.usable(now).cloned();
            (keys, state.may_ask(now), state.last, state.retry(now))
        };
        let away = || Found::Unavailable(unavailable("issuer").retry_after(retry));
        let Some(keys) = keys else { return away() };
        match keys.check(kid, input, signature) {
            Checked::UnknownKey if may_ask => Found::Ask,
            Checked::UnknownKey if last.is_some_and(Fetched::is_fault) => away(),
            checked => Found::Checked(checked),
        }
    }

    /// Asks the issuer for its keys, with all others that ask.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) where no fetch ended in time.
    pub(crate) async fn ask(self: &Arc<Self>, now: Timestamp) -> Result<(), Error> {
        let mut ended = self.shared().ended.subscribe();
        let is_worth_it = |state: &mut State| {
            let may_ask = state.may_ask(now);
            state.asked = if may_ask { Some(now) } else { state.asked };
            may_ask
        };
        if !self.begin(now, is_worth_it) {
            // Another's fetch ended since.
            return Ok(());
        }
        match tokio::time::timeout(BUDGET, ended.changed()).await {
            Ok(_told) => Ok(()),
            Err(_elapsed) => Err(unavailable("issuer").retry_after(1)),
        }
    }

    /// Begins a fetch, unless one is under way, in a task of its own, which a client that goes away does
    /// not end. True where one is under way now.
    fn begin(self: &Arc<Self>, now: Timestamp, is_worth_it: impl FnOnce(&mut State) -> bool) -> bool {
        {
            let mut state = self.state();
            if state.is_fetching || !is_worth_it(&mut state) {
                return state.is_fetching;
            }
            state.is_fetching = true;
            state.begun = Some(now);
        }
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            let under_way = UnderWay(Arc::clone(keys.shared()));
            let result = keys.fetch().await;
            keys.take(result, now);
            drop(under_way);
        });
        true
    }

    async fn fetch(&self) -> Result<KeySet, Fetched> {
        const ACCEPTED: HeaderValue = HeaderValue::from_static("application/jwk-set+json, application/json");
        let headers = HeaderMap::from_iter([(ACCEPT, ACCEPTED)]);
        let call = Call { method: Method::GET, target: None, headers, body: bytes::Bytes::new() };
        let reply = self.client.call(call, BUDGET, MAX_BYTES).await.map_err(|error| match error {
            gateway_outbound::CallError::TooLarge => Fetched::TooLarge,
            _ => Fetched::Unreachable,
        })?;
        if reply.status != StatusCode::OK {
            return Err(Fetched::Status);
        }
        KeySet::parse(&reply.body, self.algorithm).map_err(|_why| Fetched::NotKeys)
    }

    fn take(&self, result: Result<KeySet, Fetched>, now: Timestamp) {
        let fetched = result.as_ref().map_or_else(|failed| *failed, |_keys| Fetched::Ok);
        self.shared().counts[fetched as usize].fetch_add(1, Ordering::Relaxed);
        let before = {
            let mut state = self.state();
            state.failures = if result.is_ok() { 0 } else { state.failures.saturating_add(1) };
            if let Ok(keys) = &result {
                state.keys = Some((Arc::new(keys.clone()), now));
            }
            state.last.replace(fetched)
        };
        let client = &*self.name;
        match result {
            _ if before == Some(fetched) => {}
            Ok(keys) => {
                let (fit, unfit) = keys.counts();
                tracing::info!(client, fit, unfit, "the keys of an issuer were fetched");
            }
            Err(failed) => {
                let cause = failed.as_str();
                tracing::warn!(
                    client,
                    cause,
                    "the keys of an issuer cannot be fetched; the last good ones stay"
                );
            }
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared.get_or_init(|| {
            Arc::new(Shared {
                state: Mutex::default(),
                ended: watch::Sender::new(()),
                counts: std::array::from_fn(|_| AtomicU64::new(0)),
            })
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared().state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch. However it ends, those who wait are told.
struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().is_fetching = false;
        self.0.ended.send_replace(());
    }
}

impl State {
    fn usable(&self, now: Timestamp) -> Option<&Arc<KeySet>> {
        self.keys.as_ref().filter(|(_, at)| now - *at <= KEPT).map(|(keys, _)| keys)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.begun.is_none_or(|begun| passed(begun, self.wait(), now))
    }

    /// How long after the last fetch the next one begins.
    fn wait(&self) -> Duration {
        match self.failures {
            0 => REFRESH,
            failures => (FIRST_WAIT * 2_i32.pow((failures - 1).min(6))).min(LONGEST_WAIT),
        }
    }

    /// True where an unknown key is worth a fetch, or one is under way.
    fn may_ask(&self, now: Timestamp) -> bool {
        self.is_fetching || self.asked.is_none_or(|asked| passed(asked, UNKNOWN_KEY, now))
    }

    /// After how many seconds a client may try again.
    fn retry(&self, now: Timestamp) -> u32 {
        let next = self.begun.map_or(now, |begun| begun + self.wait());
        u32::try_from((next - now).whole_seconds()).unwrap_or(0).clamp(1, 60)
    }
}

/// True a while after. A clock that was set back does not stop anything.
fn passed(since: Timestamp, wait: Duration, now: Timestamp) -> bool {
    (now - since).abs() >= wait
}

/// A fault of another server: never a refusal, never access.
pub(crate) fn unavailable(cause: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable).cause(cause)
}
