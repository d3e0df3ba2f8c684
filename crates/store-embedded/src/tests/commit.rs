//! What a commit needs to hold, alone and among others in its batch; and what readers see meanwhile.

use std::sync::atomic::AtomicBool;

use gateway_core::{Page, Selection, UserStore as _};

use super::*;

/// Puts commits into one batch, in this order.
async fn together(store: &Arc<EmbeddedStore>, commits: Vec<Commit>) -> Vec<Committed> {
    store.shared.queue.hold(true);
    let mut waiting = Vec::new();
    for commit in commits {
        waiting.push(store.shared.queue.push(commit).unwrap());
    }
    store.shared.queue.hold(false);
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap().unwrap());
    }
    answers
}

#[tokio::test]
async fn a_version_that_moved_is_stale() {
    let bench = Bench::new();
    let store = bench.open();
    let one = user(1);
    let two = with(&one, Attr::City, "Ghent");
    assert_eq!(store.commit(bench.update(&one, &two)).await.unwrap(), Committed::Stale, "not there");
    done(&store, bench.create(&one)).await;
    assert_eq!(store.commit(bench.create(&one)).await.unwrap(), Committed::Stale, "there already");
    done(&store, bench.update(&one, &two)).await;
    assert_eq!(store.commit(bench.update(&one, &two)).await.unwrap(), Committed::Stale);
    assert_eq!(store.commit(bench.delete(&one)).await.unwrap(), Committed::Stale);
    assert_eq!(store.commit(bench.update(&two, &two)).await.unwrap(), Committed::Stale, "no higher version");
    let mut other = User::clone(&with(&two, Attr::City, "Bruges"));
    other.id = id(2);
    assert_eq!(store.commit(bench.update(&two, &Arc::new(other))).await.unwrap(), Committed::Stale);
    done(&store, bench.delete(&two)).await;
    assert_eq!(store.commit(bench.delete(&two)).await.unwrap(), Committed::Stale);
}

#[tokio::test]
async fn guards_are_checked_before_versions_and_versions_before_keys() {
    let bench = Bench::new();
    let store = bench.open();
    let (one, two) = (user(1), user(2));
    done(&store, bench.create(&one)).await;
    done(&store, bench.create(&two)).await;
    done(&store, bench.commit(None, vec![bench.guard(1, None)])).await;
    let mut thief = User::clone(&with(&two, Attr::City, "Ghent"));
    thief.links = one.links.clone();
    let thief = Arc::new(thief);
    let stale = with(&two, Attr::City, "Bruges");
    let mut commit = bench.update(&stale, &Arc::new(User { version: 3, ..User::clone(&thief) }));
    assert_eq!(store.commit(commit.clone()).await.unwrap(), Committed::Stale);
    commit.guards.push(bench.guard(1, None));
    assert_eq!(store.commit(commit).await.unwrap(), Committed::KeyTaken(bench.guard(1, None).key));
    assert_eq!(store.commit(bench.update(&two, &thief)).await.unwrap(), Committed::Taken(link_key("a", "1")));
}

#[tokio::test]
async fn keys_follow_their_user() {
    let bench = Bench::new();
    let store = bench.open();
    let one = user(1);
    let jane = with(&one, Attr::Username, "Jane");
    let joan = with(&jane, Attr::Username, "Joan");
    let key = |name: &str| UniqueKey::Username(space("a"), name.into());
    done(&store, bench.create(&one)).await;
    done(&store, bench.update(&one, &jane)).await;
    assert_eq!(store.find(&key("jane")).await.unwrap(), Some(jane.clone()));
    done(&store, bench.update(&jane, &joan)).await;
    assert_eq!(store.find(&key("jane")).await.unwrap(), None);
    assert_eq!(store.find(&key("joan")).await.unwrap(), Some(joan.clone()));
    done(&store, bench.delete(&joan)).await;
    assert_eq!(store.find(&key("joan")).await.unwrap(), None);
    assert_eq!(store.find(&link_key("a", "1")).await.unwrap(), None);
    let mut heir = User::clone(&user(2));
    heir.links = one.links.clone();
    done(&store, bench.create(&Arc::new(heir))).await;
}

#[tokio::test]
async fn a_very_long_username_is_a_key_like_any_other() {
    let bench = Bench::new();
    let store = bench.open();
    let name = "x".repeat(100_000);
    let one = with(&user(1), Attr::Username, &name);
    done(&store, bench.create(&one)).await;
    let two = with(&user(2), Attr::Username, &name);
    let key = UniqueKey::Username(space("a"), name);
    assert_eq!(store.commit(bench.create(&two)).await.unwrap(), Committed::Taken(key.clone()));
    assert_eq!(store.find(&key).await.unwrap(), Some(one));
}

#[tokio::test]
async fn lists_are_in_order_of_ids_by_namespace_or_all() {
    let bench = Bench::new();
    let store = bench.open();
    for number in [5, 3, 1, 4, 2] {
        let mut user = User::clone(&user(number));
        if number % 2 == 1 {
            user.links.push(link("b", &format!("z{}", 9 - number)));
        }
        done(&store, bench.create(&Arc::new(user))).await;
    }
    let three = store.user(id(3)).await.unwrap().unwrap();
    done(&store, bench.delete(&three)).await;
    for (namespace, after, limit, expected) in [
        (None, None, 10, vec![1, 2, 4, 5]),
        (None, Some(2), 1, vec![4]),
        (None, Some(3), 10, vec![4, 5]),
        (Some("a"), Some(1), 2, vec![2, 4]),
        (Some("b"), None, 10, vec![1, 5]),
        (Some("b"), Some(1), 10, vec![5]),
        (Some("c"), None, 10, vec![]),
        (None, None, 0, vec![]),
    ] {
        let of = namespace.map_or(Selection::All, |name| Selection::Namespace(space(name)));
        let page = Page { after: after.map(id), of, limit };
        let listed: Vec<_> = store.list(&page).await.unwrap().iter().map(|user| user.id).collect();
        assert_eq!(listed, expected.into_iter().map(id).collect::<Vec<_>>(), "{page:?}");
    }
}

#[tokio::test]
async fn commits_of_one_batch_see_each_other() {
    let bench = Bench::new();
    let store = Arc::new(bench.open());
    let (one, mut two) = (user(1), User::clone(&user(2)));
    let (v2, other) = (with(&one, Attr::City, "Ghent"), with(&one, Attr::City, "Bruges"));
    two.links = one.links.clone();
    let two = Arc::new(two);
    let guarded = |key| bench.commit(None, vec![bench.guard(key, None)]);
    let commits = vec![
        bench.create(&one),
        bench.create(&two),
        bench.update(&one, &v2),
        bench.update(&one, &other),
        guarded(1),
        guarded(1),
        bench.delete(&v2),
        bench.create(&two),
        bench.create(&one),
    ];
    use Committed::{Done, KeyTaken, Stale, Taken};
    let expected = [
        Done,
        Taken(link_key("a", "1")),
        Done,
        Stale,
        Done,
        KeyTaken(bench.guard(1, None).key),
        Done,
        Done,
        Stale,
    ];
    assert_eq!(together(&store, commits).await, expected);
    assert_eq!(store.stats().synced_batches, 1);
    let check = async |store: &EmbeddedStore| {
        assert_eq!(store.user(one.id).await.unwrap(), None);
        assert_eq!(store.find(&link_key("a", "1")).await.unwrap(), Some(two.clone()));
    };
    check(&store).await;
    drop(store);
    check(&bench.open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_writers_to_one_version_exactly_one_wins() {
    let bench = Bench::new();
    let store = Arc::new(bench.open());
    let one = user(1);
    done(&store, bench.create(&one)).await;
    for round in 0..5 {
        let before = store.user(one.id).await.unwrap().unwrap();
        let mut writers = Vec::new();
        for writer in 0..64 {
            let after = with(&before, Attr::City, &format!("{round}-{writer}"));
            let (store, commit) = (Arc::clone(&store), bench.update(&before, &after));
            writers.push(tokio::spawn(async move { (store.commit(commit).await.unwrap(), after) }));
        }
        let mut winners = Vec::new();
        for writer in writers {
            match writer.await.unwrap() {
                (Committed::Done, after) => winners.push(after),
                (other, _) => assert_eq!(other, Committed::Stale),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(store.user(one.id).await.unwrap(), Some(winners.remove(0)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_share_batches() {
    let bench = Bench::new();
    let store = Arc::new(bench.open());
    store.shared.queue.hold(true);
    let mut writers = Vec::new();
    for number in 0..64 {
        let (store, commit) = (Arc::clone(&store), bench.create(&user(number)));
        writers.push(tokio::spawn(async move { store.commit(commit).await.unwrap() }));
    }
    while store.stats().queue_depth < 64 {
        tokio::task::yield_now().await;
    }
    store.shared.queue.hold(false);
    for writer in writers {
        assert_eq!(writer.await.unwrap(), Committed::Done);
    }
    let stats = store.stats();
    assert_eq!((stats.commits, stats.synced_batches, stats.largest_batch), (64, 1, 64));
    assert_eq!(stats.batch_sizes, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
}

/// Readers with a cache too small to keep anything for long read from the engine while a writer goes
/// on; whatever was answered before a read began must be seen by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_less_than_was_answered_before() {
    let bench = Bench::new();
    let options = Options { cache_bytes: 4096, ..bench.options() };
    let store = Arc::new(EmbeddedStore::open(bench.path(), options).unwrap());
    let mut current = user(1);
    done(&store, bench.create(&current)).await;
    let (answered, stop) = (Arc::new(AtomicI64::new(1)), Arc::new(AtomicBool::new(false)));
    let mut readers = Vec::new();
    for by_key in [false, true, false] {
        let (store, answered, stop) = (Arc::clone(&store), Arc::clone(&answered), Arc::clone(&stop));
        readers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Acquire) {
                let least = answered.load(Ordering::Acquire);
                let found = match by_key {
                    true => store.find(&link_key("a", "1")).await,
                    false => store.user(id(1)).await,
                };
                assert!(found.unwrap().unwrap().version >= u64::try_from(least).unwrap());
            }
        }));
    }
    for round in 0..200 {
        let next = with(&current, Attr::City, &format!("{round}"));
        done(&store, bench.update(&current, &next)).await;
        answered.store(i64::try_from(next.version).unwrap(), Ordering::Release);
        current = next;
    }
    stop.store(true, Ordering::Release);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_store_takes_no_commits_but_still_reads() {
    let bench = Bench::new();
    let store = bench.open();
    done(&store, bench.create(&user(1))).await;
    store.close();
    store.close();
    let refused = store.commit(bench.create(&user(2))).await;
    assert!(matches!(refused, Err(gateway_core::StoreError::Unavailable("stopping"))));
    assert!(store.user(id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn the_store_with_its_own_maintenance_opens_works_and_closes() {
    let bench = Bench::new();
    for number in 0..3 {
        let options = Options { maintained: true, ..bench.options() };
        let store = EmbeddedStore::open(bench.path(), options).unwrap();
        done(&store, bench.create(&user(number))).await;
    }
    assert_eq!(bench.open().stats().acked_seq, 3);
}
