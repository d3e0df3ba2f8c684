//! The store on PostgreSQL passes the contract of a store: with and without coalescing, and as two stores
//! on one database.

use std::sync::Arc;

use gateway_testkit::{
    contract::{self, Start},
    postgres::Database,
};
use store_postgres::{Options, PostgresStore, migrate};

/// Options for a database; the facts commit within a day of this clock: nothing of theirs is to be purged.
fn options(database: &Database) -> Options {
    Options::new(database.url.clone(), Arc::new(|| Start::default().now))
}

async fn passes(change: impl FnOnce(&mut Options)) {
    let database = Database::create();
    let mut options = options(&database);
    migrate(&options).await.unwrap();
    change(&mut options);
    let store = Arc::new(PostgresStore::open(options).await.unwrap());
    contract::assert_holds(Arc::clone(&store)).await;
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
