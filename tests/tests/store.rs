//! The embedded store passes the contract of a store, plain and encrypted.

use std::sync::Arc;

use gateway_testkit::contract;
use store_embedded::{EmbeddedStore, Options};

async fn passes(encryption_key: Option<[u8; 32]>) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { encryption_key, ..Options::new(Arc::new(gateway::clock::now)) };
    let store = Arc::new(EmbeddedStore::open(&folder.path().join("data"), options).unwrap());
    let failures = contract::check(Arc::clone(&store)).await;
    assert!(failures.is_empty(), "{failures:#?}");
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    passes(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_encrypted() {
    passes(Some([7; 32])).await;
}
