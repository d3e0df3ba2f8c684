//! A ledger key is taken for 24 hours, to the nanosecond.

use std::sync::Arc;

use gateway_core::{Committed, Guard, LedgerRecord, UserStore, Write};
use time::Duration;

use super::{
    fixture::{Fixture, update},
    table,
};

table! {
    a_key_lives_until_the_last_nanosecond: "A nanosecond before its 24 hours are over a key is taken.",
    a_key_is_free_at_24_hours: "At 24 hours a key has no record.",
    a_free_key_can_be_taken_again: "At 24 hours a commit takes the key again, and its record stands.",
    a_key_taken_again_lives_as_long: "A key taken again is taken for 24 hours more, and no longer.",
    the_instant_counts_to_the_nanosecond: "Two keys a nanosecond apart expire a nanosecond apart.",
    a_key_of_a_faster_clock_is_taken: "A key committed by a clock that runs ahead is taken already.",
    an_expired_guard_stops_no_write: "A write guarded by an expired key is done, with the new record.",
    an_expired_key_beside_a_taken_one: "Of an expired and a taken key in one commit the taken one is named.",
    a_deletion_shortens_no_life: "A key whose answer went with its user is taken for its 24 hours.",
    users_outlive_the_ledger: "A user does not expire with the record of its making.",
}

const LIFETIME: Duration = LedgerRecord::LIFETIME;
const MOMENT: Duration = Duration::NANOSECOND;

async fn a_key_lives_until_the_last_nanosecond<S: UserStore>(fx: Fixture<S>) {
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    let last = fx.now + LIFETIME - MOMENT;
    assert_eq!(fx.record_at(&guard, last).await.as_ref(), Some(&guard.record));
    let again = fx.commit_at(None, vec![guard.clone()], last).await;
    assert_eq!(again, Committed::KeyTaken(guard.key));
}

async fn a_key_is_free_at_24_hours<S: UserStore>(fx: Fixture<S>) {
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    assert_eq!(fx.record_at(&guard, fx.now + LIFETIME).await, None);
    assert_eq!(fx.record_at(&guard, fx.now + LIFETIME + Duration::HOUR).await, None);
}

/// Keeps a guard, and a day later another under its key.
async fn taken_again<S: UserStore>(fx: &Fixture<S>) -> (Guard, Guard) {
    let first = fx.guard(None);
    fx.keep(&first).await;
    let later = fx.now + LIFETIME;
    let mut second = Guard { key: first.key, ..fx.guard(None) };
    second.record.at = later;
    assert_eq!(fx.commit_at(None, vec![second.clone()], later).await, Committed::Done);
    (first, second)
}

async fn a_free_key_can_be_taken_again<S: UserStore>(fx: Fixture<S>) {
    let (_, second) = taken_again(&fx).await;
    let found = fx.record_at(&second, second.record.at).await;
    assert!(found.as_ref() == Some(&second.record), "the new record");
    let third = fx.commit_at(None, vec![second.clone()], second.record.at).await;
    assert_eq!(third, Committed::KeyTaken(second.key));
}

async fn a_key_taken_again_lives_as_long<S: UserStore>(fx: Fixture<S>) {
    let (_, second) = taken_again(&fx).await;
    let end = second.record.at + LIFETIME;
    assert!(fx.record_at(&second, end - MOMENT).await.as_ref() == Some(&second.record), "the new record");
    assert_eq!(fx.record_at(&second, end).await, None);
}

async fn the_instant_counts_to_the_nanosecond<S: UserStore>(fx: Fixture<S>) {
    let (older, mut younger) = (fx.guard(None), fx.guard(None));
    younger.record.at = fx.now + MOMENT;
    fx.keep(&older).await;
    assert_eq!(fx.commit_at(None, vec![younger.clone()], younger.record.at).await, Committed::Done);
    let end = fx.now + LIFETIME;
    assert_eq!(fx.record_at(&older, end).await, None);
    assert_eq!(fx.record_at(&younger, end).await, Some(younger.record.clone()));
    assert_eq!(fx.record_at(&younger, end + MOMENT).await, None);
}

async fn a_key_of_a_faster_clock_is_taken<S: UserStore>(fx: Fixture<S>) {
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    let earlier = fx.now - Duration::SECOND;
    assert_eq!(fx.record_at(&guard, earlier).await.as_ref(), Some(&guard.record));
    let again = fx.commit_at(None, vec![guard.clone()], earlier).await;
    assert_eq!(again, Committed::KeyTaken(guard.key));
}

async fn an_expired_guard_stops_no_write<S: UserStore>(fx: Fixture<S>) {
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    let (user, later) = (Arc::new(fx.user()), fx.now + LIFETIME);
    let mut again = Guard { key: guard.key, ..fx.guard(Some(user.id)) };
    again.record.at = later;
    let done = fx.commit_at(Some(Write::Create(user.clone())), vec![again.clone()], later).await;
    assert_eq!(done, Committed::Done);
    fx.assert_stands(&user).await;
    assert!(fx.record_at(&again, later).await == Some(again.record), "the new record");
}

async fn an_expired_key_beside_a_taken_one<S: UserStore>(fx: Fixture<S>) {
    let (expired, mut taken) = (fx.guard(None), fx.guard(None));
    fx.keep(&expired).await;
    taken.record.at = fx.now + MOMENT;
    fx.keep(&taken).await;
    let later = fx.now + LIFETIME;
    let refused = fx.commit_at(None, vec![expired.clone(), taken.clone()], later).await;
    assert_eq!(refused, Committed::KeyTaken(taken.key));
    assert_eq!(fx.record_at(&expired, later).await, None);
}

async fn a_deletion_shortens_no_life<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let guard = fx.guard(Some(user.id));
    fx.keep(&guard).await;
    fx.delete(&user).await;
    let end = fx.now + LIFETIME;
    assert!(fx.record_at(&guard, end - MOMENT).await.is_some(), "taken to the end");
    assert_eq!(fx.record_at(&guard, end).await, None);
}

async fn users_outlive_the_ledger<S: UserStore>(fx: Fixture<S>) {
    let user = Arc::new(fx.user());
    let guard = fx.guard(Some(user.id));
    assert_eq!(fx.guarded(Some(Write::Create(user.clone())), &[&guard]).await, Committed::Done);
    let later = fx.now + LIFETIME;
    let after = super::fixture::next(&user, |user| user.updated_at = later);
    assert_eq!(fx.commit_at(Some(update(&user, &after)), vec![], later).await, Committed::Done);
    assert_eq!(fx.record_at(&guard, later).await, None);
    fx.assert_stands(&after).await;
}
