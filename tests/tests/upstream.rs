//! Users in another service: a second gateway, behind the one that is asked.

use std::{sync::Arc, time::Duration};

use gateway_testkit::{contract, memory::MemoryStore, postgres::Database};
use store_embedded::EmbeddedStore;
use store_postgres::PostgresStore;
use store_upstream::{Form, UpstreamStore};
use tests::{Bed, Process, service};

/// The second gateway's largest body is that of the largest record.
fn bed() -> Bed {
    Bed::with(
        &include_str!("../src/mounts.toml")
            .replace("prefix = \"/api/v1\"\n", "prefix = \"/api/v1\"\nmax_body_bytes = 16777216\n"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_with_a_ledger_in_memory() {
    let bed = bed();
    let behind = Process::start(&bed);
    let options = service::options(behind.address, service::GATEWAY);
    let store = Arc::new(UpstreamStore::open(options, MemoryStore::default()).await.unwrap());
    contract::assert_holds(Arc::clone(&store)).await;
    let stats = store.stats();
    assert_eq!((stats.unknown, stats.resolved, stats.garbage, stats.lost), (0, 0, 0, 0), "{stats:?}");
    assert_eq!(store.form(), Form::Record);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_with_a_ledger_on_disk() {
    let bed = bed();
    let behind = Process::start(&bed);
    let folder = tempfile::tempdir().unwrap();
    let options = store_embedded::Options::new(Arc::new(|| contract::Start::default().now));
    let ledger = EmbeddedStore::open(&folder.path().join("ledger"), options).unwrap();
    let options = service::options(behind.address, service::GATEWAY);
    let store = Arc::new(UpstreamStore::open(options, ledger).await.unwrap());
    contract::assert_holds(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_with_a_ledger_in_a_database() {
    let bed = bed();
    let behind = Process::start(&bed);
    let database = Database::create();
    let clock = Arc::new(|| contract::Start::default().now);
    let options = store_postgres::Options {
        wait: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(60),
        ..store_postgres::Options::new(database.url.clone(), clock)
    };
    store_postgres::migrate(&options).await.unwrap();
    let ledger = PostgresStore::open(options).await.unwrap();
    let options = service::options(behind.address, service::GATEWAY);
    let store = Arc::new(UpstreamStore::open(options, ledger).await.unwrap());
    contract::assert_holds(Arc::clone(&store)).await;
    store.ledger_store().close().await;
}
