//! The store on PostgreSQL passes the contract of a store: with and without coalescing, and as two stores
//! on one database, which take turns.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gateway_core::{
    Commit, Committed, LedgerKey, LedgerRecord, Namespace, Page, StoreError, Timestamp, UniqueKey, User,
    UserId, UserStore,
};
use gateway_testkit::{
    contract::{self, Start},
    postgres::Database,
};
use store_postgres::{Options, PostgresStore, migrate};

/// Options for a database; the facts commit within a day of this clock: nothing of theirs is to be purged.
/// However busy the machine is, what is slow is waited for.
fn options(database: &Database) -> Options {
    let wait = Duration::from_secs(60);
    Options {
        wait,
        statement_timeout: wait,
        ..Options::new(database.url.clone(), Arc::new(|| Start::default().now))
    }
}

async fn passes(change: impl FnOnce(&mut Options)) {
    let database = Database::create();
    let mut options = options(&database);
    migrate(&options).await.unwrap();
    change(&mut options);
    let store = Arc::new(PostgresStore::open(options).await.unwrap());
    contract::assert_holds(Arc::clone(&store)).await;
    assert_eq!(store.purge().await.unwrap(), 0);
    store.close().await;
    let stats = store.stats();
    assert_eq!((stats.unknown, stats.resolved, stats.queue_depth), (0, 0, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    passes(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_without_coalescing() {
    passes(|options| (options.coalesce, options.commit_connections) = (false, 8)).await;
}

/// Two gateways' stores; every call goes to the next.
struct Pair([PostgresStore; 2], AtomicUsize);

impl Pair {
    fn next(&self) -> &PostgresStore {
        &self.0[self.1.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

impl UserStore for Pair {
    fn key(&self) -> [u8; 16] {
        self.next().key()
    }

    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        self.next().user(id).await
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        self.next().find(key).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        self.next().list(page).await
    }

    async fn suggest(
        &self,
        namespace: &Namespace,
        part: &str,
        limit: usize,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        self.next().suggest(namespace, part, limit).await
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        self.next().ledger(key, now).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.next().commit(commit).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_for_two_on_one_database() {
    let database = Database::create();
    migrate(&options(&database)).await.unwrap();
    let open = || PostgresStore::open(options(&database));
    let pair = Arc::new(Pair([open().await.unwrap(), open().await.unwrap()], AtomicUsize::new(0)));
    assert_eq!(pair.0[0].key(), pair.0[1].key());
    assert_ne!(pair.key(), [0; 16]);
    contract::assert_holds(Arc::clone(&pair)).await;
    let [one, other] = pair.0.each_ref().map(PostgresStore::stats);
    assert!(one.commits > 0 && other.commits > 0);
    assert_eq!(one.unknown + other.unknown, 0);
}
