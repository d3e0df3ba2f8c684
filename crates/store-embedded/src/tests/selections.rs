//! The rows behind lists: written where they change, and only there; missed and not believed where wrong.

use gateway_core::{StoreError, Suspension, UserStore as _};

use super::*;
use crate::{
    Scrubbed,
    engine::{Place, Rows},
    stage::Stage,
};

/// How many rows of the index an update would write.
fn written(store: &EmbeddedStore, commit: Commit) -> usize {
    let mut stage = Stage::new(&store.shared);
    assert_eq!(stage.add(commit).unwrap(), Committed::Done);
    stage.finish(store.stats().acked_seq + 1).unwrap().0.count(Place::Keys)
}

fn changed(before: &Arc<User>, change: impl FnOnce(&mut User)) -> Arc<User> {
    let mut after = User { version: before.version + 1, ..User::clone(before) };
    change(&mut after);
    Arc::new(after)
}

fn suspension() -> Suspension {
    Suspension { reason: None, starts_at: START, ends_at: None }
}

#[tokio::test]
async fn an_update_writes_the_rows_that_change_and_no_others() {
    let bench = Bench::new();
    let store = bench.open();
    let one = with(&with(&user(1), Attr::Email, "jane@a.example"), Attr::Username, "jane");
    done(&store, bench.create(&one)).await;
    let update = |after: Arc<User>| written(&store, bench.update(&one, &after));
    assert_eq!(update(with(&one, Attr::City, "Ghent")), 0);
    assert_eq!(update(with(&one, Attr::Email, "Jane@A.example")), 0, "the same, folded");
    assert_eq!(update(with(&one, Attr::Email, "joan@a.example")), 2);
    // The owner of the name in one namespace, too.
    assert_eq!(update(with(&one, Attr::Username, "joan")), 2 + 2);
    assert_eq!(update(changed(&one, |user| user.status = Status::Closed)), 2);
    let suspended = changed(&one, |user| user.suspensions.push(suspension()));
    assert_eq!(update(suspended.clone()), 1);
    // Another link in the same namespace: who it is of, and nothing else.
    assert_eq!(update(changed(&one, |user| user.links.push(link("a", "second")))), 1);
    assert_eq!(update(changed(&one, |user| user.links.push(link("b", "second")))), 1 + 1 + 1);
    assert_eq!(written(&store, bench.delete(&one)), 2 + 4);
    done(&store, bench.update(&one, &suspended)).await;
    let again = changed(&suspended, |user| user.suspensions.push(suspension()));
    assert_eq!(written(&store, bench.update(&suspended, &again)), 0, "a second suspension");
}

/// In one batch the last word counts.
#[tokio::test]
async fn commits_of_one_batch_leave_the_rows_of_the_last() {
    let bench = Bench::new();
    let store = bench.open();
    let one = with(&user(1), Attr::Email, "first@a.example");
    let two = with(&one, Attr::Email, "second@a.example");
    let three = with(&two, Attr::Email, "first@a.example");
    store.shared.queue.hold(true);
    let commits = [
        bench.create(&one),
        bench.update(&one, &two),
        bench.update(&two, &three),
        bench.create(&user(2)),
        bench.delete(&user(2)),
    ];
    let waiting: Vec<_> = commits.map(|commit| store.shared.queue.push(commit).unwrap()).into();
    store.shared.queue.hold(false);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap(), Committed::Done);
    }
    assert_eq!(store.stats().synced_batches, 1);
    assert_eq!(check_lists(&store).await, 1);
    // A user, its link, its membership, address and status; a tombstone; the batch number.
    assert_eq!(store.scrub().unwrap(), Scrubbed { records: 5 + 1 + 1, damaged: 0 });
}

/// A batch past all checks; the store takes no others any more.
fn force(store: &EmbeddedStore, change: impl FnOnce(&mut Rows)) {
    store.close();
    let (engine, seq) = (&store.shared.engine, store.stats().acked_seq + 1);
    let mut rows = Rows::default();
    change(&mut rows);
    engine.put_seq(&mut rows, seq).unwrap();
    engine.apply(rows).unwrap();
    store.shared.mark.note(seq).unwrap();
}

#[tokio::test]
async fn a_scrub_finds_a_user_whom_a_list_would_pass_over() {
    let bench = Bench::new();
    let store = bench.open();
    let one = with(&user(1), Attr::Email, "jane@a.example");
    done(&store, bench.create(&one)).await;
    done(&store, bench.create(&user(2))).await;
    for of in Selection::of(&one) {
        let key = store.shared.engine.selected_keys(&[of], one.id).remove(0);
        force(&store, |rows| rows.remove(Place::Keys, key.clone()));
        assert_eq!(store.scrub().unwrap().damaged, 1);
        force(&store, |rows| store.shared.engine.put(rows, Place::Keys, key, &[]).unwrap());
        assert_eq!(store.scrub().unwrap().damaged, 0);
    }
}

#[tokio::test]
async fn a_row_without_its_user_is_told_and_not_passed_over() {
    let bench = Bench::new();
    let store = bench.open();
    done(&store, bench.create(&user(2))).await;
    let (closed, gone) = (Selection::Status(Status::Closed), Selection::Email("x@a.example".into()));
    for (of, id) in [(closed, id(2)), (gone, id(1))] {
        let key = store.shared.engine.selected_keys(std::slice::from_ref(&of), id).remove(0);
        force(&store, |rows| store.shared.engine.put(rows, Place::Keys, key, &[]).unwrap());
        let listed = store.list(&Page { after: None, of, limit: 9 }).await;
        assert!(matches!(listed, Err(StoreError::Damaged(_))));
    }
}

#[tokio::test]
async fn no_address_stands_in_the_files_of_an_encrypted_store() {
    let bench = Bench::new();
    let options = Options { encryption_key: Some([1; 32]), ..bench.options() };
    let store = EmbeddedStore::open(bench.path(), options).unwrap();
    done(&store, bench.create(&with(&user(1), Attr::Email, "ouagadougou@a.example"))).await;
    store.shared.engine.flush();
    drop(store);
    for file in super::damage::files(bench.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"ouagadougou"), "{}", file.display());
    }
}
