//! Stores of the release before: every list is right after opening, wherever the upgrade was cut short.

use std::{path::PathBuf, sync::Mutex};

use super::*;
use crate::{
    Shared,
    engine::{Place, Rows},
    lock,
    marker::{Lists, Marker},
    open, upgrade,
};

/// As many as a batch of an upgrade holds here.
const BATCH: u64 = 4;

/// A backup that the release before has written: twelve users, the last of them deleted.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/format-1")
}

/// A store of the release before, as it was restored, unopened.
fn older() -> Bench {
    let bench = Bench::new();
    EmbeddedStore::restore(&fixture(), bench.path(), bench.options()).unwrap();
    assert!(lists(&bench) == Lists::Absent);
    bench
}

fn lists(bench: &Bench) -> Lists {
    Marker::read(bench.path()).unwrap().unwrap().lists
}

/// Opens a store as far as its upgrade.
fn opened(bench: &Bench) -> Shared {
    open::open(bench.path(), bench.options()).unwrap()
}

#[tokio::test]
async fn a_backup_of_the_release_before_is_restored_and_brought_up_to_date() {
    let bench = older();
    let batches = 13 + 12 / BATCH + 1;
    for _ in 0..2 {
        let store = bench.open();
        assert_eq!(check_lists(&store).await, 11);
        assert!(lists(&bench) == Lists::Whole);
        assert_eq!(store.stats().acked_seq, batches, "and the second opening has nothing to do");
        // Twelve records; of the eleven users 16 links and memberships, 9 usernames, 31 other selections; the
        // ledger, the batch number.
        assert_eq!(
            store.scrub().unwrap(),
            crate::Scrubbed { records: 12 + 16 * 2 + 9 + 31 + 12 + 1, damaged: 0 }
        );
    }
    let store = bench.open();
    let of = |of| Page { after: None, of, limit: 100 };
    let desk = store.list(&of(Selection::Email("front.desk@example.com".into()))).await.unwrap();
    assert_eq!(desk.iter().map(|user| user.id).collect::<Vec<_>>(), [1, 3, 4, 6, 7, 9, 10].map(id));
    let suspended = store.list(&of(Selection::Suspended)).await.unwrap();
    assert_eq!(suspended.iter().map(|user| user.id).collect::<Vec<_>>(), [1, 5, 9].map(id));
}

/// What a process leaves that was killed before any batch, as its files stand then.
#[tokio::test]
async fn an_upgrade_that_was_killed_anywhere_is_finished_by_the_next_opening() {
    let bench = older();
    let left: Arc<Mutex<Vec<Bench>>> = Arc::default();
    {
        let (shared, left) = (opened(&bench), Arc::clone(&left));
        let from = bench.path().to_owned();
        *lock(&shared.engine.fault) = Some(Box::new(move || {
            let copied = Bench::new();
            copy(&from, copied.path());
            lock(&left).push(copied);
            None
        }));
        upgrade::run(&shared).unwrap();
    }
    let left = std::mem::take(&mut *lock(&left));
    assert_eq!(left.len(), 4, "before each batch");
    for copied in left {
        assert!(lists(&copied) == Lists::Begun, "no older release may have it any more");
        let store = copied.open();
        assert_eq!(check_lists(&store).await, 11);
        assert_eq!(store.stats().acked_seq, 17, "it goes on, and does not begin again");
        assert_eq!(store.scrub().unwrap().damaged, 0);
    }
    // Killed behind the last batch, before the marker says so: it is all done again.
    let shared = opened(&bench);
    shared.engine.set_lists(Lists::Begun).unwrap();
    drop(shared);
    let store = bench.open();
    assert_eq!(check_lists(&store).await, 11);
    assert_eq!(store.stats().acked_seq, 17 + 4);
}

#[tokio::test]
async fn an_upgrade_that_failed_opens_nothing_and_can_be_run_again() {
    for fails_at in 0..4 {
        let bench = older();
        let shared = opened(&bench);
        let mut batch = 0;
        *lock(&shared.engine.fault) = Some(Box::new(move || {
            batch += 1;
            (batch > fails_at).then(|| fjall::Error::Io(std::io::Error::other("no such luck")))
        }));
        assert!(matches!(upgrade::run(&shared), Err(OpenFault::Engine(_))));
        drop(shared);
        assert_eq!(check_lists(&bench.open()).await, 11);
    }
}

/// Takes from a store what the release before did not write.
fn age(store: &EmbeddedStore, users: &[Arc<User>]) {
    store.close();
    let (engine, seq) = (&store.shared.engine, store.stats().acked_seq + 1);
    let mut rows = Rows::default();
    for user in users {
        let mut made = Selection::of(user);
        made.retain(|of| !matches!(of, Selection::Namespace(_)));
        for key in engine.selected_keys(&made, user.id) {
            rows.remove(Place::Keys, key);
        }
    }
    engine.put_seq(&mut rows, seq).unwrap();
    engine.apply(rows).unwrap();
    store.shared.mark.note(seq).unwrap();
    engine.set_lists(Lists::Absent).unwrap();
}

#[tokio::test]
async fn an_encrypted_store_is_brought_up_to_date_and_goes_on() {
    let bench = Bench::new();
    let keyed = || Options { encryption_key: Some([3; 32]), ..bench.options() };
    {
        let store = EmbeddedStore::open(bench.path(), keyed()).unwrap();
        let users: Vec<_> = (0..9)
            .map(|number| with(&user(number), Attr::Email, &format!("{}@a.example", number % 3)))
            .collect();
        for user in &users {
            done(&store, bench.create(user)).await;
        }
        age(&store, &users);
    }
    let store = EmbeddedStore::open(bench.path(), keyed()).unwrap();
    assert_eq!(check_lists(&store).await, 9);
    let first = store.user(id(0)).await.unwrap().unwrap();
    done(&store, bench.update(&first, &with(&first, Attr::Email, "new@a.example"))).await;
    done(&store, bench.delete(&store.user(id(1)).await.unwrap().unwrap())).await;
    assert_eq!(check_lists(&store).await, 8);
    assert_eq!(store.scrub().unwrap().damaged, 0);
}

#[tokio::test]
async fn an_empty_store_is_brought_up_to_date() {
    let bench = Bench::new();
    age(&bench.open(), &[]);
    let store = bench.open();
    done(&store, bench.create(&user(1))).await;
    assert_eq!(check_lists(&store).await, 1);
    assert!(lists(&bench) == Lists::Whole);
}

/// The release before still opens it, and gives out all other users.
#[tokio::test]
async fn a_store_with_a_damaged_user_is_not_begun() {
    let bench = older();
    bench.raw(|db| {
        let users = db.keyspace("users", fjall::KeyspaceCreateOptions::default).unwrap();
        let mut bytes = users.get(id(7).as_bytes()).unwrap().unwrap().to_vec();
        bytes[40] ^= 1;
        let mut ingestion = users.start_ingestion().unwrap();
        ingestion.write(id(7).as_bytes(), bytes).unwrap();
        ingestion.finish().unwrap();
    });
    let refused = bench.refused();
    assert!(matches!(refused, OpenFault::Store(gateway_core::StoreError::Damaged(_))) && refused.is_damage());
    assert!(lists(&bench) == Lists::Absent);
}
