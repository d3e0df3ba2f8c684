//! The store contract over one HTTP service: another Interlingua's REST mount, or one that a vocabulary
//! describes.
//!
//! Users live there alone. A write is one request, on the condition that what it started from still stands
//! (`If-Match`) or that there is nothing (`If-None-Match: *`); it carries an Idempotency-Key, so that it can
//! be sent again where the answer was lost. The ledger lives in a store of ours ([`UpstreamStore::open`]'s
//! `ledger`): what is about to be sent is kept there first (`intent.rs`), and its record behind it.

mod call;
mod commit;
mod document;
mod intent;
mod known;
mod resolve;
mod speech;
mod stats;
mod vocabulary;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use gateway_core::{
    Commit, Committed, LedgerKey, LedgerRecord, Page, StoreError, Timestamp, UniqueKey, User, UserId,
    UserStore,
};
use gateway_outbound::{CallError, Client, Reply, Terms};
use http::{HeaderValue, StatusCode, header};
use tokio::{sync::Mutex, task::AbortHandle};
use uuid::Uuid;

use call::{Request, Service, garbage};
use intent::Sealer;
use known::{Known, Memory, has};
use resolve::Look;
use speech::{Next, Speech, version};

pub use speech::Form;
pub use stats::Stats;
pub use vocabulary::{BadTemplate, ErrorRow, Meaning, Routes, Template, Vocabulary};

/// Between two looks at whether the service is there: while it is, and while it is not.
const PROBES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(500));
const STRIPES: usize = 1024;

/// What the service is, and on which terms it is called.
#[derive(Clone)]
pub struct Options {
    /// Where, whom to believe, and how many calls at once.
    pub terms: Terms,
    /// What stands in `Authorization`: a secret.
    pub authorization: Option<HeaderValue>,
    /// How long a call may take.
    pub timeout: Duration,
    /// In which form users are exchanged.
    pub form: Form,
    /// Whether the service answers a request with an Idempotency-Key that it has carried out with the answer
    /// that it gave.
    pub honours_keys: bool,
    /// How it speaks about users.
    pub vocabulary: Vocabulary,
    /// Memory for users that writes may start from, in bytes.
    pub cache_bytes: usize,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// A store over a service, and a ledger beside it.
pub struct UpstreamStore<L> {
    service: Arc<Service>,
    speech: Arc<Speech>,
    honours_keys: bool,
    memory: Memory,
    ledger: L,
    sealer: Sealer,
    /// The key of the first write without one of its own, and how many there were.
    first_key: u128,
    keys: AtomicU64,
    /// One at a time for each ledger key.
    turns: Box<[Mutex<()>]>,
    keeper: AbortHandle,
}

impl<L: UserStore> UpstreamStore<L> {
    /// Opens it. The service need not be there.
    ///
    /// # Errors
    /// Where the issuers of certificates cannot be used.
    pub async fn open(options: Options, ledger: L) -> Result<Self, CallError> {
        let credential = options.authorization.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        let sealer = Sealer::new(credential);
        let client = Client::new(options.terms)?;
        let service = Arc::new(Service::new(client, options.authorization, options.timeout));
        let speech = Arc::new(Speech::new(options.vocabulary, options.form));
        probe(&service, &speech).await;
        let keeper = tokio::spawn(keep(Arc::clone(&service), Arc::clone(&speech))).abort_handle();
        let turns = (0..STRIPES).map(|_| Mutex::default()).collect();
        let (honours_keys, memory) = (options.honours_keys, Memory::new(options.cache_bytes));
        let (first_key, keys) = (Uuid::new_v4().as_u128(), AtomicU64::new(0));
        Ok(Self { service, speech, honours_keys, memory, ledger, sealer, first_key, keys, turns, keeper })
    }

    /// The store that the ledger lives in.
    pub const fn ledger_store(&self) -> &L {
        &self.ledger
    }

    /// The form in which users are exchanged; [`Form::Auto`] until the service has answered.
    pub fn form(&self) -> Form {
        self.speech.form()
    }

    /// The figures.
    pub fn stats(&self) -> Stats {
        self.service.counters.stats(self.service.is_reached(), self.service.circuit())
    }

    /// A user as it stands.
    async fn fetch(&self, id: UserId) -> Result<Option<Known>, StoreError> {
        let known = self.memory.get(id);
        let mut request = self.speech.read(id);
        if let Some(known) = &known {
            request = request.with(header::IF_NONE_MATCH, known.tag.clone());
        }
        let reply = self.service.read(&request).await?;
        match (reply.status, known) {
            (StatusCode::NOT_MODIFIED, Some(known)) => Ok(Some(known)),
            (StatusCode::OK, known) => {
                let read = self.read(&reply, known).ok_or_else(|| garbage(&self.service.counters))?;
                if read.user.id != id {
                    return Err(garbage(&self.service.counters));
                }
                self.memory.keep(read.clone());
                Ok(Some(read))
            }
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
                self.memory.forget(id);
                Ok(None)
            }
            _ => Err(garbage(&self.service.counters)),
        }
    }

    /// The user of an answer. What is known under the same tag is the same, and may be known better than a
    /// document says it.
    fn read(&self, reply: &Reply, known: Option<Known>) -> Option<Known> {
        let user = self.speech.user(reply)?;
        let tag = reply.headers.get(header::ETAG)?.clone();
        if user.version > 0 {
            return Some(Known { user, tag });
        }
        if let Some(known) = known.filter(|known| known.tag == tag) {
            return Some(known);
        }
        let user = User { version: version(&tag), ..Arc::unwrap_or_clone(user) };
        Some(Known { user: Arc::new(user), tag })
    }

    /// A page of the service's own.
    async fn page(&self, request: &Request) -> Result<(Vec<Arc<User>>, Option<Next>), StoreError> {
        let reply = self.service.read(request).await?;
        let page = (reply.status == StatusCode::OK).then(|| self.speech.page(&reply)).flatten();
        page.ok_or_else(|| garbage(&self.service.counters))
    }

    /// Learns in which form the service answers, where that is not known yet.
    async fn listen(&self) -> Result<(), StoreError> {
        if self.speech.form() == Form::Auto {
            self.page(&self.speech.probe()).await?;
        }
        Ok(())
    }

    /// The user with a key by the service's list.
    async fn seek(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        let mut next = None;
        loop {
            let (users, behind) = self.page(&self.speech.find(key, next.as_ref())).await?;
            if let Some(user) = users.into_iter().find(|user| has(user, key)) {
                return Ok(Some(user));
            }
            if behind.is_none() || behind == next {
                return Ok(None);
            }
            next = behind;
        }
    }

    async fn found(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        if let Some(known) = self.memory.find(key)
            && let Some(current) = self.fetch(known.user.id).await?
            && has(&current.user, key)
        {
            return Ok(Some(current.user));
        }
        self.listen().await?;
        match self.seek(key).await? {
            // In a list of documents nobody has a tag.
            Some(found) if self.speech.form() == Form::Document => {
                Ok(self.user(found.id).await?.filter(|user| has(user, key)))
            }
            found => {
                if let Some(found) = &found {
                    self.memory.note(key.clone(), found.id);
                }
                Ok(found)
            }
        }
    }

    async fn listed(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        self.listen().await?;
        let (mut users, mut next) = (Vec::new(), page.after.map(Next::Id));
        // What documents cannot be asked for is chosen here, from pages that are as long as may be.
        let is_exact = self.speech.form() == Form::Record;
        while users.len() < page.limit {
            let limit = if is_exact { page.limit - users.len() } else { usize::MAX };
            let (found, behind) = self.page(&self.speech.list(&page.of, limit, next.as_ref())).await?;
            let is_asked =
                |user: &Arc<User>| page.after.is_none_or(|after| user.id > after) && page.of.holds(user);
            users.extend(found.into_iter().filter(is_asked));
            if behind.is_none() || behind == next {
                break;
            }
            next = behind;
        }
        users.truncate(page.limit);
        Ok(users)
    }

    async fn record(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        match self.look(key, now).await? {
            Look::Taken(record) => Ok(Some(record)),
            Look::Free(_) => Ok(None),
            Look::Open(..) => {
                let _turn = self.turn(key).lock().await;
                match self.settled(key, now).await? {
                    Look::Taken(record) => Ok(Some(record)),
                    Look::Free(_) => Ok(None),
                    Look::Open(..) => Err(StoreError::Pending),
                }
            }
        }
    }
}

/// Each is on the heap, since whoever calls it moves the state of all that it may call.
impl<L: UserStore> UserStore for UpstreamStore<L> {
    /// The ledger's: gateways on one ledger agree on entity tags.
    fn key(&self) -> [u8; 16] {
        self.ledger.key()
    }

    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        Ok(Box::pin(self.fetch(id)).await?.map(|known| known.user))
    }

    fn recent(&self, id: UserId) -> Option<Arc<User>> {
        self.memory.get(id).map(|known| known.user)
    }

    fn recent_by(&self, key: &UniqueKey) -> Option<Arc<User>> {
        self.memory.find(key).map(|known| known.user)
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        Box::pin(self.found(key)).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        Box::pin(self.listed(page)).await
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        Box::pin(self.record(key, now)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        Box::pin(self.carry_out(commit)).await
    }
}

impl<L> UpstreamStore<L> {
    fn turn(&self, key: LedgerKey) -> &Mutex<()> {
        &self.turns[stripe(key)]
    }
}

fn stripe(key: LedgerKey) -> usize {
    usize::from(u16::from_be_bytes([key.0[0] ^ key.0[15], key.0[1] ^ key.0[14]])) % STRIPES
}

impl<L> Drop for UpstreamStore<L> {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Looks at whether the service is there, and in which form it speaks.
async fn probe(service: &Service, speech: &Speech) -> bool {
    match service.send(&speech.probe(), service.timeout()).await {
        Ok(reply) => reply.status == StatusCode::OK && speech.page(&reply).is_some(),
        Err(_) => false,
    }
}

/// Keeps looking, so that it shows without requests of clients.
async fn keep(service: Arc<Service>, speech: Arc<Speech>) {
    loop {
        let pause = if service.is_reached() { PROBES.0 } else { PROBES.1 };
        tokio::time::sleep(pause).await;
        probe(&service, &speech).await;
    }
}
