//! Ledger keys: taken once, free after a day, gone after 25 hours; and what a deletion does to them.

use std::time::Instant;

use gateway_core::UserStore as _;
use time::Duration;

use super::*;
use crate::maintenance::{Pace, tick};

async fn answer(store: &EmbeddedStore, guard: &Guard, now: Timestamp) -> Option<LedgerRecord> {
    store.ledger(guard.key, now).await.unwrap()
}

#[tokio::test]
async fn a_key_is_taken_once_and_refuses_the_whole_commit() {
    let (bench, one) = (Bench::new(), user(1));
    let store = bench.open();
    let guard = bench.guard(1, None);
    done(&store, bench.commit(None, vec![guard.clone()])).await;
    let mut commit = bench.create(&one);
    commit.guards = vec![bench.guard(2, None), guard.clone()];
    assert_eq!(store.commit(commit).await.unwrap(), Committed::KeyTaken(guard.key));
    assert_eq!(store.user(one.id).await.unwrap(), None);
    assert_eq!(answer(&store, &bench.guard(2, None), bench.now()).await, None);
    assert_eq!(answer(&store, &guard, bench.now()).await, Some(guard.record));
}

#[tokio::test]
async fn one_commit_cannot_take_a_key_twice() {
    let bench = Bench::new();
    let store = bench.open();
    let guard = bench.guard(1, None);
    let commit = bench.commit(None, vec![guard.clone(), guard.clone()]);
    assert_eq!(store.commit(commit).await.unwrap(), Committed::KeyTaken(guard.key));
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day_also_across_reopening() {
    let bench = Bench::new();
    let store = bench.open();
    let first = bench.guard(1, None);
    done(&store, bench.commit(None, vec![first.clone()])).await;
    bench.pass(LedgerRecord::LIFETIME - Duration::SECOND);
    assert_eq!(answer(&store, &first, bench.now()).await, Some(first.record.clone()));
    let again = bench.commit(None, vec![bench.guard(1, None)]);
    assert_eq!(store.commit(again).await.unwrap(), Committed::KeyTaken(first.key));
    bench.pass(Duration::SECOND);
    assert_eq!(answer(&store, &first, bench.now()).await, None);
    let second = bench.guard(1, Some(id(9)));
    done(&store, bench.commit(None, vec![second.clone()])).await;
    drop(store);
    let store = bench.open();
    assert_eq!(answer(&store, &second, bench.now()).await, Some(second.record), "the newer row stands");
    assert_eq!(store.stats().ledger_keys, 1);
}

#[tokio::test]
async fn hours_are_made_ahead_and_dropped_when_all_in_them_has_expired() {
    let bench = Bench::new();
    let store = bench.open();
    let guard = bench.guard(1, None);
    done(&store, bench.commit(None, vec![guard.clone()])).await;
    let hours = || store.shared.engine.hours().into_iter().map(crate::ledger::name).collect::<Vec<_>>();
    tick(&store.shared, &mut Pace::default(), Instant::now());
    assert_eq!(hours(), ["l_2026030110", "l_2026030111"]);
    // 10:30 and 25 h: the record may go, but its hour began at 10:00 and ends at 11:00.
    bench.pass(LedgerRecord::PURGE_AFTER);
    tick(&store.shared, &mut Pace::default(), Instant::now());
    assert!(hours().contains(&"l_2026030110".to_owned()));
    bench.pass(Duration::minutes(30));
    tick(&store.shared, &mut Pace::default(), Instant::now());
    assert!(!hours().contains(&"l_2026030110".to_owned()));
    assert_eq!(store.stats().ledger_keys, 0);
    drop(store);
    let store = bench.open();
    assert_eq!(answer(&store, &guard, guard.record.at).await, None, "its rows are gone from disk");
}

#[tokio::test]
async fn nothing_is_purged_when_the_clock_jumps() {
    let bench = Bench::new();
    let store = bench.open();
    let guard = bench.guard(1, None);
    done(&store, bench.commit(None, vec![guard.clone()])).await;
    let mut pace = Pace::default();
    tick(&store.shared, &mut pace, Instant::now());
    bench.pass(Duration::days(30));
    tick(&store.shared, &mut pace, Instant::now());
    tick(&store.shared, &mut pace, Instant::now());
    bench.pass(Duration::days(-30));
    tick(&store.shared, &mut pace, Instant::now());
    assert_eq!(answer(&store, &guard, bench.now()).await, Some(guard.record));
}

#[tokio::test]
async fn a_deletion_takes_the_answers_about_the_user_and_no_others() {
    let bench = Bench::new();
    let (one, two) = (user(1), user(2));
    // Another user whose id ends alike: its rows bear the same tag.
    let twin = UserId::from_bytes(((7u128 << 64) | 1).to_be_bytes());
    let store = bench.open();
    let mut commit = bench.create(&one);
    commit.guards = vec![bench.guard(1, Some(one.id))];
    done(&store, commit).await;
    done(&store, bench.create(&two)).await;
    let others = [bench.guard(2, Some(two.id)), bench.guard(3, Some(twin)), bench.guard(4, None)];
    done(&store, bench.commit(None, others.to_vec())).await;
    bench.pass(Duration::hours(3));
    done(&store, bench.commit(None, vec![bench.guard(5, Some(one.id))])).await;
    let mut deletion = bench.delete(&one);
    deletion.guards = vec![bench.guard(6, Some(one.id))];
    done(&store, deletion).await;
    drop(store);

    let store = bench.open();
    for key in [1, 5] {
        let record = answer(&store, &bench.guard(key, None), bench.now()).await.unwrap();
        assert_eq!((record.user, record.answer, record.fingerprint), (Some(one.id), None, [key; 32]));
    }
    for other in others {
        assert_eq!(answer(&store, &other, bench.now()).await, Some(other.record));
    }
    let own = answer(&store, &bench.guard(6, None), bench.now()).await.unwrap();
    assert!(own.answer.is_some(), "the deletion's own answer stays");
    assert_eq!(store.commit(bench.commit(None, vec![bench.guard(1, None)])).await.unwrap(), {
        Committed::KeyTaken(bench.guard(1, None).key)
    });
}

#[tokio::test]
async fn a_deletion_takes_the_answers_of_its_own_batch() {
    let bench = Bench::new();
    let one = user(1);
    let store = bench.open();
    done(&store, bench.create(&one)).await;
    store.shared.queue.hold(true);
    let (a, b) = (bench.commit(None, vec![bench.guard(1, Some(one.id))]), bench.delete(&one));
    let (a, b, ()) = tokio::join!(store.commit(a), store.commit(b), async { store.shared.queue.hold(false) });
    assert_eq!((a.unwrap(), b.unwrap()), (Committed::Done, Committed::Done));
    assert_eq!(store.stats().largest_batch, 2);
    let record = answer(&store, &bench.guard(1, None), bench.now()).await.unwrap();
    assert_eq!(record.answer, None);
}

/// A clock far ahead when the store opens, and right again later.
#[tokio::test]
async fn nothing_is_purged_when_the_clock_is_far_ahead_at_the_start() {
    let bench = Bench::new();
    let guard = bench.guard(1, None);
    {
        let store = bench.open();
        done(&store, bench.commit(None, vec![guard.clone()])).await;
        tick(&store.shared, &mut Pace::default(), Instant::now());
    }
    bench.pass(Duration::days(400));
    {
        let store = bench.open();
        let mut pace = Pace::of(&store.shared.engine.hours());
        for second in 0..3 {
            tick(&store.shared, &mut pace, Instant::now() + std::time::Duration::from_secs(second));
        }
        assert_eq!(answer(&store, &guard, bench.now()).await, None, "expired by that clock");
    }
    bench.pass(Duration::days(-400));
    let store = bench.open();
    assert_eq!(answer(&store, &guard, bench.now()).await, Some(guard.record));
}
