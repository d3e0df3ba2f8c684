//! After a fault of the disk: nothing is acknowledged, nothing more is written, reads go on.

use gateway_core::{StoreError, UserStore as _};

use super::*;
use crate::{Health, lock};

fn break_disk(store: &EmbeddedStore) {
    let fault = || Some(fjall::Error::Io(std::io::Error::other("no such luck")));
    *lock(&store.shared.engine.fault) = Some(Box::new(fault));
}

#[tokio::test]
async fn a_failed_batch_is_unknown_and_the_last() {
    let bench = Bench::new();
    let (one, two) = (user(1), user(2));
    let store = bench.open();
    done(&store, bench.create(&one)).await;
    break_disk(&store);
    let mut failing = bench.create(&two);
    failing.guards.push(bench.guard(1, Some(two.id)));
    assert_eq!(store.commit(failing).await.unwrap(), Committed::Unknown);
    assert_eq!(store.health(), Health::Poisoned);
    *lock(&store.shared.engine.fault) = None;
    let refused = store.commit(bench.create(&user(3))).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why == crate::STOPPED));

    assert_eq!(store.user(one.id).await.unwrap(), Some(one));
    assert_eq!(store.user(two.id).await.unwrap(), None);
    assert_eq!(store.find(&link_key("a", "2")).await.unwrap(), None);
    assert_eq!(store.ledger(bench.guard(1, None).key, bench.now()).await.unwrap(), None);
    let stats = store.stats();
    assert_eq!((stats.commits, stats.unknown, stats.acked_seq), (1, 1, 1));
    drop(store);
    assert_eq!(bench.open().health(), Health::Ready);
}

#[tokio::test]
async fn a_rejection_that_may_rest_on_a_failed_batch_is_not_given() {
    let bench = Bench::new();
    let store = bench.open();
    let one = user(1);
    break_disk(&store);
    store.shared.queue.hold(true);
    let first = store.shared.queue.push(bench.create(&one)).unwrap();
    let second = store.shared.queue.push(bench.create(&one)).unwrap();
    store.shared.queue.hold(false);
    assert_eq!(first.await.unwrap().unwrap(), Committed::Unknown);
    assert!(matches!(second.await.unwrap(), Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn what_is_queued_behind_a_failed_batch_was_not_begun() {
    let bench = Bench::new();
    let store = bench.open();
    break_disk(&store);
    store.shared.queue.hold(true);
    let mut waiting: Vec<_> =
        (0..600).map(|number| store.shared.queue.push(bench.create(&user(number))).unwrap()).collect();
    store.shared.queue.hold(false);
    for late in waiting.split_off(crate::queue::BATCH) {
        assert!(matches!(late.await.unwrap(), Err(StoreError::Unavailable(_))));
    }
    for begun in waiting {
        assert_eq!(begun.await.unwrap().unwrap(), Committed::Unknown);
    }
}

#[tokio::test]
async fn a_full_queue_sheds_and_says_so() {
    let bench = Bench::new();
    let store = bench.open();
    store.shared.queue.hold(true);
    let mut waiting = Vec::new();
    let refused = loop {
        match store.shared.queue.push(bench.commit(None, Vec::new())) {
            Ok(answer) => waiting.push(answer),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable("busy")));
    assert!(waiting.len() >= crate::queue::BATCH);
    assert!(store.commit(bench.commit(None, Vec::new())).await.is_err());
    assert_eq!(store.stats().shed, 1);
    store.shared.queue.hold(false);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap(), Committed::Done);
    }
}

#[tokio::test]
async fn a_fallen_writer_leaves_nobody_waiting() {
    let bench = Bench::new();
    let store = bench.open();
    *lock(&store.shared.engine.fault) = Some(Box::new(|| panic!("a fall, on purpose")));
    assert_eq!(store.commit(bench.create(&user(1))).await.unwrap(), Committed::Unknown);
    store.close();
    assert_eq!(store.health(), Health::Poisoned);
    assert!(store.commit(bench.create(&user(2))).await.is_err());
}
