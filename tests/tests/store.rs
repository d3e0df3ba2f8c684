//! The embedded store passes the contract of a store, plain and encrypted.

use std::sync::Arc;

use gateway_testkit::contract;
use store_embedded::{EmbeddedStore, Options};

async fn passes(encryption_key: Option<[u8; 32]>) {
    let folder = tempfile::tempdir().unwrap();
    // The facts commit within a day of this moment: nothing of theirs is to be purged.
    let options = Options { encryption_key, ..Options::new(Arc::new(|| contract::Start::default().now)) };
    let store = Arc::new(EmbeddedStore::open(&folder.path().join("data"), options).unwrap());
    contract::assert_holds(Arc::clone(&store)).await;
    store.close();
    let scrubbed = store.scrub().unwrap();
    assert_eq!(scrubbed.damaged, 0);
    assert!(scrubbed.records > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    passes(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_encrypted() {
    passes(Some([7; 32])).await;
}
