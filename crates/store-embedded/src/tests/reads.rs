//! Reads that the reader threads serve: many at once, fallen ones, and late ones.

use std::sync::mpsc;

use gateway_core::StoreError;

use super::*;

/// A store whose cache holds next to nothing, with users 0 to 299.
async fn uncached(bench: &Bench) -> Arc<EmbeddedStore> {
    let options = Options { cache_bytes: 4096, ..bench.options() };
    let store = Arc::new(EmbeddedStore::open(bench.path(), options).unwrap());
    for number in 0..300 {
        done(&store, bench.create(&user(number))).await;
    }
    store.shared.engine.flush();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_reads_at_once_each_gets_its_own_answer() {
    let bench = Bench::new();
    let store = uncached(&bench).await;
    done(&store, bench.commit(None, vec![bench.guard(1, None)])).await;
    let mut reads = Vec::new();
    for round in 0..3000 {
        let (store, number, now) = (Arc::clone(&store), round % 301, bench.now());
        let expected = (number < 300).then(|| user(number));
        reads.push(tokio::spawn(async move {
            match round % 3 {
                0 => assert_eq!(store.user(id(number)).await.unwrap(), expected),
                1 => assert_eq!(store.find(&link_key("a", &number.to_string())).await.unwrap(), expected),
                _ => {
                    let record = store.ledger(LedgerKey([1; 16]), now).await.unwrap().unwrap();
                    assert_eq!(record.fingerprint, [1; 32]);
                }
            }
        }));
    }
    for read in reads {
        read.await.unwrap();
    }
    assert!(store.stats().cache_misses > 500, "{:?}", store.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_that_falls_is_told_and_takes_no_thread_with_it() {
    let bench = Bench::new();
    let store = uncached(&bench).await;
    for number in 0..20 {
        let fallen = store.shared.readers.read::<()>(|_shared| panic!("on purpose")).await;
        assert!(matches!(fallen, Err(StoreError::Engine(_))), "{fallen:?}");
        assert_eq!(store.user(id(number)).await.unwrap(), Some(user(number)));
    }
    assert_eq!(store.health(), crate::Health::Ready);
}

/// The first read keeps its thread until the last of many more is done by the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_that_hangs_does_not_hold_up_the_many_behind_it() {
    let bench = Bench::new();
    let store = uncached(&bench).await;
    let (go, gone) = mpsc::channel::<()>();
    let shared = Arc::clone(&store.shared);
    let hangs = tokio::spawn(async move {
        shared.readers.read(move |_shared| gone.recv().map_err(|_gone| StoreError::Unavailable("gone"))).await
    });
    let mut reads = Vec::new();
    for number in 0..64 {
        let store = Arc::clone(&store);
        reads.push(tokio::spawn(async move { store.user(id(number)).await.unwrap().unwrap().id }));
    }
    for (number, read) in (0..).zip(reads) {
        assert_eq!(read.await.unwrap(), id(number));
    }
    go.send(()).unwrap();
    hangs.await.unwrap().unwrap();
}

#[tokio::test]
async fn reads_go_on_after_close_and_the_drop_frees_the_directory() {
    let bench = Bench::new();
    let store = uncached(&bench).await;
    store.close();
    for number in 0..50 {
        assert_eq!(store.user(id(number)).await.unwrap(), Some(user(number)));
    }
    assert_eq!(store.find(&link_key("a", "299")).await.unwrap(), Some(user(299)));
    drop(store);
    assert_eq!(bench.open().user(id(7)).await.unwrap(), Some(user(7)));
}
