//! The store on PostgreSQL: any number of gateways on one database.
//!
//! A commit is one statement and one round trip, and commits that come at once share one. What may happen
//! once rests on the database's unique keys and versions, so that gateways need not know of each other.
//! Reads go to the host that takes writes, each as of its own time.

mod backoff;
mod cache;
mod connect;
mod error;
mod lane;
mod lookup;
mod migrate;
mod options;
mod pack;
mod purge;
mod queue;
mod reads;
mod resolve;
mod statement;
mod stats;
mod tls;
mod url;

use std::{
    fmt, slice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use gateway_core::{
    Commit, Committed, LedgerKey, LedgerRecord, Namespace, Page, StoreError, Timestamp, UniqueKey, User,
    UserId, UserStore, Write,
};
use tokio::{task::JoinHandle, time};

pub use error::OpenError;
pub use migrate::Migrated;
pub use options::{Clock, Options};
pub use stats::{BATCH_BOUNDS, Stats};

/// Whether the store can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// A connection stands.
    Ready,
    /// None does; the store goes on trying to make one.
    Away,
}

/// The store of users in a PostgreSQL database.
pub struct PostgresStore {
    shared: Arc<Shared>,
    lanes: Mutex<Vec<JoinHandle<()>>>,
    helpers: Vec<JoinHandle<()>>,
}

/// What the store and its tasks share.
struct Shared {
    options: Options,
    connector: connect::Connector,
    queue: queue::Queue,
    reads: reads::Reads,
    /// By kind.
    lookups: [lookup::Lookups; 3],
    cache: cache::Cache,
    counters: Arc<stats::Counters>,
    /// Connections that stand.
    open: AtomicUsize,
    key: [u8; 16],
}

/// Brings the tables of a database to this release. Several processes may do it at once.
///
/// # Errors
/// When the database cannot be reached or refuses, or is of a later release.
pub async fn migrate(options: &Options) -> Result<Migrated, OpenError> {
    migrate::migrate(options).await
}

/// Whether a URL can be used; asks nobody.
///
/// # Errors
/// Why not, without any of it.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    match url::parse(url, std::time::Duration::ZERO) {
        Err(OpenError::Url(why)) => Err(why),
        _ => Ok(()),
    }
}

impl PostgresStore {
    /// Connects, and checks that the tables are of this release. Needs a tokio runtime, as everything here.
    ///
    /// # Errors
    /// When the database cannot be reached, or is not migrated. Display is one sentence for the operator.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let counters = Arc::new(stats::Counters::default());
        let timeout = options.statement_timeout;
        let connector = connect::Connector::new(&options, timeout, Arc::clone(&counters))?;
        let link = connector.connect().await?;
        let checked = time::timeout(options.connect_timeout, migrate::check(&link.client)).await;
        let key = checked.unwrap_or(Err(OpenError::Unreachable))?;
        let shared = Arc::new(Shared {
            connector,
            queue: queue::Queue::new(options.largest_batch()),
            reads: reads::Reads::new(options.read_connections, options.reads_in_flight),
            lookups: Default::default(),
            cache: cache::Cache::new(options.cache_bytes),
            counters,
            open: AtomicUsize::new(0),
            key,
            options,
        });
        // The first lane is there at once: whoever has the store can use it.
        let mut first = Some(lane::Lane::over(&shared, link).await?);
        let lanes = (0..shared.options.commit_connections.max(1)).map(|_| {
            let (shared, lane) = (Arc::clone(&shared), first.take());
            tokio::spawn(async move { lane::run(&shared, lane).await })
        });
        let mut helpers: Vec<_> = (0..shared.reads.len())
            .map(|slot| {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { reads::keep(&shared, slot).await })
            })
            .collect();
        let purger = Arc::clone(&shared);
        helpers.push(tokio::spawn(async move { purge::run(&purger).await }));
        Ok(Self { lanes: Mutex::new(lanes.collect()), helpers, shared })
    }

    /// Whether it can be asked.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.shared.open.load(Ordering::Relaxed) > 0 { Health::Ready } else { Health::Away }
    }

    /// What it did, and how it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.shared.open.load(Ordering::Relaxed),
            queue_depth: self.shared.queue.len(),
            ..self.shared.counters.read()
        }
    }

    /// Purges the ledger now, as the store does by itself now and then; how many records went.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn purge(&self) -> Result<u64, StoreError> {
        Ok(purge::purge(&self.shared).await?)
    }

    /// Takes no more commits, and sees those accepted to their end. Reads go on until the store is dropped.
    pub async fn close(&self) {
        self.shared.queue.close();
        let lanes: Vec<_> = lock(&self.lanes).drain(..).collect();
        for lane in lanes {
            if let Err(fallen) = lane.await {
                tracing::error!(%fallen, "a task of the store fell");
            }
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // Lanes see to an end what they have accepted.
        self.shared.queue.close();
        self.helpers.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl UserStore for PostgresStore {
    fn key(&self) -> [u8; 16] {
        self.shared.key
    }

    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        let lately = self.shared.options.max_stale.and_then(|stale| self.shared.cache.get(id, stale));
        if lately.is_some() {
            stats::count(&self.shared.counters.cache_hits);
            return Ok(lately);
        }
        self.current(id).await
    }

    async fn current(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        let since = Instant::now();
        let user = self.shared.read_user(id).await?;
        user.iter().for_each(|user| self.shared.cache.put(user, since));
        Ok(user)
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        let since = Instant::now();
        let user = self.shared.read_by(key).await?;
        if let Some(user) = &user {
            self.shared.cache.put(user, since);
            self.shared.cache.put_owner(slice::from_ref(key), user.id);
        }
        Ok(user)
    }

    fn recent(&self, id: UserId) -> Option<Arc<User>> {
        self.shared.cache.recent(id)
    }

    fn recent_by(&self, key: &UniqueKey) -> Option<Arc<User>> {
        self.shared.cache.recent_by(key)
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        self.shared.read_page(page).await
    }

    async fn suggest(
        &self,
        namespace: &Namespace,
        part: &str,
        limit: usize,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        self.shared.read_suggestions(namespace, part, limit).await
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        Ok(self.shared.read_ledger(key).await?.filter(|record| record.is_live(now)))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        if let Some(answer) = self.shared.judge_alone(&commit).await? {
            return Ok(answer);
        }
        let Some(pack) = pack::Pack::of(&commit) else {
            return Ok(Committed::Stale);
        };
        let answer = self.shared.queue.push(commit, pack).inspect_err(|error| {
            if matches!(error, StoreError::Unavailable(queue::BUSY)) {
                stats::count(&self.shared.counters.shed);
            }
        })?;
        // No answer at all: the lane fell while it had the commit.
        answer.await.unwrap_or(Ok(Committed::Unknown))
    }
}

impl Shared {
    /// Judges a commit that no statement needs to: one with a guard twice, or a write that fits nothing.
    async fn judge_alone(self: &Arc<Self>, commit: &Commit) -> Result<Option<Committed>, StoreError> {
        let twice = (1..commit.guards.len())
            .find(|at| commit.guards[..*at].iter().any(|guard| guard.key == commit.guards[*at].key));
        let fits = match &commit.write {
            Some(Write::Update { before, after }) => after.id == before.id && after.version > before.version,
            Some(Write::Create(_) | Write::Delete { .. }) | None => true,
        };
        if twice.is_none() && fits {
            return Ok(None);
        }
        for guard in &commit.guards[..twice.unwrap_or(commit.guards.len())] {
            let found = self.read_ledger(guard.key).await?;
            if found.is_some_and(|record| record.is_live(commit.now)) {
                return Ok(Some(Committed::KeyTaken(guard.key)));
            }
        }
        Ok(Some(twice.map_or(Committed::Stale, |at| Committed::KeyTaken(commit.guards[at].key))))
    }

    /// Keeps what is cached no older than what was just seen.
    fn published(&self, job: &queue::Job, answer: &queue::Answer) {
        let (Some(write), Ok(committed)) = (&job.commit.write, answer) else { return };
        match (committed, write) {
            (Committed::Done, Write::Create(user) | Write::Update { after: user, .. }) => {
                self.cache.put(user, job.since);
                self.cache.put_owner(&job.pack.new_keys, user.id);
            }
            (Committed::Done, Write::Delete { before }) => self.cache.outdate(before),
            (Committed::Stale, Write::Update { before, .. } | Write::Delete { before }) => {
                self.cache.outdate(before);
            }
            (Committed::Stale, Write::Create(_)) | (Committed::Unknown, _) => self.cache.forget(write.id()),
            (Committed::Taken(_) | Committed::KeyTaken(_), _) => {}
        }
    }
}

/// A lock whose holder cannot leave things half done, even if it fell.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
