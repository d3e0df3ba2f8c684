//! The embedded store: one directory, one process, every acknowledged commit synced to disk.
//!
//! It wraps an engine (fjall) that keeps what it synced but does not notice what is missing. Around it
//! stand: creation by rename and an inventory ([`OpenError`] instead of an empty database), a
//! high-water mark of what was acknowledged, a seal on every record, and a stop at the first fault.
//! One thread commits, many commits a sync; reads never wait for it.
//!
//! In the data directory: `lock`, `users/` (the engine), `users.created` (marker and inventory),
//! `users.acked` (the high-water mark), `users.tmp/` while it is being created, `restore.tmp/` while it is
//! being restored, and whatever the process that has it open keeps under the name `control`.

mod backup;
mod cache;
mod engine;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod index;
mod journal;
mod ledger;
mod maintenance;
mod manifest;
mod mark;
mod marker;
mod open;
mod queue;
mod restore;
mod scrub;
mod seal;
mod stage;
mod stats;
#[cfg(test)]
mod tests;
mod upgrade;
mod writer;

use std::{
    fmt,
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use gateway_core::{
    Commit, Committed, LedgerKey, LedgerRecord, Namespace, Page, StoreError, Timestamp, UniqueKey, User,
    UserId, UserStore,
};

use gateway_record::{self as record, codec};

pub use backup::{BackedUp, BackupError};
pub use error::{OpenError, OpenFault};
pub use scrub::Scrubbed;
pub use stats::{BATCH_BOUNDS, Stats};

const STOPPED: &str = "stopped after a fault";

/// Reads the wall clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Reads the wall clock, for the ledger's hours; a request's time comes with its commit.
    pub clock: Clock,
    /// Bytes of memory for users and unique keys, about.
    pub cache_bytes: usize,
    /// Bytes of memory for the engine's blocks.
    pub engine_cache_bytes: u64,
    /// Encrypts every record (AES-256-GCM-SIV); fixed when the store is created.
    pub encryption_key: Option<[u8; 32]>,
    #[cfg(test)]
    maintained: bool,
}

impl Options {
    /// 64 MiB for each cache, no encryption.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            cache_bytes: 64 << 20,
            engine_cache_bytes: 64 << 20,
            encryption_key: None,
            #[cfg(test)]
            maintained: true,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("cache_bytes", &self.cache_bytes)
            .field("engine_cache_bytes", &self.engine_cache_bytes)
            .field("encrypted", &self.encryption_key.is_some())
            .finish_non_exhaustive()
    }
}

/// Whether the store takes commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It does.
    Ready,
    /// A write or a sync failed: nothing more is written until the store is opened again.
    Poisoned,
}

/// The store of users in a directory of this machine.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the store, its threads and its reads in flight share. The lock goes last.
struct Shared {
    engine: engine::Engine,
    live: ledger::LiveKeys,
    cache: cache::Cache,
    mark: mark::Mark,
    queue: queue::Queue,
    counters: stats::Counters,
    stop: maintenance::Stop,
    clock: Clock,
    poisoned: AtomicBool,
    _lock: File,
}

impl EmbeddedStore {
    /// Opens the store in a directory; creates it where the directory is new or empty.
    ///
    /// Blocks; replaying the journal of a store that was killed takes up to about a second, and bringing
    /// the store of an older release up to date some twenty for a million users: it may be killed
    /// meanwhile, and goes on where it was. An older release does not open it any more then.
    ///
    /// # Errors
    /// When anything that was written is missing or damaged, when another process has the directory
    /// open, or when it is not ours. Display is one sentence for the operator.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        if cfg!(any(feature = "sabotage-ack-before-write", feature = "sabotage-ack-before-sync")) {
            tracing::warn!("this build is sabotaged: it acknowledges what is not durable");
        }
        let fault = |fault: OpenFault| fault.at(dir);
        #[cfg(test)]
        let maintained = options.maintained;
        let shared = Arc::new(open::open(dir, options).map_err(fault)?);
        upgrade::run(&shared).map_err(fault)?;
        let store = Self { shared, threads: Mutex::new(Vec::new()) };
        let io = |error: io::Error| OpenFault::Io(error).at(dir);
        store.start("store-writer", writer::run).map_err(io)?;
        #[cfg(test)]
        if !maintained {
            return Ok(store);
        }
        store.start("store-maintenance", maintenance::run).map_err(io)?;
        store.start("store-scrub", scrub::run).map_err(io)?;
        Ok(store)
    }

    /// Makes the high-water mark anew from what is found, where it is lost or damaged: a loss at the end
    /// can then not be told any more. Returns the last batch.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn repair_mark(dir: &Path, options: Options) -> Result<u64, OpenError> {
        open::repair_mark(dir, options).map_err(|fault| fault.at(dir))
    }

    fn start(&self, name: &str, body: fn(&Shared)) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || body(&shared))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Whether it takes commits. After a fault the process should end and start anew.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.shared.is_poisoned() { Health::Poisoned } else { Health::Ready }
    }

    /// What it did, and how it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let mut stats = Stats {
            queue_depth: shared.queue.len(),
            cache_hits: shared.cache.hits.load(Ordering::Relaxed),
            cache_misses: shared.cache.misses.load(Ordering::Relaxed),
            ledger_keys: shared.live.len(),
            acked_seq: shared.mark.acked(),
            ..Stats::default()
        };
        shared.counters.fill(&mut stats);
        stats
    }

    /// Reads every record and counts the damaged ones, at full speed; the store does the same once a day
    /// at leisure. Blocks.
    ///
    /// # Errors
    /// When the engine cannot read its files.
    pub fn scrub(&self) -> Result<Scrubbed, StoreError> {
        self.scrub_while(|_records| true)
    }

    /// As [`EmbeddedStore::scrub`]; tells now and then how many records it has read, and ends where it is
    /// not told to go on.
    ///
    /// # Errors
    /// When the engine cannot read its files.
    pub fn scrub_while(&self, mut go_on: impl FnMut(u64) -> bool) -> Result<Scrubbed, StoreError> {
        scrub::scrub(&self.shared, &mut go_on)
    }

    /// Writes a backup of this moment into a new directory, while commits go on; tells now and then how
    /// many records it has written, and ends where it is not told to go on. Blocks.
    ///
    /// # Errors
    /// When the directory holds something or cannot be written, or when a record is damaged. Nothing is
    /// left in its place.
    pub fn backup(&self, dir: &Path, mut go_on: impl FnMut(u64) -> bool) -> Result<BackedUp, BackupError> {
        backup::write(&self.shared, dir, (self.shared.clock)(), &mut go_on)
    }

    /// Makes the store of a backup in a directory that is absent or empty, and reads all of it. Blocks.
    ///
    /// # Errors
    /// When anything of the backup is missing or damaged, or the directory holds something: nothing is
    /// left in it then.
    pub fn restore(backup: &Path, dir: &Path, options: Options) -> Result<BackedUp, BackupError> {
        restore::restore(backup, dir, options)
    }

    /// Takes no more commits, finishes those accepted, and makes the high-water mark durable. Reads go
    /// on until the store is dropped, which closes it, too. Blocks for as long as that takes.
    pub fn close(&self) {
        self.shared.queue.close();
        self.shared.stop.stop();
        for thread in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                self.shared.poison("a thread fell", &"panic");
            }
        }
        if !self.shared.is_poisoned()
            && let Err(error) = self.shared.mark.sync()
        {
            self.shared.poison("the high-water mark cannot be synced", &error);
        }
    }

    /// Reads the engine off the runtime's threads: it may wait for a disk.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || read(&shared));
        read.await.unwrap_or_else(|fallen| Err(StoreError::Engine(Box::new(fallen))))
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl UserStore for EmbeddedStore {
    fn key(&self) -> [u8; 16] {
        self.shared.engine.key()
    }

    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        match self.shared.cache.get(id) {
            Some(user) => Ok(Some(user)),
            None => self.blocking(move |shared| shared.load(id)).await,
        }
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        if let Some(id) = self.shared.cache.owner(key)
            && let Some(user) = self.shared.cache.get(id)
            && index::holds(&user, key)
        {
            return Ok(Some(user));
        }
        let key = key.clone();
        self.blocking(move |shared| shared.load_by(&key)).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        let page = page.clone();
        self.blocking(move |shared| shared.engine.view().list(&page)).await
    }

    async fn suggest(
        &self,
        namespace: &Namespace,
        part: &str,
        limit: usize,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        let (namespace, part) = (namespace.clone(), part.to_owned());
        self.blocking(move |shared| shared.engine.view().suggest(&namespace, &part, limit)).await
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        let Some(row) = self.shared.live.get(key).filter(|row| row.is_live(now)) else {
            return Ok(None);
        };
        let record = self.blocking(move |shared| shared.engine.view().ledger(row)).await?;
        Ok(record.filter(|record| record.is_live(now)))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        if self.shared.is_poisoned() {
            return Err(StoreError::Unavailable(STOPPED));
        }
        let answer = self.shared.queue.push(commit).inspect_err(|error| {
            if matches!(error, StoreError::Unavailable(queue::BUSY)) {
                self.shared.counters.shed.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        // No answer at all: the writer fell while it had the commit.
        answer.await.unwrap_or(Ok(Committed::Unknown))
    }
}

impl Shared {
    /// Reads a user from the engine and leaves it in the cache.
    fn load(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        let turn = self.cache.turn(id);
        let user = self.engine.view().user(id)?.and_then(record::Stored::live);
        if let Some(user) = &user {
            self.cache.offer(turn, user);
        }
        Ok(user)
    }

    /// The user with a unique key. The index and the user are read one after the other, so that the
    /// user can be cached; should a commit come between, both are read once more from one view.
    fn load_by(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        let Some(id) = self.engine.view().owner(key)? else {
            return Ok(None);
        };
        let user = match self.cache.peek(id) {
            Some(user) => Some(user),
            None => self.load(id)?,
        };
        match user.filter(|user| index::holds(user, key)) {
            Some(user) => {
                self.cache.put_owner(key.clone(), Some(id));
                Ok(Some(user))
            }
            None => self.engine.view().find(key),
        }
    }

    fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// The end of all writing: after a fault nobody knows what the disk holds.
    fn poison(&self, what: &str, error: &dyn fmt::Display) {
        if !self.poisoned.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "{what}: the store takes no more commits");
        }
    }
}

/// A lock whose holder cannot leave things half done, even if it fell.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
