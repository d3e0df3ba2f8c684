//! A PostgreSQL that may be away when the gateway starts: then it starts all the same, is not ready, refuses
//! what it is asked, and keeps trying. What waiting does not mend stops the start: wrong credentials, or
//! tables of another release.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use gateway_core::{
    Commit, Committed, LedgerKey, LedgerRecord, Namespace, Page, StoreError, Timestamp, UniqueKey, User,
    UserId, UserStore,
};
use store_postgres::{Health, OpenError, Options, PostgresStore};
use tokio::task::AbortHandle;

use crate::{
    backend::{Backend, Standing},
    clock,
    config::Postgres,
    store_metrics,
};

/// Between two attempts to open it: the first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
const AWAY: &str = "the database cannot be reached";

/// The store, once it is open.
#[derive(Default)]
pub struct Remote {
    opened: Arc<OnceLock<PostgresStore>>,
    /// Why it is not, as of the last attempt.
    why: Arc<Mutex<String>>,
    opening: Option<AbortHandle>,
}

impl Remote {
    /// Opens it, or begins to keep trying.
    ///
    /// # Errors
    /// For what waiting does not mend.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let mut remote = Self::default();
        match PostgresStore::open(options.clone()).await {
            Ok(store) => drop(remote.opened.set(store)),
            Err(error) if passes(&error) => {
                tracing::warn!("{error}: starting without it, and trying again");
                note(&remote.why, &error);
                let (opened, why) = (Arc::clone(&remote.opened), Arc::clone(&remote.why));
                remote.opening = Some(tokio::spawn(keep_opening(options, opened, why)).abort_handle());
            }
            Err(error) => return Err(error),
        }
        Ok(remote)
    }

    fn store(&self) -> Result<&PostgresStore, StoreError> {
        self.opened.get().ok_or(StoreError::Unavailable(AWAY))
    }
}

/// Options as the configuration has them.
#[must_use]
pub fn options(config: &Postgres) -> Options {
    Options {
        coalesce: config.coalesce,
        commit_connections: config.commit_connections,
        read_connections: config.read_connections,
        connect_timeout: config.connect_timeout,
        wait: config.wait_timeout,
        statement_timeout: config.statement_timeout,
        max_stale: config.max_stale,
        cache_bytes: usize::try_from(config.cache_bytes).unwrap_or(usize::MAX),
        ..Options::new(config.url.clone(), Arc::new(clock::now))
    }
}

/// Whether waiting may help: nobody is there, or somebody is busy with starting, stopping or others.
fn passes(error: &OpenError) -> bool {
    match error {
        OpenError::Unreachable | OpenError::ReadOnly => true,
        OpenError::Refused(state) => state.starts_with("57P") || state.starts_with("53"),
        _ => false,
    }
}

fn note(why: &Mutex<String>, error: &OpenError) {
    let sentence = if passes(error) { AWAY.to_owned() } else { error.to_string() };
    *why.lock().unwrap_or_else(PoisonError::into_inner) = sentence;
}

/// Tries until it is open. What stops a start does not end a process that was started: somebody may be
/// about to mend it.
async fn keep_opening(options: Options, opened: Arc<OnceLock<PostgresStore>>, why: Arc<Mutex<String>>) {
    let (mut pause, longest) = PAUSES;
    loop {
        tokio::time::sleep(pause).await;
        match PostgresStore::open(options.clone()).await {
            Ok(store) => {
                tracing::info!("the database is there");
                return drop(opened.set(store));
            }
            Err(error) => {
                if !passes(&error) {
                    tracing::error!("{error}");
                }
                note(&why, &error);
            }
        }
        pause = longest.min(pause * 2);
    }
}

impl Backend for Remote {
    fn standing(&self) -> Standing {
        match self.opened.get().map(PostgresStore::health) {
            Some(Health::Ready) => Standing::Ready,
            Some(Health::Away) => Standing::Away(Cow::Borrowed(AWAY)),
            None => {
                let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
                Standing::Away(Cow::Owned(why.clone()))
            }
        }
    }

    fn figures(&self) -> String {
        let (stats, standing) = (self.opened.get().map(PostgresStore::stats), self.standing());
        store_metrics::postgres(&stats.unwrap_or_default(), standing == Standing::Ready)
    }

    async fn close<O: Send + Sync + 'static>(
        owner: Arc<O>,
        of: impl Fn(&O) -> &Self + Send + Sync + 'static,
    ) {
        let remote = of(&owner);
        if let Some(opening) = &remote.opening {
            opening.abort();
        }
        if let Some(store) = remote.opened.get() {
            store.close().await;
        }
    }
}

impl UserStore for Remote {
    fn key(&self) -> [u8; 16] {
        self.opened.get().map(PostgresStore::key).unwrap_or_default()
    }

    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        self.store()?.user(id).await
    }

    async fn current(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        self.store()?.current(id).await
    }

    fn recent(&self, id: UserId) -> Option<Arc<User>> {
        self.opened.get()?.recent(id)
    }

    fn recent_by(&self, key: &UniqueKey) -> Option<Arc<User>> {
        self.opened.get()?.recent_by(key)
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        self.store()?.find(key).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        self.store()?.list(page).await
    }

    async fn suggest(
        &self,
        namespace: &Namespace,
        part: &str,
        limit: usize,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        self.store()?.suggest(namespace, part, limit).await
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        self.store()?.ledger(key, now).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.store()?.commit(commit).await
    }
}
